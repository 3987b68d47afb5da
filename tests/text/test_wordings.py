import json

import numpy as np
import pytest

from keras_bld.text import Wordings
from keras_bld.text.wordings import first_texts

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

    wordings = Wordings([["a"], ["b"], ["b"]], remember, [["c"], ["a"], ["c"]])
    assert asked == [["a"]]  # for the width; 50,000 texts take minutes
    for _ in range(2):
        wordings.first([2, 0, 1])
        wordings.draw_unseen([0, 1], np.random.default_rng(0))
    assert asked == [["a"], ["b"], ["c"]]


def test_sequences_keep_their_length():
    wordings = Wordings(TEXTS, lambda texts: np.ones((len(texts), 4, 5)))
    assert wordings.first([0, 1]).shape == (2, 4, 5) and wordings.width == 5
    assert wordings.text_conditioning == "cross_attention"
    assert Wordings(TEXTS, encode).text_conditioning == "token"


def test_classes_of_one_name_are_joined_in_the_order_asked_for():
    wordings = Wordings(TEXTS, encode, UNSEEN, ("fruit", "fruit", "milk"))
    joined = wordings.for_classes(("milk", "fruit"))
    assert joined.texts == (tuple(TEXTS[2]), ("apple", "an apple", "pear"))
    assert joined.unseen == (("oats, as milk",), ("apples", "a pear"))
    assert joined.class_names == ("milk", "fruit")
    np.testing.assert_array_equal(joined.first([1]), encode(["apple"]))
    assert joined.joins_classes and not wordings.joins_classes
    assert not Wordings(TEXTS, encode).for_classes(("oat milk", "apple")).joins_classes
    with pytest.raises(ValueError, match="'bread' among 2 classes"):
        wordings.for_classes(("milk", "bread"))
    with pytest.raises(ValueError, match="take the data set"):
        wordings.for_classes(())


def test_captions_find_their_texts_in_the_data_set_s_own_order():
    wordings = Wordings(TEXTS, encode, UNSEEN, ("fruit", "fruit", "milk"))
    own = wordings.for_captions(["pear", "an apple"])
    assert own.texts == (tuple(TEXTS[1]), tuple(TEXTS[0])) and not own.joins_classes
    assert own.class_names == ("fruit", "fruit") and own.unseen[0] == ("a pear",)
    named = wordings.for_captions(["A pear.", "Milk."], known=["An apple.", "A pear.", "Milk."])
    assert named.texts == (tuple(TEXTS[1]), tuple(TEXTS[2]))
    with pytest.raises(ValueError, match="'bread', which belongs to 0 of the classes"):
        wordings.for_captions(["bread"])
    with pytest.raises(ValueError, match="'fruit', which belongs to 2 of"):
        Wordings([["fruit", "apple"], ["pear", "fruit"]], encode).for_captions(["fruit"])


def test_config_survives_json():
    wordings = Wordings(TEXTS, encode, UNSEEN, ("fruit", "fruit", "milk"))
    again = Wordings.from_config(json.loads(json.dumps(wordings.get_config())), encode)
    assert (again.texts, again.unseen) == (wordings.texts, wordings.unseen)
    assert again.class_names == ("fruit", "fruit", "milk")
    assert Wordings(TEXTS, encode).get_config()["unseen"] is None
    assert Wordings(TEXTS, encode).class_names == ("apple", "pear", "oat milk")


def test_templates_are_kept_instead_of_texts():
    fields = {"name": ["cat", "cat", "dog"], "style": ["flat", "round", "flat"]}
    wordings = Wordings.from_templates(
        ["{name}, {style}", "{name}"], fields, encode, ["a {style} {name}"], fields["style"]
    )
    assert wordings.texts[1] == ("cat, round", "cat") and wordings.unseen[2] == ("a flat dog",)
    config = json.loads(json.dumps(wordings.get_config()))
    assert "texts" not in config and config["fields"] == fields
    again = Wordings.from_config(config, encode)
    assert (again.texts, again.unseen) == (wordings.texts, wordings.unseen)
    assert again.class_names == ("flat", "round", "flat")
    assert first_texts(config) == ["cat, flat", "cat, round", "dog, flat"]
    assert first_texts(Wordings(TEXTS, encode).get_config()) == ["apple", "pear", "oat milk"]
    assert again.for_classes(("round", "flat")).texts[0] == ("cat, round", "cat")


def test_each_class_gets_some_of_many_templates():
    fields = {"name": [f"thing {number}" for number in range(40)]}
    templates = ["{name}", *(f"{{name}}, wording {number}" for number in range(6))]
    wordings = Wordings.from_templates(templates, fields, encode, most_texts=3)
    assert {len(group) for group in wordings.texts} == {3}
    assert [group[0] for group in wordings.texts] == fields["name"]
    found = {text.split(", ")[-1] for group in wordings.texts for text in group[1:]}
    assert len(found) == 6  # each wording with some class
    config = json.loads(json.dumps(wordings.get_config()))
    assert Wordings.from_config(config, encode).texts == wordings.texts
    with pytest.raises(ValueError, match="most_texts"):
        Wordings.from_templates(templates, fields, encode, most_texts=0)


@pytest.mark.parametrize(
    ("texts", "unseen", "message"),
    [
        ([["a"], []], None, r"texts.*\(\) for class 1"),
        (["apple"], None, "'apple' for class 0"),
        ([["a"], [3]], None, r"\(3,\) for class 1"),
        ([["a"], ["b"]], [["c"]], "`unseen`: received entries for 1 classes"),
    ],
)
def test_bad_texts(texts, unseen, message):
    with pytest.raises(ValueError, match=message):
        Wordings(texts, encode, unseen)


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"shape \(3,\) for 1 texts"):
        Wordings(TEXTS, lambda texts: np.ones(3))
    with pytest.raises(ValueError, match="`class_names`: received entries for 2 classes"):
        Wordings(TEXTS, encode, class_names=("fruit", "milk"))
    wordings = Wordings(TEXTS, encode)
    with pytest.raises(ValueError, match=r"integers in \[0, 3\)"):
        wordings.first([3])
    with pytest.raises(ValueError, match="unseen=..."):
        wordings.draw_unseen([0], np.random.default_rng(0))
