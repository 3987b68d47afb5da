"""Images side by side in one picture, with labels, written whole or not at all."""

import os
import pathlib

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.files import replacing
from keras_bld.base.images import to_uint8

_BACKGROUND = 255
_LABEL_SIZE = 12  # pixels; the height of a row of text


def image_grid(images, columns=None, padding=2, scale=1, row_labels=None):
    """Lay images out row by row on a white ground.

    Args:
        images: uint8 or floating in [0, 1], shape (num_images, height, width, channels) with 1
            or 3 channels; the last row may be incomplete.
        columns: images in a row; `None` makes the grid nearly square.
        padding: white pixels between images and around them.
        scale: whole factor by which each pixel is repeated, so that small images can be seen.
        row_labels: one text for each row, written to its left; `None` for none.

    Returns:
        uint8 array of shape (grid_height, grid_width, channels).

    Raises:
        ValueError: wrong rank or channels, values outside [0, 1], or a wrong number of labels.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import image_grid
        >>> image_grid(np.zeros((6, 8, 8, 1)), columns=3, padding=2).shape
        (22, 32, 1)
    """
    images = _checked(images)
    num_images, height, width, channels = images.shape
    if columns is None:
        columns = int(np.ceil(np.sqrt(num_images)))
    columns = checks.check_integer("columns", columns, 1)
    padding = checks.check_integer("padding", padding, 0)
    scale = checks.check_integer("scale", scale, 1)
    rows = -(-num_images // columns)
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    cell_height, cell_width = height * scale + padding, width * scale + padding
    grid = np.full(
        (rows * cell_height + padding, columns * cell_width + padding, channels),
        _BACKGROUND,
        dtype="uint8",
    )
    for index, image in enumerate(images):
        top = padding + index // columns * cell_height
        left = padding + index % columns * cell_width
        grid[top : top + height * scale, left : left + width * scale] = image
    if row_labels is None:
        return grid
    row_labels = [str(label) for label in row_labels]
    if len(row_labels) != rows:
        raise checks.error(
            "row_labels",
            f"{len(row_labels)} labels",
            f"{rows} labels, one for each row",
            f"pass {rows} labels, or change `columns`",
        )
    centers = [padding + row * cell_height + height * scale // 2 for row in range(rows)]
    return np.concatenate([_label_margin(row_labels, centers, grid.shape), grid], axis=1)


def save_image_grid(path, images, columns=None, padding=2, scale=1, row_labels=None):
    """Write `image_grid` of the arguments as a picture; the file appears whole or not at all.

    Args:
        path: where to write; the suffix names the format (.png keeps every pixel).
        images: as in `image_grid`, like all that follow.
        columns: images in a row.
        padding: white pixels between images and around them.
        scale: factor by which each pixel is repeated.
        row_labels: one text for each row.

    Returns:
        The grid, as `image_grid` returns it.

    Raises:
        ValueError: as `image_grid`, or a suffix that Pillow does not know.
    """
    grid = image_grid(images, columns, padding, scale, row_labels)
    save_picture(path, grid)
    return grid


def neighbor_sheet(path, queries, database, indices, padding=2, scale=1, row_labels=None):
    """Write a picture with one row for each query: the query, a gap, its nearest neighbours.

    Args:
        path: where to write, e.g. "neighbors.png".
        queries: images of shape (num_queries, height, width, channels), uint8 or in [0, 1].
        database: images that `indices` point into; any object that takes an index and returns an
            image of the queries' shape (array, memory map, data set).
        indices: int array of shape (num_queries, k), e.g. from `nearest_neighbors`.
        padding: white pixels between images and around them.
        scale: factor by which each pixel is repeated.
        row_labels: one text for each row, e.g. the distance of the nearest neighbour.

    Returns:
        uint8 array of the picture, shape (height, width, channels).

    Raises:
        ValueError: `indices` do not have one row per query, or images of another shape.
    """
    queries = _checked(queries, "queries")
    indices = np.asarray(indices)
    if indices.ndim != 2 or len(indices) != len(queries) or indices.shape[1] == 0:
        raise checks.error(
            "indices",
            f"shape {indices.shape} for {len(queries)} queries",
            f"shape ({len(queries)}, k)",
            "pass the indices that `nearest_neighbors(queries, ...)` returned",
        )
    found = [np.asarray(database[int(index)]) for index in indices.ravel()]
    neighbors = _checked(np.stack(found), "database")
    if neighbors.shape[1:] != queries.shape[1:]:
        raise checks.error(
            "database",
            f"images of shape {neighbors.shape[1:]}",
            f"images of shape {queries.shape[1:]} as in `queries`",
            "pass the images in the size that the features were computed from",
        )
    left = image_grid(queries, 1, padding, scale, row_labels)
    right = image_grid(neighbors, indices.shape[1], padding, scale)
    gap = np.full((left.shape[0], 4 * padding, left.shape[2]), _BACKGROUND, dtype="uint8")
    sheet = np.concatenate([left, gap, right], axis=1)
    save_picture(path, sheet)
    return sheet


def save_picture(path, picture):
    """Write a uint8 array (height, width, channels) as an image file, whole or not at all."""
    from PIL import Image

    Image.init()
    if pathlib.Path(path).suffix.lower() not in Image.EXTENSION:
        raise checks.error(
            "path",
            repr(os.fspath(path)),
            "a file name with a picture suffix such as .png",
            "add `.png` to the name",
        )
    with replacing(path) as new:
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(new)


def _checked(images, argument="images"):
    images = ops.convert_to_numpy(images) if ops.is_tensor(images) else np.asarray(images)
    if images.dtype != np.uint8:
        images = checks.check_images(images, (None, None, None), argument)
        images = to_uint8(images)
    checks.check_batch_shape(argument, images, (None, None, None))
    if images.shape[-1] not in (1, 3):
        raise checks.error(
            argument,
            f"{images.shape[-1]} channels",
            "1 (gray) or 3 (RGB)",
            "select or average channels before making a picture",
        )
    return images


def _label_margin(labels, centers, grid_shape):
    """White strip as high as the grid with each label beside the middle of its row."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=_LABEL_SIZE)
    width = int(max(font.getlength(label) for label in labels)) + 2 * (_LABEL_SIZE // 2)
    strip = Image.new("L", (width, grid_shape[0]), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for label, center in zip(labels, centers, strict=True):
        draw.text((width - _LABEL_SIZE // 2, center), label, fill=0, font=font, anchor="rm")
    return np.repeat(np.asarray(strip)[:, :, None], grid_shape[2], axis=2)
