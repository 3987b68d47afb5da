import numpy as np
import pytest

from keras_bld.base.class_names import labels_of

pytestmark = pytest.mark.once
NAMES = ("apple", "Avocado", "cat", "3")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("cat", 2),
        (2, 2),
        (["apple", "cat"], [0, 2]),
        (("cat", 1, np.int64(0)), [2, 1, 0]),
        (np.array(["cat", "apple"]), [2, 0]),
        (np.array([[3], [1]], "uint8"), [[3], [1]]),
        # The name of a class goes before its number.
        (["3", "1"], [3, 1]),
    ],
)
def test_names_and_numbers(labels, expected):
    numbers = labels_of(labels, NAMES, 4)
    assert numbers.dtype == "int32" and numbers.tolist() == expected


def test_without_names_there_are_numbers():
    assert labels_of(["7", 2], None, 10).tolist() == [7, 2]
    assert labels_of(None, NAMES, 4) is None


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ("aple", NAMES, "received 'aple'; expected one of 4 class names, such as 'apple'"),
        (["cat", "avocado"], NAMES, "received 'avocado'.*such as 'Avocado'"),
        ("xyz", NAMES, "such as 'apple', 'Avocado', 'cat'. Fix: .* integer in .0, 3."),
        ("apple", None, "received 'apple'.*the model has no class names"),
        ("cat", ("cat", "dog", "cat", "cow"), r"a name that one class has.*numbers \[0, 2\]"),
        ("-1", NAMES, "received '-1'"),
        (4, NAMES, r"values from 4 to 4; expected integers in \[0, 3\]"),
        (["4"], NAMES, r"received 4; expected an integer in \[0, 3\]"),
        (np.array([-1, 0]), NAMES, "values from -1 to 0"),
        ([0.5], NAMES, "received 0.5"),
        (np.array([0.5]), NAMES, "dtype float64"),
        ([True], NAMES, "received True"),
    ],
)
def test_bad_input(labels, names, message):
    with pytest.raises(ValueError, match=message):
        labels_of(labels, names, 4)
