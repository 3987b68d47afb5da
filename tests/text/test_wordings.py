import numpy as np
import pytest

from keras_bld.text import Wordings

pytestmark = pytest.mark.once
TEXTS = [["apple", "an apple"], ["pear"], ["oat milk", "milk of oats", "milk"]]
UNSEEN = [["apples"], ["a pear"], ["oats, as milk"]]


def encode(texts):
    return np.array([[len(text), *map(ord, text[:2])] for text in texts], "float64")


def test_the_first_wording_of_each_class():
    wordings = Wordings(TEXTS, encode)
    assert wordings.num_classes == 3 and wordings.width == 3
    made = wordings.first([2, 0, 2])
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, encode(["oat milk", "apple", "oat milk"]))


def test_every_wording_is_drawn_and_no_other():
    wordings = Wordings(TEXTS, encode, UNSEEN)
    made = wordings.draw(np.full(200, 2), np.random.default_rng(0))
    assert {tuple(row) for row in made} == {tuple(row) for row in encode(TEXTS[2])}
    counts = np.unique(made[:, 0], return_counts=True)[1]
    assert counts.min() > 40
    unseen = wordings.draw_unseen([0, 1], np.random.default_rng(0))
    np.testing.assert_array_equal(unseen, encode(["apples", "a pear"]))


def test_the_generator_decides():
    wordings = Wordings(TEXTS, encode)
    labels = np.arange(60) % 3
    first, same, other = (wordings.draw(labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_each_text_is_encoded_once():
    asked = []

    def remember(texts):
        asked.append(texts)
        return encode(texts)

    Wordings([["a", "b"], ["b"]], remember, [["c"], ["a"]])
    assert asked == [["a", "b", "c"]]


def test_sequences_keep_their_length():
    wordings = Wordings(TEXTS, lambda texts: np.ones((len(texts), 4, 5)))
    assert wordings.first([0, 1]).shape == (2, 4, 5) and wordings.width == 5


@pytest.mark.parametrize(
    ("texts", "unseen", "message"),
    [
        ([["a"], []], None, r"texts.*\(\) for class 1"),
        (["apple"], None, "'apple' for class 0"),
        ([["a"], [3]], None, r"\(3,\) for class 1"),
        ([["a"], ["b"]], [["c"]], "texts for 1 classes"),
    ],
)
def test_bad_texts(texts, unseen, message):
    with pytest.raises(ValueError, match=message):
        Wordings(texts, encode, unseen)


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"shape \(3,\) for 6 texts"):
        Wordings(TEXTS, lambda texts: np.ones(3))
    wordings = Wordings(TEXTS, encode)
    with pytest.raises(ValueError, match=r"integers in \[0, 3\)"):
        wordings.first([3])
    with pytest.raises(ValueError, match="unseen=..."):
        wordings.draw_unseen([0], np.random.default_rng(0))
