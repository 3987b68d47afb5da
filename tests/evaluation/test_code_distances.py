import numpy as np
import pytest

from keras_bld.evaluation.code_distances import CodeDistances

pytestmark = pytest.mark.once


def codes(seed, number=300, together=0.9):
    """Of 32 bits in two groups, the bits of which mostly are one and the same."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, 2, (number, 1, 2, 1))
    bits = np.broadcast_to(groups, (number, 1, 2, 16))
    return np.where(random.random(bits.shape) < together, bits, 1 - bits).astype("float32")


def test_what_independent_bits_get_wrong_is_seen():
    distances = CodeDistances(codes(0), num_components=8)
    same, apart = (distances.measure(codes(1, together=share)) for share in (0.9, 0.5))
    assert same["distance"] < 0.2 < 1.0 < apart["distance"]
    assert same["precision"] > 0.8 and same["recall"] > 0.8
    assert apart["recall"] < 0.5


def test_one_group_alone_is_precise_and_recalls_little():
    distances = CodeDistances(codes(0), num_components=8)
    some = codes(1, 1200)
    some = some[some[:, 0, 0].mean(axis=-1) > 0.5][:300]
    measured = distances.measure(some)
    assert measured["precision"] > 0.8 and measured["recall"] < 0.7


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="training_codes.*9 codes"):
        CodeDistances(codes(0, 9))
