"""A bound on what a config may build: no more than the weights that come with it."""

import contextlib
import math
import threading

import keras

# State that no weights file holds: seed generators, metrics, layers without weights.
_SPARE_VALUES, _SPARE_LAYERS, _LAYERS_FOR_EACH_WEIGHT = 10_000, 1_000, 10
_lock = threading.RLock()


class TooLargeError(ValueError):
    """A model that would have more weights or layers than its files can fill."""


@contextlib.contextmanager
def build_at_most(num_values, num_weights):
    """Let this thread's Keras objects have no more weights than a file holds.

    A config says in a few bytes that a layer has a thousand million weights. The count is kept
    while the model is built, before each variable is allocated, so it holds for every class.

    Args:
        num_values: numbers in the weights file.
        num_weights: arrays in it; bounds the number of layers.

    Raises:
        TooLargeError: in the block, as soon as a variable or a layer is one too many.
    """
    thread = threading.get_ident()
    left = {
        "values": num_values + _SPARE_VALUES,
        "layers": num_weights * _LAYERS_FOR_EACH_WEIGHT + _SPARE_LAYERS,
    }

    def take(kind, count):
        if threading.get_ident() == thread:
            left[kind] -= count
            if left[kind] < 0:
                raise TooLargeError(
                    f"it makes more {'weights' if kind == 'values' else 'layers'} than its file of"
                    f" {num_values:,} numbers in {num_weights:,} arrays can fill"
                )

    def count_values(initializer, shape=None, *args, **kwargs):
        if callable(initializer) or isinstance(initializer, str):
            take("values", _size(shape))

    def count_layer(*args, **kwargs):
        take("layers", 1)

    with _lock, _before(keras.Variable, count_values), _before(keras.Layer, count_layer):
        yield


@contextlib.contextmanager
def _before(cls, count):
    """Call `count` with the arguments of every constructor call of a class and its subclasses."""
    own, original = "__init__" in vars(cls), cls.__init__

    def counted(self, *args, **kwargs):
        count(*args, **kwargs)
        original(self, *args, **kwargs)

    cls.__init__ = counted
    try:
        yield
    finally:
        if own:
            cls.__init__ = original
        else:
            del cls.__init__


def _size(shape):
    """Values of a variable; 0 for a shape that Keras will refuse."""
    try:
        return max(math.prod(int(size) for size in shape), 0)
    except (TypeError, ValueError, OverflowError):
        return 0
