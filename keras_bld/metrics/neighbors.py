"""Nearest neighbours among features and among packed codes, in bounded memory."""

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_features

_QUERY_BLOCK = 1024
_DATABASE_BLOCK = 4096  # one block of distances is 32 MiB of float64
_BYTE_COUNTS = np.array([bin(byte).count("1") for byte in range(256)], dtype="uint8")


class NeighborSearch:
    """Nearest neighbours in a database that comes piece by piece.

    What is kept is the queries and their nearest rows so far, so that a database may be larger
    than memory.

    Args:
        queries: features (num_queries, num_features), or packed codes, uint8 (num_queries, ...,
            num_bytes).
        k: number of neighbours.
        space: "euclidean" for features, "hamming" for packed codes.

    Attributes:
        indices: int64 (num_queries, k), rows of all pieces in their order, nearest first; -1 where
            fewer than k have come.
        distances: (num_queries, k), float64, or int64 of bits.

    Raises:
        ValueError: as `nearest_neighbors` and `hamming_nearest_neighbors`.

    Example:
        >>> from keras_bld.metrics import NeighborSearch
        >>> search = NeighborSearch([[0.0, 0.0]])
        >>> for piece in ([[3.0, 4.0], [9.0, 0.0]], [[0.0, 1.0]]):
        ...     search.add(piece)
        >>> search.indices.tolist(), search.distances.tolist()
        ([[2]], [[1.0]])
    """

    def __init__(self, queries, k=1, space="euclidean"):
        checks.check_choice("space", space, ("euclidean", "hamming"))
        k = checks.check_integer("k", k, 1)
        self._is_hamming = space == "hamming"
        queries = (_check_packed if self._is_hamming else check_features)("queries", queries)
        self._code_shape = queries.shape[1:]
        if self._is_hamming:
            self._merged = _Nearest(_words(queries), k, _differing_bits, "int64")
        else:
            self._merged = _Nearest(queries, k, squared_distances, "float64")

    def add(self, database):
        """Look at a further piece of the database, of at least one row."""
        if not self._is_hamming:
            database = check_features("database", database, num_features=self._code_shape[0])
            self._merged.add(database)
            return
        database = _check_packed("database", database)
        if database.shape[1:] != self._code_shape:
            raise checks.error(
                "database",
                f"codes of shape {database.shape[1:]}",
                f"codes of shape {self._code_shape} as in `queries`",
                "compare codes of one and the same autoencoder",
            )
        self._merged.add(_words(database))

    @property
    def indices(self):
        """Rows of the nearest neighbours."""
        return self._merged.indices

    @property
    def distances(self):
        """Their distances."""
        return self._merged.distances if self._is_hamming else np.sqrt(self._merged.distances)


def nearest_neighbors(queries, database, k):
    """The k rows of `database` with the smallest Euclidean distance to each query.

    Distances are computed block by block in float64, so memory beyond the arguments and the
    result does not grow with their sizes.

    Args:
        queries: features of shape (num_queries, num_features).
        database: features of shape (num_items, num_features). A query that is itself in the
            database finds itself first, at distance 0.
        k: number of neighbours, 1 to num_items.

    Returns:
        (indices, distances), each of shape (num_queries, k), nearest first, equal distances in
        the order of the database; int64 and float64.

    Raises:
        ValueError: wrong rank, different numbers of features, `k` out of range, NaN.

    Example:
        >>> from keras_bld.metrics import nearest_neighbors
        >>> indices, distances = nearest_neighbors([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]], k=2)
        >>> indices.tolist(), distances.tolist()
        ([[1, 0]], [[1.0, 5.0]])
    """
    return _search(queries, database, k, "euclidean")


def hamming_nearest_neighbors(queries, database, k):
    """The k packed codes of `database` that differ from each query in the fewest bits.

    Args:
        queries: packed codes, uint8 of shape (num_queries, ..., num_bytes), 8 bits to the byte.
            Padding bits must agree with the database's (those of `keras_bld.data` are zero).
        database: packed codes of shape (num_codes, ..., num_bytes).
        k: number of neighbours, 1 to the size of the database.

    Returns:
        (indices, distances), each of shape (num_queries, k), nearest first, equal distances in
        the order of the database; int64, distances in bits.

    Raises:
        ValueError: not uint8, different code shapes, empty, or `k` out of range.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import hamming_nearest_neighbors
        >>> codes = np.array([[0b0000], [0b0111], [0b1111]], dtype="uint8")
        >>> hamming_nearest_neighbors(codes[2:], codes, k=3)[1].tolist()
        [[0, 1, 4]]
    """
    return _search(queries, database, k, "hamming")


