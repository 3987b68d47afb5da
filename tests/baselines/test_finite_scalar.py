import itertools

import numpy as np
import pytest
from baselines.bottleneck_contract import check_bottleneck, coded, decoded
from harness import to_numpy

from keras_bld.baselines import FiniteScalarQuantizer


def test_contract():
    quantizer = FiniteScalarQuantizer((4, 5))
    assert quantizer.code_channels == 2 + 3 and quantizer.latent_channels == 2
    assert quantizer.bits_per_cell == pytest.approx(np.log2(20))
    latents, _ = check_bottleneck(quantizer)
    assert set(np.unique(latents)) <= {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_every_combination_is_reached_and_has_bits_of_its_own():
    quantizer = FiniteScalarQuantizer((4, 5))
    grid = np.linspace(-6, 6, 400)
    cells = np.array(list(itertools.product(grid, grid[::8])), "float32")[None, None]
    latents, codes = to_numpy(quantizer(cells)[0])[0, 0], coded(quantizer, cells)[0, 0]
    assert len(np.unique(np.round(latents, 4), axis=0)) == 20
    assert len(np.unique(codes, axis=0)) == 20
    assert len(np.unique(np.concatenate([np.round(latents, 4), codes], axis=1), axis=0)) == 20


def test_bits_by_hand():
    """Levels -2, ..., 2 of five are counted from 0; the lowest bit comes first."""
    quantizer = FiniteScalarQuantizer((5, 2))
    cells = np.array([[-9.0, -9.0], [0.0, 9.0], [9.0, 9.0]], "float32")[None, None]
    codes = coded(quantizer, cells)[0, 0]
    assert codes.tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]]
    # 5, 6 and 7 are no levels of five: the highest, 4, is nearest.
    patterns = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1]], "float32")[None, None]
    assert decoded(quantizer, patterns)[0, 0].tolist() == [[1, -1], [1, -1], [1, 0]]


def test_bad_levels():
    with pytest.raises(ValueError, match="levels.*at least one channel"):
        FiniteScalarQuantizer(())
    with pytest.raises(ValueError, match="levels.*received 1.*>= 2"):
        FiniteScalarQuantizer((8, 1))
