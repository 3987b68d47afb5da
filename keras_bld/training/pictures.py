"""The pictures that a recipe leaves: samples, reconstructions, film strip, inpainting, losses."""

import numpy as np

from keras_bld.base.fitting.history import HISTORY_FILE, read_history
from keras_bld.base.pictures import save_image_grid
from keras_bld.evaluation.plots import loss_plot

_NUM_FRAMES = 9
_MOST_ROWS = 10


def sample_sheet(model, recipe, conditions, path):
    """One row of samples for each class (at most ten of them), or a square of samples."""
    columns = recipe.sheet_columns
    labels = sheet_labels(conditions, columns)
    images = model.generate(len(labels), **sampling(recipe, conditions, labels))
    save_image_grid(path, images, columns=columns)


def denoising_filmstrip(model, recipe, conditions, path, num_rows=6):
    """The states of the sampler, decoded: coin flips on the left, images on the right."""
    labels = sheet_labels(conditions, 1)[:num_rows]
    states = model.generate_codes(
        len(labels), return_trajectory=True, **sampling(recipe, conditions, labels)
    )
    frames = np.unique(np.linspace(0, len(states) - 1, _NUM_FRAMES).round().astype(int))
    images = np.stack([model.autoencoder.decode(states[frame]) for frame in frames], axis=1)
    sheet = images.reshape(-1, *images.shape[2:])
    save_image_grid(path, sheet, columns=len(frames))


def inpainting_sheet(model, recipe, conditions, images, labels, path, num_rows=6, num_results=5):
    """Rows of: image, image with its masked half in gray, diverse fillings."""
    images = images[:num_rows].astype("float32") / 255.0
    labels = None if labels is None else labels[:num_rows]
    mask = np.zeros(images.shape[1:3], bool)
    mask[: mask.shape[0] // 2] = True
    settings = sampling(recipe, conditions, labels)
    results = model.inpaint(images, mask, num_results=num_results, **settings)
    holes = np.where(mask[None, :, :, None], 0.5, images)
    sheet = np.concatenate([images[:, None], holes[:, None], results], axis=1)
    sheet = sheet.reshape(-1, *images.shape[1:])
    save_image_grid(path, sheet, columns=num_results + 2)


def loss_curves(folder, path):
    """The losses of both stages, from the history.csv that each left in its part of `folder`."""
    histories = {}
    for stage in ("autoencoder", "diffusion"):
        history = folder / stage / HISTORY_FILE
        if history.is_file():
            rows = read_history(history)
            if rows:
                histories[stage] = rows
    if histories:
        loss_plot(histories, path)


def sheet_labels(conditions, columns):
    """Labels of a sheet, row by row: of at most ten classes, spread over all of them."""
    num_classes = conditions.num_classes or _MOST_ROWS
    rows = np.linspace(0, num_classes - 1, min(num_classes, _MOST_ROWS)).round().astype(int)
    return rows.repeat(columns)


def sampling(recipe, conditions, labels):
    """Arguments of `generate`: the condition of these classes, and the recipe's seed.

    Args:
        recipe: a `Recipe`.
        conditions: `LabelConditions` of the model.
        labels: as in `LabelConditions.asked`.
    """
    asked = conditions.asked(labels)
    return {**asked, "seed": recipe.seed}