def kth_neighbor_distances(features, k):
    """Squared distance of each row to its k-th nearest other row: the radii of a k-NN manifold.

    Args:
        features: float64 of shape (num_samples, num_features), num_samples > k.
        k: which neighbour, at least 1. A row is not its own neighbour; its duplicates are.
    """
    # The row itself is among the k + 1 nearest, at distance 0.
    nearest = _Nearest(features, k + 1, squared_distances, "float64")
    nearest.add(features)
    return nearest.distances[:, k]


def squared_distances(x, y):
    """Squared Euclidean distances of shape (len(x), len(y)) between float64 rows."""
    # |x - y|^2 = |x|^2 + |y|^2 - 2 x.y with the origin moved into the data, where the
    # subtraction loses the fewest digits.
    origin = y.mean(axis=0)
    x, y = x - origin, y - origin
    scale = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)[None, :]
    squared = scale - 2.0 * (x @ y.T)
    # What is left of the distance of equal rows is rounding; they must be at distance 0.
    squared[squared < 1e-13 * scale] = 0.0
    return squared


def blocks(samples, size):
    """Yield (start, samples[start : start + size]) over all samples."""
    for start in range(0, len(samples), size):
        yield start, samples[start : start + size]


def distance_blocks(x, y):
    """Yield (row slice, column slice, squared distances) over all pairs, block by block."""
    for row, x_block in blocks(x, _QUERY_BLOCK):
        for column, y_block in blocks(y, _DATABASE_BLOCK):
            rows = slice(row, row + len(x_block))
            columns = slice(column, column + len(y_block))
            yield rows, columns, squared_distances(x_block, y_block)


def _search(queries, database, k, space):
    checks.check_integer("k", k, 1, len(database))
    search = NeighborSearch(queries, k, space)
    search.add(database)
    return search.indices, search.distances


class _Nearest:
    """The k smallest of `distance(queries, row)` over all rows added, without any checks."""

    def __init__(self, queries, k, distance, dtype):
        self._queries, self._distance, self._k = queries, distance, k
        self._count = 0
        farthest = np.inf if dtype == "float64" else np.iinfo(dtype).max
        self.indices = np.full((len(queries), k), -1, dtype="int64")
        self.distances = np.full((len(queries), k), farthest, dtype=dtype)

    def add(self, database):
        for query_start, query_block in blocks(self._queries, _QUERY_BLOCK):
            rows = slice(query_start, query_start + len(query_block))
            indices, distances = self.indices[rows], self.distances[rows]
            for start, block in blocks(database, _DATABASE_BLOCK):
                candidates = self._distance(query_block, block)  # (queries, block)
                chosen = _smallest(candidates, min(self._k, len(block)))
                # Earlier blocks stand first, so that a stable sort keeps the database's order.
                indices = np.concatenate([indices, chosen + self._count + start], axis=1)
                nearest = np.take_along_axis(candidates, chosen, axis=1)
                distances = np.concatenate([distances, nearest], axis=1)
                order = np.argsort(distances, axis=1, kind="stable")[:, : self._k]
                indices = np.take_along_axis(indices, order, axis=1)
                distances = np.take_along_axis(distances, order, axis=1)
            self.indices[rows], self.distances[rows] = indices, distances
        self._count += len(database)


def _smallest(values, k):
    """Columns of the k smallest values of each row, in rising order of (value, column)."""
    if k == 1:
        return np.argmin(values, axis=1)[:, None]
    columns = np.argpartition(values, k - 1, axis=1)[:, :k]
    limit = np.take_along_axis(values, columns, axis=1).max(axis=1, keepdims=True)
    # Partition takes any of the values that tie for the last place; the first ones are wanted.
    tied = np.flatnonzero((values <= limit).sum(axis=1) > k)
    if tied.size:
        columns[tied] = np.argsort(values[tied], axis=1, kind="stable")[:, :k]
    columns.sort(axis=1)
    order = np.argsort(np.take_along_axis(values, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _check_packed(argument, codes):
    codes = np.asarray(codes)
    if codes.dtype != np.uint8 or codes.ndim < 2 or codes.size == 0:
        raise checks.error(
            argument,
            f"dtype {codes.dtype}, shape {codes.shape}",
            "packed codes: uint8 of shape (num_codes, ..., num_bytes), not empty",
            "pack codes of 0 and 1 first, with `numpy.packbits` or keras_bld.data",
        )
    return codes


def _words(codes):
    """Packed codes as uint64 of shape (num_codes, num_words), padded with zero bits."""
    flat = codes.reshape(len(codes), -1)
    padded = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 8)))
    return np.ascontiguousarray(padded).view("uint64")


def _differing_bits(x, y):
    # One word of all pairs at a time: (queries, block) intermediates, whatever the code's size.
    counts = np.zeros((len(x), len(y)), dtype="int32")
    for word in range(x.shape[1]):
        counts += _count_bits(x[:, word, None] ^ y[None, :, word])
    return counts


def _count_bits(words):
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(words)
    return _BYTE_COUNTS[words.view("uint8")].reshape(*words.shape, 8).sum(axis=-1, dtype="int32")
