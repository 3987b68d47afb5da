"""Data: folders, arrays, TFDS, Fashion-MNIST, digits -> batches; packed bits; the code store."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.base.packing import pack_codes, packed_shape, unpack_codes
    from keras_bld.data.captions import CaptionedFolder
    from keras_bld.data.code_store import CodeStore
    from keras_bld.data.code_store_writer import write_code_store
    from keras_bld.data.data_set import DataSet, find_data_set
    from keras_bld.data.digits import digits_source
    from keras_bld.data.fashion_mnist import fashion_mnist_source, holds_fashion_mnist, read_idx
    from keras_bld.data.folders import ImageFolder
    from keras_bld.data.images import UnreadableImageError, read_image
    from keras_bld.data.loader import image_batches
    from keras_bld.data.preprocessing import ImagePreprocessing
    from keras_bld.data.sources import ArraySource, ImageSource, Subset, load_arrays, random_subset
    from keras_bld.data.tensorflow_color_jitter import ColorJitter
    from keras_bld.data.tfds import tfds_source

__all__ = [
    "ArraySource",
    "CaptionedFolder",
    "CodeStore",
    "ColorJitter",
    "DataSet",
    "ImageFolder",
    "ImagePreprocessing",
    "ImageSource",
    "Subset",
    "UnreadableImageError",
    "digits_source",
    "fashion_mnist_source",
    "find_data_set",
    "holds_fashion_mnist",
    "image_batches",
    "load_arrays",
    "pack_codes",
    "packed_shape",
    "random_subset",
    "read_idx",
    "read_image",
    "tfds_source",
    "unpack_codes",
    "write_code_store",
]

__getattr__, __dir__ = lazy_names(__name__)
