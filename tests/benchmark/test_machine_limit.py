import numpy as np
import pytest

from keras_bld.benchmark import machine_limit

pytestmark = pytest.mark.once


@pytest.mark.parametrize("library", machine_limit.LIBRARIES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_run(library, precision):
    pytest.importorskip(library)
    cases = machine_limit.LimitCases("limit")
    laps = []
    assert cases.product(library, precision, rows=5, width=4)(laps.append) == {}
    assert len(laps) == len(set(laps)) == machine_limit._NUM_CHAINS


def test_chain_and_its_operations_fit():
    matrices = machine_limit._matrices(4)
    assert [matrix.shape for matrix in matrices[:3]] == [(4, 16), (16, 4), (4, 16)]
    # Values stay near one, as in a network.
    x = np.ones((1, 4))
    for matrix in matrices:
        x = x @ matrix
    assert 1e-3 < np.abs(x).max() < 1e3
    assert machine_limit.product_flops(5, 4) == sum(2 * 5 * m.size for m in matrices)
