"""Images side by side in one picture, with texts: shown, or written whole or not at all."""

import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bld.base import checks
from keras_bld.base.array_operations import as_array
from keras_bld.base.files import replacing
from keras_bld.base.images import to_uint8
from keras_bld.base.notebook import in_notebook

if TYPE_CHECKING:
    import PIL.Image

_BACKGROUND = 255
_TEXT_SIZE = 12  # pixels
_LINE_HEIGHT = 16
_SMALLEST_VISIBLE_SIZE = 48


def show(images: Any, **options: Any) -> None:
    """Show images as one picture: in the notebook, or in a window of the system's viewer.

    Args:
        images: as in `image_grid`.
        **options: as in `image_grid`.

    Raises:
        ValueError: as `image_grid`.

    Example:
        >>> import numpy as np
        >>> from keras_bld import show
        >>> show(np.zeros((6, 8, 8, 1)), columns=3)  # doctest: +SKIP
    """
    picture = image_grid(images, **options)
    if in_notebook():
        from IPython.display import display

        display(picture)
    elif not _open_viewer(picture):
        warnings.warn(
            "No viewer for pictures was found: write the picture to a file with "
            "keras_bld.image_grid(images).save('picture.png').",
            RuntimeWarning,
            stacklevel=2,
        )


def image_grid(
    images: Any,
    columns: int | None = None,
    padding: int = 2,
    scale: int | None = None,
    captions: Sequence[str] | str | None = None,
    row_labels: Sequence[str] | None = None,
) -> "PIL.Image.Image":
    """Lay images out row by row on a white ground, as one picture.

    Args:
        images: uint8 or floating point in [0, 1]: many, (num_images, height, width, channels)
            with 1 or 3 channels, or one, (height, width, channels) or (height, width). An array,
            a tensor, or a list of images.
        columns: images in a row; `None` makes the grid nearly square. The last row may be
            incomplete.
        padding: white pixels between images and around them.
        scale: whole factor by which each pixel is repeated; `None` makes small images visible
            (`visible_scale`).
        captions: one text for each image, written below it (one text for one image); `None` for
            none.
        row_labels: one text for each row, written to its left; `None` for none.

    Returns:
        A `PIL.Image.Image`, gray or RGB: notebooks show it, `.save("grid.png")` writes it, and
        `numpy.asarray` gives its pixels.

    Raises:
        ValueError: wrong rank or channels, values outside [0, 1], or a wrong number of texts.

    Example:
        >>> import numpy as np
        >>> from keras_bld import image_grid
        >>> image_grid(np.zeros((6, 8, 8, 1)), columns=3, scale=1).size
        (32, 22)
    """
    if isinstance(captions, str):
        captions = [captions]
    return _to_picture(_grid_array(_checked(images), columns, padding, scale, captions, row_labels))


def save_image_grid(path: str | os.PathLike, images: Any, **options: Any) -> "PIL.Image.Image":
    """Write `image_grid` of the arguments as a picture; the file appears whole or not at all.

    Args:
        path: where to write; the suffix names the format (.png keeps every pixel).
        images: as in `image_grid`, like all that follow.
        **options: as in `image_grid`.

    Returns:
        The picture, as `image_grid` returns it.

    Raises:
        ValueError: as `image_grid`, or a suffix that Pillow does not know.
    """
    picture = image_grid(images, **options)
    save_picture(path, picture)
    return picture


