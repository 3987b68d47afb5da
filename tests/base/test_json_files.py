import json

import pytest

from keras_bld.base.json_files import (
    FLAG,
    RECORD,
    TEXT,
    check_fields,
    exactly,
    list_of,
    none_or,
    number,
    read_json,
    whole,
)

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "kind, held, refused",
    [
        (TEXT, ["", "a"], [None, 1, ["a"]]),
        (FLAG, [True, False], [0, 1, None]),
        (RECORD, [{}], [[], None]),
        (whole(1, 9), [1, 9], [0, 10, 1.0, True, "1", None]),
        (number(), [0, -1.5, 1e300], [True, "1", float("nan"), float("inf"), 10**400, None]),
        (number(0), [0, 0.5], [-0.5]),
        (exactly(1), [1], [True, 1.0, 2]),
        (none_or(TEXT), [None, "a"], [1]),
        (list_of(whole(1), 3), [[1, 2, 3]], [[1, 2], [1, 2, 0], (1, 2, 3), "123", {}]),
        (list_of(TEXT), [[], ["a"]], [["a", 1]]),
    ],
)
def test_kinds(kind, held, refused):
    assert all(kind.holds(value) for value in held)
    assert not any(kind.holds(value) for value in refused)
    assert kind.words


def test_the_first_wrong_field_is_named():
    fields = {"a": whole(1), "b": TEXT}, {"c": FLAG}
    assert check_fields({"a": 1, "b": "x", "other": None}, *fields) is None
    assert check_fields({"b": "x"}, *fields).startswith("no `a` (an integer in [1, ")
    assert check_fields({"a": 1, "b": 2}, *fields) == "`b` 2, not a text"
    assert check_fields({"a": 1, "b": "", "c": 0}, *fields) == "`c` 0, not true or false"


@pytest.mark.parametrize(
    "content, received",
    [
        (b"", "a file that is not JSON"),
        (b"\xff{}", "a file that is not JSON"),
        (b"[1]", "JSON that is not a dictionary"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "a file that is not JSON"),
        (b'{"a": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "a file that is not JSON"),
        (b'{"a": ' + b"[" * 150 + b"]" * 150 + b"}", "nested deeper than 100 levels"),
        (b'{"a": [' + b"1," * 3 * 10**6 + b"1]}", "more than 2,097,152 values"),
        (b'{"a": "x"}', "`a` 'x', not a finite number"),
        (b'{"a": NaN}', "`a` nan, not a finite number"),
    ],
)
def test_damaged_files_are_refused_with_their_name(content, received, tmp_path):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Invalid `it`: received `.*state.json`: ") as caught:
        read_json(path, "it", "numbers", "write it again", {"a": number()})
    assert received in str(caught.value) and str(caught.value).endswith("Fix: write it again.")


def test_what_was_written_is_read(tmp_path):
    content = {"a": 1.5, "b": [{"c": None}, "é"]}
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert read_json(tmp_path / "x.json", "it", "x", "y", {"a": number()}) == content
