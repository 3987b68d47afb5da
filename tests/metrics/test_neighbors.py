import numpy as np
import pytest
import scipy.spatial.distance
from hypothesis import given
from hypothesis import strategies as st

from keras_bld.metrics import (
    NeighborSearch,
    hamming_nearest_neighbors,
    nearest_neighbors,
    neighbors,
)

pytestmark = pytest.mark.once


@pytest.fixture(params=["one block", "many blocks"])
def block_size(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(neighbors, "_QUERY_BLOCK", 4)
        monkeypatch.setattr(neighbors, "_DATABASE_BLOCK", 7)


def test_equal_to_scipy(block_size):
    generator = np.random.default_rng(0)
    queries, database = generator.normal(5.0, 1.0, size=(13, 6)), generator.normal(size=(50, 6))
    indices, distances = nearest_neighbors(queries, database, k=9)
    expected = scipy.spatial.distance.cdist(queries, database)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :9])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :9], rtol=1e-9)


def test_a_query_in_the_database_finds_itself_at_distance_zero(block_size):
    # Far from the origin, where the expansion of the square loses digits.
    features = np.random.default_rng(0).normal(1000.0, 1.0, size=(30, 4))
    indices, distances = nearest_neighbors(features, features, k=2)
    np.testing.assert_array_equal(indices[:, 0], np.arange(30))
    assert (distances[:, 0] == 0.0).all() and (distances[:, 1] > 0.0).all()


@pytest.mark.parametrize("sizes", [(50,), (1, 9, 40), (17,) * 3])
def test_a_database_in_pieces_is_one_database(sizes, block_size):
    generator = np.random.default_rng(0)
    queries, database = generator.normal(size=(13, 6)), generator.normal(size=(sum(sizes), 6))
    codes = generator.integers(0, 4, size=(13, 3)).astype("uint8")  # many equal distances
    known = generator.integers(0, 4, size=(sum(sizes), 3)).astype("uint8")
    for space, asked, rows, whole in (
        ("euclidean", queries, database, nearest_neighbors(queries, database, k=3)),
        ("hamming", codes, known, hamming_nearest_neighbors(codes, known, k=3)),
    ):
        search = NeighborSearch(asked, 3, space)
        for piece in np.split(rows, np.cumsum(sizes)[:-1]):
            search.add(piece)
        np.testing.assert_array_equal(search.indices, whole[0])
        np.testing.assert_allclose(search.distances, whole[1], rtol=1e-12)


@given(
    seed=st.integers(0, 1000),
    num_queries=st.integers(1, 6),
    num_codes=st.integers(1, 25),
    code_shape=st.sampled_from([(1,), (3,), (8,), (2, 2, 3), (9,)]),
)
def test_hamming_equals_unpacked_bits(seed, num_queries, num_codes, code_shape):
    generator = np.random.default_rng(seed)
    queries = generator.integers(0, 256, size=(num_queries, *code_shape)).astype("uint8")
    database = generator.integers(0, 256, size=(num_codes, *code_shape)).astype("uint8")
    k = min(num_codes, 5)
    indices, distances = hamming_nearest_neighbors(queries, database, k)
    bits = [np.unpackbits(codes.reshape(len(codes), -1), axis=1) for codes in (queries, database)]
    expected = (bits[0][:, None] != bits[1][None]).sum(axis=2)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1, kind="stable")[:, :k])
    np.testing.assert_array_equal(distances, np.sort(expected, axis=1)[:, :k])


def test_equal_distances_stand_in_the_order_of_the_database(block_size):
    # Codes of one set bit: every pair differs in 2 bits, and a code from itself in none.
    codes = np.packbits(np.eye(24, dtype="uint8"), axis=1)
    indices, distances = hamming_nearest_neighbors(codes[5:6], codes, k=24)
    assert indices[0].tolist() == [5, *range(5), *range(6, 24)]
    assert distances[0].tolist() == [0] + [2] * 23


def test_bits_are_counted_without_numpy_2(monkeypatch):
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, size=(20, 11)).astype("uint8")
    expected = hamming_nearest_neighbors(codes, codes, k=20)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    received = hamming_nearest_neighbors(codes, codes, k=20)
    np.testing.assert_array_equal(received[0], expected[0])
    np.testing.assert_array_equal(received[1], expected[1])


def test_bad_input_is_refused():
    features = np.zeros((4, 3))
    with pytest.raises(ValueError, match="`k`"):
        nearest_neighbors(features, features, k=5)
    with pytest.raises(ValueError, match="`database`"):
        nearest_neighbors(features, np.zeros((4, 2)), k=1)
    with pytest.raises(ValueError, match="`space`"):
        NeighborSearch(features, space="pixels")
    codes = np.zeros((4, 2), dtype="uint8")
    with pytest.raises(ValueError, match="`queries`.*packed"):
        hamming_nearest_neighbors(codes.astype("float32"), codes, k=1)
    with pytest.raises(ValueError, match="`database`"):
        hamming_nearest_neighbors(codes, codes[:, :1], k=1)
