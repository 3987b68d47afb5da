import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_bld.base.batching import BatchedFunction, comfortable_batch_size, shuffled_rows


def add_index(indices, chunk, *scalars):
    return chunk + ops.cast(indices, "float32")[:, None] * (scalars[0] if scalars else 1.0)


@pytest.mark.parametrize("num_items", (1, 3, 4, 5, 11))
def test_results_do_not_depend_on_the_batch_size(num_items):
    array = np.random.default_rng(0).uniform(size=(num_items, 2)).astype("float32")
    function = BatchedFunction(add_index, list, lambda chunk: chunk)
    expected = array + np.arange(num_items, dtype="float32")[:, None]
    for batch_size in (1, 4, 32):
        result = function(array, batch_size)
        assert isinstance(result, np.ndarray) and result.dtype == np.float32
        np.testing.assert_array_equal(result, expected)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch runs eagerly")
def test_number_of_traces():
    function = BatchedFunction(add_index, list, lambda chunk: chunk)
    for num_items in (7, 9, 12, 33):
        function(np.zeros((num_items, 2), "float32"), 8, 0.5)
    assert function.num_traces == 1  # chunks of 8, the last one padded
    for scalar in (1.5, 2.5):
        function(np.zeros((3, 2), "float32"), 8, scalar)
    assert function.num_traces == 2  # one chunk of 4; a changed scalar does not trace again


def test_every_chunk_is_checked():
    def refuse_negative(chunk):
        if (chunk < 0).any():
            raise ValueError("negative")
        return chunk

    function = BatchedFunction(add_index, list, refuse_negative)
    array = np.zeros((5, 2), "float32")
    array[4] = -1.0
    with pytest.raises(ValueError, match="negative"):
        function(array, 2)
    with pytest.raises(ValueError, match="batch_size.*received 0.*>= 1"):
        function(array[:2], 0)


def test_the_shape_is_checked_as_the_caller_gave_it():
    def refuse(array):
        raise ValueError(f"shape {array.shape}")

    function = BatchedFunction(add_index, list, lambda chunk: chunk, check_shape=refuse)
    for shape in ((5, 2), (0, 2), ()):
        with pytest.raises(ValueError, match=re.escape(f"shape {shape}")):
            function(np.zeros(shape), 2)


@pytest.mark.once
def test_a_substitute_gets_every_item_once():
    def substitute(indices, chunk, offset):
        seen.extend(indices)
        return chunk + indices[:, None] + offset

    seen = []
    function = BatchedFunction(add_index, list, lambda chunk: chunk)
    function.substitute = substitute
    result = function(np.zeros((5, 2), "float32"), 2, 0.5)
    np.testing.assert_array_equal(result, np.arange(5)[:, None] + [0.5, 0.5])
    assert seen == [0, 1, 2, 3, 4] and result.dtype == np.float32
    assert function.num_traces == 0


def test_large_images_go_few_at_a_time():
    sizes = [comfortable_batch_size((side, side, 3)) for side in (32, 256, 512, 1024, 4096)]
    assert sizes == [32, 32, 8, 2, 1]
    seen = []
    function = BatchedFunction(add_index, list, lambda chunk: chunk, default_batch_size=2)
    function.substitute = lambda indices, chunk, scalar: seen.append(len(chunk)) or chunk
    function(np.zeros((5, 2), "float32"), None, 0.5)
    assert seen == [2, 2, 1]


@pytest.mark.once
def test_several_batches_show_their_progress(progress_seen):
    function = BatchedFunction(lambda _, chunk: chunk, list, lambda chunk: chunk, purpose="decode")
    array = np.zeros((5, 1), "float32")
    function(array, 8)
    function(array, 2, progress=False)
    assert progress_seen == []
    function(array, 2)
    assert progress_seen == ["decode of 5", 0, 2, 4, 5]


@pytest.mark.once
def test_shuffled_rows_are_whole_passes_each_in_its_own_order():
    rows = shuffled_rows(5, 4, 3, np.random.default_rng(0))
    assert rows.shape == (4, 3)
    passes = rows.ravel()[:10].reshape(2, 5)
    assert [sorted(order) for order in passes.tolist()] == [[0, 1, 2, 3, 4]] * 2
    assert passes[0].tolist() != passes[1].tolist()
