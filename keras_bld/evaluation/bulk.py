"""The bulk work of a card: images with all that scores compare, made or read batch by batch."""

import dataclasses
from typing import Any

import numpy as np

from keras_bld.base.batching import comfortable_batch_size
from keras_bld.base.images import to_uint8
from keras_bld.data import Subset, load_arrays, pack_codes
from keras_bld.diffusion.generation_store import PlannedCodes
from keras_bld.metrics import extract_features

_LARGEST_BATCH = 64


def batch_size_for(image_shape):
    """Images at a time, of generating and of measuring."""
    return comfortable_batch_size(image_shape, _LARGEST_BATCH)


@dataclasses.dataclass
class MadeImages:
    """Bulk work: (images as uint8, their packed codes, their features or None)."""

    codes: PlannedCodes
    network: Any

    def __call__(self, start, stop):
        autoencoder = self.codes.model.autoencoder
        batch_size = batch_size_for(autoencoder.image_shape)
        for codes in self.codes(start, stop):
            images = to_uint8(autoencoder.decode(codes, batch_size=batch_size))
            yield images, pack_codes(codes), features_of(images, self.network)


@dataclasses.dataclass
class KnownImages:
    """Bulk work: (images, labels, packed codes or None, features or None) of a source."""

    source: Any
    autoencoder: Any
    network: Any

    def __call__(self, start, stop):
        images, labels = load_arrays(Subset(self.source, np.arange(start, stop)))
        yield images, labels, self._codes_of(images), features_of(images, self.network)

    def _codes_of(self, images):
        if self.autoencoder is None:
            return None
        size = batch_size_for(images.shape[1:])
        parts = [images[first : first + size] for first in range(0, len(images), size)]
        return np.concatenate([pack_codes(self.autoencoder.encode(part)) for part in parts])


def features_of(images, network):
    """Features of images, float32 (num_images, num_features); None without a network."""
    if network is None:
        return None
    return extract_features(images, network, batch_size_for(images.shape[1:]))
