import pytest

from keras_bld.base.templates import fill_templates

pytestmark = pytest.mark.once
FIELDS = {"name": ["cat", "dog"], "style": ["flat", "flat"]}


def test_every_template_is_filled_for_every_class():
    filled = fill_templates(["{name}", "a {style} {name}", "{name}"], FIELDS)
    assert filled == [("cat", "a flat cat"), ("dog", "a flat dog")]
    assert fill_templates(["{{{name}}}"], {"name": ["a {b}"]}) == [("{a {b}}",)]


@pytest.mark.parametrize(
    ("templates", "fields", "message"),
    [
        (["{colour} {name}"], FIELDS, "with the field 'colour'; expected fields among 'name'"),
        (["{name"], FIELDS, "expected text with the names of fields in braces"),
        (["{}"], FIELDS, "names of fields in braces"),
        (["{name.upper}"], FIELDS, "names of fields in braces"),
        (["{name}"], {"name": ["cat"], "style": []}, r"{'name': 1, 'style': 0}"),
        (["cat"], {}, "`fields`: received no fields"),
    ],
)
def test_refuses(templates, fields, message):
    with pytest.raises(ValueError, match=message):
        fill_templates(templates, fields)
