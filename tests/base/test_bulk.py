import sys

import numpy as np
import pytest

from keras_bld.base.bulk import open_engine

pytestmark = pytest.mark.once


def rows(start, stop):
    for first in range(start, stop, 4):
        yield np.arange(first, min(first + 4, stop))


def test_here_ranges_run_one_after_another():
    with open_engine() as engine:
        made = list(engine(rows, [(0, 6), (10, 13)], 4))
    assert [batch.tolist() for batch in made] == [[0, 1, 2, 3], [4, 5], [10, 11, 12]]


def test_nothing_runs_before_it_is_asked_for():
    begun = []

    def spy(start, stop):
        begun.append(start)
        yield start

    with open_engine() as engine:
        results = engine(spy, [(0, 1), (1, 2)], 1)
        assert not begun
        assert next(results) == 0 and begun == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "spark"}, "one of 'local', 'ray'"),
        ({"num_workers": 2}, "2 for the engine 'local'"),
        ({"ray_address": "10.0.0.1:6379"}, "'10.0.0.1:6379' for the engine 'local'"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message), open_engine(**options):
        pass


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(ImportError, match=r"the package `ray`.*\[ray\]"), open_engine("ray"):
        pass
