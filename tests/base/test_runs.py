import pytest

from keras_bld.base.runs import on_command_line, option

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("value", "in_python", "in_a_shell"),
    [
        ("skip", 'on_error="skip"', "--on-error skip"),
        ("two words", 'on_error="two words"', "--on-error 'two words'"),
        (3, "on_error=3", "--on-error 3"),
        (False, "on_error=False", "--no-on-error"),
        (True, "on_error=True", "--on-error"),
    ],
)
def test_an_option_as_it_is_typed(value, in_python, in_a_shell):
    assert option("on_error", value) == in_python
    with on_command_line():
        assert option("on_error", value) == in_a_shell
    assert option("on_error", value) == in_python
