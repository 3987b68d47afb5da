import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bld.metrics import StreamingStatistics

pytestmark = pytest.mark.once


def gather(features, batch_size):
    statistics = StreamingStatistics()
    for start in range(0, len(features), batch_size):
        statistics.update(features[start : start + batch_size])
    return statistics


def assert_equal_moments(statistics, features):
    assert statistics.count == len(features)
    scale = np.abs(features - features.mean(axis=0)).max() ** 2
    np.testing.assert_allclose(statistics.mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        statistics.covariance, np.cov(features, rowvar=False), rtol=0, atol=1e-9 * scale
    )


@given(
    count=st.integers(2, 60),
    batch_size=st.integers(1, 70),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    seed=st.integers(0, 1000),
)
def test_equal_to_numpy_whatever_the_batch_size(count, batch_size, offset, seed):
    features = np.random.default_rng(seed).normal(offset, 1.0, size=(count, 3))
    assert_equal_moments(gather(features, batch_size), features)


@given(split=st.integers(0, 40), seed=st.integers(0, 1000))
def test_merge_equals_the_whole(split, seed):
    features = np.random.default_rng(seed).normal(2.0, 3.0, size=(40, 4))
    first, second = gather(features[:split], 7), gather(features[split:], 5)
    first.merge(second)
    assert_equal_moments(first, features)


def test_float32_batches_are_summed_in_float64():
    # The float32 mean of these would miss the second decimal of the variance.
    features = np.random.default_rng(0).normal(1e4, 1.0, size=(2000, 1)).astype("float32")
    covariance = gather(features, 10).covariance
    np.testing.assert_allclose(covariance[0, 0], features.astype("float64").var(ddof=1), rtol=1e-9)


def test_memory_is_the_same_after_any_number_of_batches():
    statistics = StreamingStatistics()
    for _ in range(50):
        statistics.update(np.random.default_rng(0).normal(size=(100, 5)))
    kept = [value for value in vars(statistics).values() if isinstance(value, np.ndarray)]
    assert sorted(value.size for value in kept) == [5, 25]


def test_save_and_load(tmp_path):
    features = np.random.default_rng(0).normal(size=(20, 3))
    path = tmp_path / "moments.npz"
    gather(features, 6).save(path)
    loaded = StreamingStatistics.load(path)
    assert_equal_moments(loaded, features)
    loaded.update(features)
    assert_equal_moments(loaded, np.concatenate([features, features]))
    assert [file.name for file in tmp_path.iterdir()] == ["moments.npz"]


def test_load_names_the_missing_array(tmp_path):
    np.savez(tmp_path / "other.npz", mu=np.zeros(3))
    with pytest.raises(ValueError, match="`mu` and `sigma`"):
        StreamingStatistics.load(tmp_path / "other.npz")


ONES = np.ones((6, 6))
DAMAGED = {
    "no archive": b"text",
    "an array alone": "npy",
    "objects": {"mu": np.array([{}] * 6), "sigma": ONES},
    "complex": {"mu": np.ones(6) * 1j, "sigma": ONES},
    "not finite": {"mu": np.full(6, np.nan), "sigma": ONES},
    "too large for sums": {"mu": np.ones(6), "sigma": ONES * 1e305, "count": 10**6},
    "shapes": {"mu": np.ones(5), "sigma": ONES},
    "count": {"mu": np.ones(6), "sigma": ONES, "count": np.ones(3)},
    "negative count": {"mu": np.ones(6), "sigma": ONES, "count": -3},
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_refused(kind, tmp_path):
    path, content = tmp_path / "fid.npz", DAMAGED[kind]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "npy":
        np.save(tmp_path / "fid.npy", ONES)
        (tmp_path / "fid.npy").rename(path)
    else:
        np.savez(path, **content)
    with pytest.raises(ValueError, match="Invalid `.*Fix: "):
        StreamingStatistics.load(path)


@pytest.mark.parametrize("shape", [(10**5, 10**5), (2**40, 2**40)])
def test_sizes_that_the_file_cannot_hold_are_refused_before_they_are_read(shape, tmp_path):
    with zipfile.ZipFile(tmp_path / "fid.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("sigma.npy", "w") as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.write(bytes(10**6))
        with archive.open("mu.npy", "w") as file:
            np.save(file, np.ones(6))
    with pytest.raises(ValueError, match="`sigma` of shape .* bytes.*Fix: "):
        StreamingStatistics.load(tmp_path / "fid.npz")


def test_bad_input_is_refused():
    statistics = gather(np.ones((4, 3)), 2)
    for bad in (np.ones((2, 4)), np.ones(3), np.empty((0, 3)), np.full((1, 3), np.nan)):
        with pytest.raises(ValueError, match="features"):
            statistics.update(bad)
    with pytest.raises(ValueError, match="at least 2"):
        _ = gather(np.ones((1, 3)), 1).covariance
    with pytest.raises(ValueError, match="3 features"):
        statistics.merge(gather(np.ones((2, 4)), 2))
    with pytest.raises(ValueError, match="covariance"):
        StreamingStatistics.from_moments(np.zeros(3), np.eye(2), 5)
    assert statistics.count == 4
