"""The pictures of a card: curves with matplotlib, sheets of images."""

import os

import numpy as np

from keras_bld.base.pictures import neighbor_sheet, save_image_grid
from keras_bld.base.plots import draw_history, new_figure, save_figure

_MOST_SAMPLES = 100
_MOST_COLUMNS = 20
_RECONSTRUCTIONS = "reconstructions.png"
_NUM_NEIGHBORS = 10


def card_pictures(card, sets, folder):
    """Write all pictures of a card; returns their file names.

    Args:
        card: dictionary of `evaluate_model` or `evaluate_autoencoder`.
        sets: its arrays.
        folder: a directory that exists.
    """
    if "reconstructed" in sets:  # of an autoencoder alone
        reconstruction_sheet(*sets["reconstructed"], os.path.join(folder, _RECONSTRUCTIONS))
        return [_RECONSTRUCTIONS]
    names = {
        "likelihood.png": lambda path: likelihood_plot(card["likelihood_profile"], path),
        "memorisation.png": lambda path: memorisation_plot(sets["neighbors"], path),
        "samples.png": lambda path: _sample_sheet(sets["made"], path),
    }
    if card["calibration"]:
        names["calibration.png"] = lambda path: calibration_plot(card["calibration"], path)
    for space in ("features", "codes"):
        if space not in sets["neighbors"]:
            continue
        names[f"nearest_by_{space}.png"] = lambda path, space=space: _nearest_sheet(
            sets, space, path
        )
    for name, write in names.items():
        write(os.path.join(folder, name))
    return sorted(names)


def reconstruction_sheet(images, reconstructions, path, columns=10):
    """Rows of real images, each above its reconstructions.

    Args:
        images: uint8 (num_images, height, width, channels).
        reconstructions: of these, in [0, 1].
        path: of the picture.
        columns: images in a row; images that do not fill a last row are left out.
    """
    columns = min(columns, len(images))
    whole = len(images) // columns * columns
    both = np.stack([images[:whole].astype("float32") / 255.0, reconstructions[:whole]])
    rows = both.reshape(2, -1, columns, *images.shape[1:]).swapaxes(0, 1)
    sheet = rows.reshape(-1, *images.shape[1:])
    save_image_grid(path, sheet, columns=columns)


def likelihood_plot(profile, path):
    """Terms of the variational bound by time step."""
    figure, axes = new_figure()
    axes.bar(np.arange(len(profile)), profile, width=1.0)
    axes.set_xlabel("t (0: the prior term)")
    axes.set_ylabel("bits per dimension")
    axes.set_title(f"variational bound: {sum(profile):.4f} bits per dimension in all")
    save_figure(figure, path)


def loss_plot(histories, path):
    """The loss of training and of validation by epoch, one panel for each stage.

    Args:
        histories: dictionary of a stage's name -> rows of its history.csv, values as numbers.
        path: of the picture.
    """
    figure, all_axes = new_figure(columns=len(histories))
    for axes, (stage, rows) in zip(np.atleast_1d(all_axes), histories.items(), strict=True):
        losses, validation = (
            [row[name] for row in rows if name in row] for name in ("loss", "val_loss")
        )
        draw_history(axes, f"loss, {stage}", losses, validation)
    save_figure(figure, path)


def calibration_plot(calibration, path):
    """Reliability diagram of the flip probabilities, one line for each time step."""
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    colours = np.linspace(0.0, 0.9, len(calibration))
    for row, colour in zip(calibration, colours, strict=True):
        points = [
            (x, y)
            for x, y in zip(row["mean_probability"], row["observed_frequency"], strict=True)
            if x is not None
        ]
        axes.plot(*zip(*points, strict=True), marker=".", color=_colour(colour), label=row["t"])
    axes.set_xlabel("predicted probability of a flip")
    axes.set_ylabel("observed frequency")
    axes.legend(title="t", fontsize=6, ncols=2)
    save_figure(figure, path)


def memorisation_plot(neighbors, path):
    """Distances to the nearest training image: generated beside held-out images."""
    figure, all_axes = new_figure(columns=len(neighbors))
    for axes, (space, found) in zip(all_axes, neighbors.items(), strict=True):
        both = (found["distances"], found["held_out_distances"])
        bins = np.histogram_bin_edges(np.concatenate(both), 40)
        for values, label in zip(both, ("generated", "held out, reconstructed"), strict=True):
            if len(values):
                axes.hist(values, bins, density=True, alpha=0.5, label=label)
        axes.set_xlabel(f"distance in {space}")
        axes.set_yticks([])
    all_axes[0].legend()
    save_figure(figure, path)


def heat_map(table, rows, columns, row_name, column_name, title, path):
    """A table of numbers as colours with the numbers written in.

    Args:
        table: float array (len(rows), len(columns)); NaN stays empty.
        rows, columns: values of the two axes.
        row_name, column_name: what they are.
        title: what the numbers are.
        path: picture to write.
    """
    figure, axes = new_figure()
    axes.imshow(table, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(column_name)
    axes.set_ylabel(row_name)
    axes.set_title(title)
    for row, column in np.ndindex(*table.shape):
        if np.isfinite(table[row, column]):
            axes.text(column, row, f"{table[row, column]:.3g}", ha="center", va="center", color="w")
    save_figure(figure, path)


def steps_plot(curves, metric, path):
    """The paper's Figure 7: a metric against the number of sampling steps.

    Args:
        curves: label -> list of (num_steps, value, error or None).
        metric: what the values are.
        path: picture to write.
    """
    figure, axes = new_figure()
    for label, points in curves.items():
        steps, values, errors = zip(*points, strict=True)
        errors = [error or 0.0 for error in errors]
        axes.errorbar(steps, values, errors, marker="o", capsize=2, label=label)
    axes.set_xscale("log", base=2)
    ticks = sorted({point[0] for points in curves.values() for point in points})
    axes.set_xticks(ticks, ticks)
    axes.set_xlabel("sampling steps")
    axes.set_ylabel(metric)
    axes.legend(fontsize=7)
    save_figure(figure, path)


def _sample_sheet(made, path):
    """A column for each class where there are few, otherwise the first images."""
    rows = np.arange(min(len(made.images), _MOST_SAMPLES))
    columns = min(10, len(rows))
    if made.labels is not None and made.labels.max() < _MOST_COLUMNS:
        members = [np.flatnonzero(made.labels == label) for label in np.unique(made.labels)]
        columns = len(members)
        height = min(_MOST_SAMPLES // columns, *map(len, members))
        rows = np.stack([member[:height] for member in members], axis=1).ravel()
    images = made.images[rows[: len(rows) // columns * columns]]
    save_image_grid(path, images, columns=columns)


def _nearest_sheet(sets, space, path):
    """The generated images that are nearest to a training image, beside it."""
    found = sets["neighbors"][space]
    nearest = np.argsort(found["distances"], kind="stable")[:_NUM_NEIGHBORS]
    labels = [f"{found['distances'][index]:.3g}" for index in nearest]
    indices = found["indices"][nearest]
    neighbor_sheet(
        path,
        sets["made"].images[nearest],
        {index: sets["train"][index]["image"] for index in indices.tolist()},
        indices[:, None],
        row_labels=labels,
    )


def _colour(position):
    from matplotlib import colormaps

    return colormaps["viridis"](position)
