"""Masks for inpainting: pixels, code cells, and what stays as it was."""

import numpy as np

from keras_bld.base import checks


def pixel_mask(mask, batch, image_shape, code_shape):
    """Return a boolean mask (batch, height, width, 1), True where new content goes.

    Args:
        mask: 0/1 or booleans; pixels (height, width) or code cells (h, w), each optionally with a
            leading batch axis of size 1 or `batch` and a trailing axis of size 1.
        batch: number of images.
        image_shape: (height, width, channels).
        code_shape: (h, w, bits).

    Raises:
        ValueError: another shape, or values other than 0 and 1.
    """
    mask = np.asarray(mask)
    height, width = image_shape[:2]
    cells = tuple(code_shape[:2])
    candidates = [mask]
    if mask.ndim >= 3 and mask.shape[-1] == 1:
        candidates.append(mask[..., 0])
    for candidate in candidates:
        grid = candidate.shape[-2:]
        leading = candidate.shape[:-2]
        if leading not in ((), (1,), (batch,)) or grid not in ((height, width), cells):
            continue
        if not np.isin(candidate, (0, 1)).all():
            raise checks.error(
                "mask", "values other than 0 and 1", "0 and 1, or booleans", "threshold the mask"
            )
        candidate = candidate.astype(bool)
        if grid != (height, width):
            candidate = candidate.repeat(height // cells[0], -2).repeat(width // cells[1], -1)
        return np.broadcast_to(candidate, (batch, height, width))[..., None]
    raise checks.error(
        "mask",
        f"shape {mask.shape}",
        f"pixels ({height}, {width}) or code cells {cells}, optionally with a leading batch axis"
        f" of 1 or {batch}",
        "resize the mask to the image or to the code grid",
    )


def code_mask(pixels, code_shape):
    """Return float32 (batch, *code_shape), 1 for the bits of cells that hold a masked pixel."""
    batch, height, width, _ = pixels.shape
    rows, columns, bits = code_shape
    blocks = pixels.reshape(batch, rows, height // rows, columns, width // columns)
    touched = blocks.any(axis=(2, 4))[..., None]  # (batch, rows, columns, 1)
    return np.broadcast_to(touched, (batch, rows, columns, bits)).astype("float32")


def composite(images, made, mask):
    """Take `made` where the mask is True and `images`, unchanged, elsewhere."""
    return np.where(mask, made, images)
