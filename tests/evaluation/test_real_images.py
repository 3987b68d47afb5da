import numpy as np
import pytest

from keras_bld.data import ArraySource
from keras_bld.evaluation.real_images import check_enough_images, numbered_as

pytestmark = pytest.mark.once


def source(num_images, labels=None, names=None):
    return ArraySource(np.zeros((num_images, 4, 4, 1), "uint8"), labels, names)


def test_too_few_images_are_told_in_the_caller_s_words():
    check_enough_images(source(10), source(10), network=object())
    check_enough_images(source(2), source(2), network=None)
    with pytest.raises(ValueError, match=r"`held_out`.*9 held-out images.*at least 10.*--data"):
        check_enough_images(source(50), source(9), network=object())
    with pytest.raises(ValueError, match=r"`train`.*--network none"):
        check_enough_images(source(9), source(50), network=object())
    with pytest.raises(ValueError, match="at least 2"):
        check_enough_images(source(50), source(1), network=None)


def test_classes_are_known_by_their_names():
    train = source(3, [0, 1, 2], ("apple", "milk", "pear"))
    same = source(1, [1], ("apple", "milk", "pear"))
    assert numbered_as(train, same) is same
    other = source(3, [0, 1, 0], ("pear", "apple"))
    renumbered = numbered_as(train, other)
    assert [item["label"] for item in renumbered] == [2, 0, 2] and len(renumbered) == 3
    assert renumbered.fingerprint() == other.fingerprint()
    with pytest.raises(ValueError, match="'plum'"):
        numbered_as(train, source(1, [0], ("plum",)))
    with pytest.raises(ValueError, match="without classes"):
        numbered_as(train, source(1))
    assert numbered_as(source(2), same) is same
