"""Memorisation: nearest training images of generated ones, beside those of held-out ones."""

import hashlib

import numpy as np
from keras import ops

from keras_bld.metrics import NeighborSearch

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)
# Pixels are compared at this size, averaged, so that a shifted copy is still near.
_COMPARED_SIZE = 32
# The share of fresh images that is called near, so far as the number of held-out ones allows it.
_NEAR = 0.01


def memorisation(made, held_out, train):
    """Distances to the nearest training image in three spaces.

    A model that invents is about as far from its training images as held-out images are; one
    that copies is nearer. `nearer_than_held_out` is the share of generated images that are nearer
    than the k-th nearest of n held-out ones, k about n / 100. Of fresh images of the same
    distribution k / (n + 1) are `expected`, whatever the distribution; equal distances count with
    the share that keeps it so.

    Generated images went through a decoder, which leaves them smoother, and so nearer to
    everything: the held-out images that they are compared with have to go through it, too.

    A held-out image whose pixels are those of a training image says nothing about fresh images:
    such duplicates are counted and left out.

    Args:
        made: dictionary of "pixels" (flattened, `comparable_pixels`), "codes" (packed) and, where
            there is a network, "features" of the generated images.
        held_out: the same of reconstructed held-out images; "originals" are the pixels of the
            images themselves, where they are others than "pixels".
        train: the same of all training images; or an iterable of such dictionaries, each of
            some of them, so that they need not be in memory at once.

    Returns:
        Dictionary space -> {"generated": quantiles, "held_out": quantiles,
        "nearer_than_held_out": share, "expected": share, "expected_error": its standard error at
        these numbers of images, "held_out_duplicates": how many were left out,
        "num_training_images": how many were searched, "indices": nearest training image of each
        generated one, "distances": its distance, "held_out_distances": of those not left out}.
        Where all held-out images are duplicates their quantiles and the shares are None.
    """
    searches = {
        space: [
            NeighborSearch(images[space], 1, "hamming" if space == "codes" else "euclidean")
            for images in (made, held_out)
        ]
        for space in ("pixels", "features", "codes")
        if space in made
    }
    keys = _keys(held_out.get("originals", held_out["pixels"]))
    known, num_training_images = set(), 0
    for piece in [train] if isinstance(train, dict) else train:
        for space, pair in searches.items():
            for search in pair:
                search.add(piece[space])
        known.update(set(keys).intersection(_keys(piece["pixels"])))
        num_training_images += len(piece["pixels"])
    is_new = np.array([key not in known for key in keys])
    found = {}
    for space, (search, others) in searches.items():
        distances, references = search.distances[:, 0], others.distances[is_new, 0]
        found[space] = {
            "generated": _quantiles(distances),
            "held_out": _quantiles(references) if len(references) else None,
            **_nearer(distances, references),
            "held_out_duplicates": int(np.sum(~is_new)),
            "num_training_images": num_training_images,
            "indices": search.indices[:, 0],
            "distances": distances,
            "held_out_distances": references,
        }
    return found


def _nearer(distances, references):
    """The share of distances below a small order statistic of the references, and its null."""
    count = len(references)
    if not count:
        return {"nearer_than_held_out": None, "expected": None, "expected_error": None}
    rank = max(1, round(_NEAR * (count + 1)))
    limit = np.sort(references)[rank - 1]
    # Among equal distances a fresh image stands at any of (tied + 1) places with equal chance; it
    # is nearer at the first ones.
    tied = np.sum(references == limit)
    places = rank - np.sum(references < limit)
    share = np.mean(distances < limit) + np.mean(distances == limit) * places / (tied + 1)
    expected = rank / (count + 1)
    spread = expected * (1.0 - expected) * (1.0 / (count + 2) + 1.0 / len(distances))
    return {
        "nearer_than_held_out": float(share),
        "expected": expected,
        "expected_error": float(np.sqrt(spread)),
    }


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


def _keys(pixels):
    """A hash of each row, the same for equal images however they were averaged."""
    rows = np.round(np.asarray(pixels, "float32"), 4) + np.float32(0.0)  # no -0
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _quantiles(distances):
    values = np.quantile(distances, QUANTILES)
    return {str(name): float(value) for name, value in zip(QUANTILES, values, strict=True)}
