import types

import numpy as np
import pytest

from keras_bld.text import LabelConditions, Wordings

pytestmark = pytest.mark.once
WORDINGS = Wordings(
    [["apple", "an apple"], ["pear"]],
    lambda texts: np.array([[len(text), ord(text[0])] for text in texts]),
    [["one apple"], ["some pears", "p"]],
)


def model(kind, num_classes=None, text_width=None):
    denoiser = types.SimpleNamespace(
        condition_kind=kind, num_classes=num_classes, text_width=text_width
    )
    return types.SimpleNamespace(denoiser=denoiser)


def rows(texts):
    return [[len(text), ord(text[0])] for text in texts]


def test_a_model_by_class_gets_labels():
    conditions = LabelConditions(model("class", 3))
    labels = np.array([2, 0])
    assert conditions.num_classes == 3
    assert conditions.trained(labels) is labels
    assert conditions.asked(labels, unseen=True) == {"labels": labels}
    assert conditions.as_arguments(labels) == {"labels": labels}


def test_an_unconditional_model_gets_nothing():
    conditions = LabelConditions(model(None))
    assert conditions.num_classes is None and conditions.trained([0]) is None
    assert conditions.asked(None) == {} == conditions.as_arguments(None)


def test_a_model_of_texts_gets_embeddings():
    conditions = LabelConditions(model("token", text_width=2), WORDINGS)
    assert conditions.num_classes == 2
    labels = np.zeros(50, int)
    seen = {tuple(row) for row in conditions.trained(labels).tolist()}
    assert seen == {tuple(row) for row in rows(["apple", "an apple"])}
    assert conditions.asked([1, 0])["text_embeddings"].tolist() == rows(["pear", "apple"])
    unseen = conditions.asked([1] * 20, unseen=True)["text_embeddings"]
    assert {tuple(row) for row in unseen.tolist()} == {
        tuple(row) for row in rows(["some pears", "p"])
    }
    again = LabelConditions(model("token", text_width=2), WORDINGS)
    np.testing.assert_array_equal(again.trained(labels), conditions.trained(labels))


def test_no_text_is_better_than_that_of_another_class():
    joined = Wordings(
        [["apple"], ["pear"]], lambda texts: np.array(rows(texts)), class_names=("fruit", "fruit")
    ).for_classes(["fruit"])
    conditions = LabelConditions(model("token", text_width=2), joined)
    assert conditions.trained([0, 0]) is None
    assert conditions.as_arguments(None) == {"drop_condition": True}
    assert conditions.asked([0])["text_embeddings"].tolist() == rows(["apple"])
    assert conditions.learned([0])["text_embeddings"].tolist() == rows(["apple"])


def test_without_unseen_wordings_the_seen_ones_are_asked():
    seen_only = Wordings([["apple"], ["pear"]], lambda texts: np.array(rows(texts)))
    conditions = LabelConditions(model("token", text_width=2), seen_only)
    assert conditions.asked([1], unseen=True)["text_embeddings"].tolist() == rows(["pear"])


@pytest.mark.parametrize(
    ("kind", "wordings", "message"),
    [
        ("token", None, "received None for a model that is conditioned on text"),
        ("class", WORDINGS, "received wordings for a model that is not conditioned on text"),
        (None, WORDINGS, "leave wordings out"),
        ("cross_attention", WORDINGS, "width 2 for token.*width 2 for cross_attention"),
    ],
)
def test_bad_input(kind, wordings, message):
    with pytest.raises(ValueError, match=message):
        LabelConditions(model(kind, text_width=2), wordings)