def visible_scale(images):
    """Whole factor by which small images are enlarged in a picture.

    Args:
        images: (num_images, height, width, channels).
    """
    return max(1, _SMALLEST_VISIBLE_SIZE // images.shape[2])


def _grid_array(images, columns, padding, scale, captions=None, row_labels=None):
    num_images, height, width, channels = images.shape
    if columns is None:
        columns = int(np.ceil(np.sqrt(num_images)))
    columns = checks.check_integer("columns", columns, 1)
    padding = checks.check_integer("padding", padding, 0)
    scale = visible_scale(images) if scale is None else checks.check_integer("scale", scale, 1)
    rows = -(-num_images // columns)
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale, width * scale
    if captions is not None:
        captions = _checked_texts("captions", captions, num_images, "image")
        width = max(width, *map(_text_width, captions))
    line = 0 if captions is None else _LINE_HEIGHT
    cell_height, cell_width = height + line + padding, width + padding
    grid = np.full(
        (rows * cell_height + padding, columns * cell_width + padding, channels),
        _BACKGROUND,
        dtype="uint8",
    )
    for index, image in enumerate(images):
        top = padding + index // columns * cell_height
        left = padding + index % columns * cell_width
        margin = (width - image.shape[1]) // 2
        grid[top : top + height, left + margin : left + margin + image.shape[1]] = image
        if captions is not None:
            text = _text_strip(captions[index], (line, width), (width // 2, line // 2), "mm")
            grid[top + height : top + height + line, left : left + width] = text
    if row_labels is None:
        return grid
    row_labels = _checked_texts("row_labels", row_labels, rows, "row")
    strip_width = max(map(_text_width, row_labels)) + 2 * (_TEXT_SIZE // 2)
    margin = np.full((grid.shape[0], strip_width, 1), _BACKGROUND, dtype="uint8")
    for row, label in enumerate(row_labels):
        top = padding + row * cell_height
        position = (strip_width - _TEXT_SIZE // 2, height // 2)
        margin[top : top + height] = _text_strip(label, (height, strip_width), position, "rm")
    return np.concatenate([np.repeat(margin, channels, axis=2), grid], axis=1)


def neighbor_sheet(path, queries, database, indices, padding=2, scale=None, row_labels=None):
    """Write a picture with one row for each query: the query, a gap, its nearest neighbours.

    Args:
        path: where to write, e.g. "neighbors.png".
        queries: images of shape (num_queries, height, width, channels), uint8 or in [0, 1].
        database: images that `indices` point into; any object that takes an index and returns an
            image of the queries' shape (array, memory map, data set).
        indices: int array of shape (num_queries, k), e.g. from `nearest_neighbors`.
        padding: white pixels between images and around them.
        scale: as in `image_grid`.
        row_labels: one text for each row, e.g. the distance of the nearest neighbour.

    Returns:
        The picture, a `PIL.Image.Image`.

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
    left = _grid_array(queries, 1, padding, scale, row_labels=row_labels)
    right = _grid_array(neighbors, indices.shape[1], padding, scale)
    gap = np.full((left.shape[0], 4 * padding, left.shape[2]), _BACKGROUND, dtype="uint8")
    sheet = _to_picture(np.concatenate([left, gap, right], axis=1))
    save_picture(path, sheet)
    return sheet


def save_picture(path, picture):
    """Write a picture as an image file, whole or not at all.

    Args:
        path: where to write; the suffix names the format.
        picture: a `PIL.Image.Image`, or uint8 (height, width, channels).
    """
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
        (picture if isinstance(picture, Image.Image) else _to_picture(picture)).save(new)


def _to_picture(array):
    from PIL import Image

    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def _open_viewer(picture):
    """Hand the picture to the system's viewer; whether there is one."""
    from PIL import ImageShow

    return ImageShow.show(picture)


def _checked(images, argument="images"):
    """The images as uint8 of shape (num_images, height, width, channels)."""
    images = as_array(images)
    if images.ndim == 2:
        images = images[..., None]
    if images.ndim == 3:
        images = images[None]
    if images.dtype != np.uint8:
        images = checks.check_images(images, (None, None, None), argument)
        images = to_uint8(images)
    checks.check_batch_shape(argument, images, (None, None, None))
    if images.shape[-1] not in (1, 3):
        raise checks.error(
            argument,
            f"shape {images.shape}, {images.shape[-1]} channels",
            "1 (gray) or 3 (RGB) channels, last",
            "select or average channels before making a picture; gray images have the shape "
            "(num_images, height, width, 1)",
        )
    return images


def _checked_texts(argument, texts, count, what):
    texts = [str(text) for text in texts]
    if len(texts) != count:
        raise checks.error(
            argument,
            f"{len(texts)} texts",
            f"{count} texts, one for each {what}",
            f"pass {count} texts",
        )
    return texts


def _font():
    from PIL import ImageFont

    return ImageFont.load_default(size=_TEXT_SIZE)


def _text_width(text):
    return int(np.ceil(_font().getlength(text)))


def _text_strip(text, shape, position, anchor):
    """White pixels (height, width, 1) of a shape with the text at (x, y)."""
    from PIL import Image, ImageDraw

    strip = Image.new("L", shape[::-1], _BACKGROUND)
    ImageDraw.Draw(strip).text(position, text, fill=0, font=_font(), anchor=anchor)
    return np.asarray(strip)[..., None]
