"""Does the model repeat its training images? Nearest neighbours, beside those of held-out ones."""

import numpy as np
from keras import ops

from keras_bld.metrics import hamming_nearest_neighbors, nearest_neighbors

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)
# Pixels are compared at this size, averaged, so that a shifted copy is still near.
_COMPARED_SIZE = 32


def memorisation(made, held_out, train):
    """Distances to the nearest training image in three spaces.

    A model that invents is about as far from its training images as held-out images are; one
    that copies is nearer. `nearer_than_held_out` is the share of generated images that are nearer
    than 99 % of the held-out ones (1 % is expected of fresh images of the same distribution).

    Args:
        made: dictionary of "pixels" (flattened, `comparable_pixels`), "features" and "codes"
            (packed) of the generated images.
        held_out: the same of held-out images.
        train: the same of the training images.

    Returns:
        Dictionary space -> {"generated": quantiles, "held_out": quantiles,
        "nearer_than_held_out": share, "indices": nearest training image of each generated one,
        "distances": its distance}.
    """
    found = {}
    for space in ("pixels", "features", "codes"):
        search = hamming_nearest_neighbors if space == "codes" else nearest_neighbors
        indices, distances = search(made[space], train[space], 1)
        _, others = search(held_out[space], train[space], 1)
        nearest = float(np.quantile(others, QUANTILES[0]))
        found[space] = {
            "generated": _quantiles(distances),
            "held_out": _quantiles(others),
            "nearer_than_held_out": float(np.mean(distances < nearest)),
            "indices": indices[:, 0],
            "distances": distances[:, 0],
            "held_out_distances": others[:, 0],
        }
    return found


def comparable_pixels(images, batch_size=256):
    """Flattened images in [0, 1], averaged down to about 32 x 32 where they are larger.

    Args:
        images: uint8 (num_images, height, width, channels).
        batch_size: images at a time.

    Returns:
        float32 (num_images, num_values).
    """
    factor = max(1, images.shape[1] // _COMPARED_SIZE)
    rows = []
    for first in range(0, len(images), batch_size):
        batch = images[first : first + batch_size].astype("float32") / 255.0
        if factor > 1:
            batch = ops.convert_to_numpy(
                ops.average_pool(batch, factor, factor, data_format="channels_last")
            )
        rows.append(batch.reshape(len(batch), -1))
    return np.concatenate(rows)


def _quantiles(distances):
    values = np.quantile(distances, QUANTILES)
    return {str(name): float(value) for name, value in zip(QUANTILES, values, strict=True)}
