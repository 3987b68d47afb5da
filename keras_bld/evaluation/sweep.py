"""The same scores for many samplers: every combination of values of the fields of `Sampling`."""

import csv
import io
import itertools
import pathlib

import numpy as np

from keras_bld.base import checks
from keras_bld.base.bulk import run_here
from keras_bld.base.files import write_json, write_text
from keras_bld.base.json_files import RECORD, Kind, list_of, number, read_json
from keras_bld.base.pictures import save_image_grid
from keras_bld.diffusion.sampling import AXES, LATER_FIELDS
from keras_bld.evaluation.plots import heat_map, steps_plot
from keras_bld.evaluation.real_images import check_enough_images, numbered_as
from keras_bld.evaluation.samples import real_features, score_samples
from keras_bld.metrics.features import hash_weights
from keras_bld.text import LabelConditions

_SHEET_COLUMNS = 10
_OLDER = {axis: value for axis, value in LATER_FIELDS.items() if axis in AXES}
_ROWS = list_of(
    Kind(
        "a combination with its metrics",
        lambda row: (
            isinstance(row, dict)
            and {*AXES, "metrics"} - set(_OLDER) <= set(row)
            and isinstance(row["metrics"], dict)
            and all(
                isinstance(entry, dict) and number().holds(entry.get("value"))
                for entry in row["metrics"].values()
            )
        ),
    )
)
_METRICS = ("frechet_distance", "kernel_distance", "precision", "recall", "recognised_as_asked")


def sweep_samplers(
    model,
    train,
    held_out,
    network,
    settings,
    folder=None,
    say=lambda message: None,
    conditions=None,
    engine=run_here,
    **axes,
):
    """Score every combination of sampler settings on the same held-out images and noise.

    Args:
        model, train, held_out, network, settings, say, conditions, engine: as in
            `evaluate_model`; `settings` holds the values of axes that are not swept.
        folder: where finished combinations are kept (sweep.json), so that an interrupted sweep
            goes on; None keeps nothing.
        **axes: names of `AXES` with the values to try; left out or empty, the one of `settings`.

    Returns:
        List of dictionaries: the settings of `AXES` and `metrics`, one for each combination.

    Raises:
        ValueError: an axis that does not exist, or values that the sampler does not take.
    """
    for axis in axes:
        checks.check_choice("axes", axis, AXES)
    base = settings.sampling or model.sampling
    axes = {axis: values for axis, values in axes.items() if len(values)}
    for axis, values in axes.items():
        for value in values:  # before anything is measured
            model.time_grid(base.replace(**{axis: value}))
    own = {**base.to_dict(), "num_steps": len(model.time_grid(base))}
    grid = [tuple(axes.get(axis, (own[axis],))) for axis in AXES]
    if network is None:
        raise checks.error(
            "network",
            "none",
            "the feature network of the distances that a sweep compares",
            "choose another --network, or make a card",
        )
    check_enough_images(train, held_out, network)
    held_out = numbered_as(train, held_out)
    path = None if folder is None else pathlib.Path(folder) / "sweep.json"
    key = {
        "settings": {"time_steps": base.to_dict()["time_steps"]},
        "seed": settings.seed,
        "num_images": settings.num_images,
        "network": network.weights_sha256,
        "real": held_out.fingerprint(),
        "weights": hash_weights(model.denoiser),
        "decoder": hash_weights(model.autoencoder.decoder),
    }
    rows = _earlier(path, key)
    real, known = (
        real_features(source, network, settings.num_images, settings.seed, engine)
        for source in (held_out, train)
    )
    for values in itertools.product(*grid):
        choice = dict(zip(AXES, values, strict=True))
        if any(all(row[axis] == choice[axis] for axis in AXES) for row in rows):
            continue
        metrics, _ = score_samples(
            model,
            network,
            settings.num_images,
            _sampling_of(model, base, choice),
            settings.seed,
            real,
            known,
            conditions,
            engine,
        )
        rows.append({**choice, "metrics": metrics})
        say(f"{choice}: Frechet distance {metrics['frechet_distance']['value']:.4g}")
        if path is not None:
            write_json(path, {"key": key, "rows": rows})
    order = {values: index for index, values in enumerate(itertools.product(*grid))}
    chosen = [row for row in rows if tuple(row[axis] for axis in AXES) in order]
    return sorted(chosen, key=lambda row: order[tuple(row[axis] for axis in AXES)])


def _sampling_of(model, base, row):
    """The `Sampling` of a combination; explicit time steps stay where their number is not swept."""
    chosen = {axis: row[axis] for axis in AXES}
    if row["num_steps"] == len(model.time_grid(base)):
        del chosen["num_steps"]
    return base.replace(**chosen)


def write_sweep(rows, folder):
    """Write sweep.csv, figure7.png, and a heat map for each pair of axes that was swept.

    Args:
        rows: list of `sweep_samplers`.
        folder: directory, made where it is missing.

    Returns:
        Names of the files.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = ["sweep.csv"]
    write_text(folder / "sweep.csv", _table(rows))
    swept = [axis for axis in AXES if len({row[axis] for row in rows}) > 1]
    if "num_steps" in swept:
        steps_plot(_curves(rows, swept), "Frechet distance", folder / "figure7.png")
        names.append("figure7.png")
    for row_axis, column_axis in itertools.combinations(swept, 2):
        for metric in ("frechet_distance", "recognised_as_asked"):
            if any(metric not in row["metrics"] for row in rows):
                continue
            name = f"{metric}_{row_axis}_{column_axis}.png"
            _heat_map(rows, row_axis, column_axis, metric, folder / name)
            names.append(name)
    return names


def sweep_sheet(model, rows, settings, path, conditions=None):
    """Write a picture with a row of samples for each combination, from the same noise.

    It shows what temperature and guidance do to an image (the paper's Figures 4 and M). Classes
    take turns along a row.

    Args:
        model, settings, conditions: as for `sweep_samplers`.
        rows: list of `sweep_samplers`.
        path: picture file.
    """
    swept = [axis for axis in AXES if len({row[axis] for row in rows}) > 1]
    base = settings.sampling or model.sampling
    conditions = conditions or LabelConditions(model)
    classes = conditions.num_classes
    asked = conditions.asked(None if classes is None else np.arange(_SHEET_COLUMNS) % classes)
    images = np.concatenate(
        [
            model.generate(
                _SHEET_COLUMNS,
                **asked,
                sampling=_sampling_of(model, base, row),
                seed=settings.seed,
            )
            for row in rows
        ]
    )
    texts = [", ".join(f"{axis} {row[axis]}" for axis in swept) for row in rows]
    save_image_grid(path, images, columns=_SHEET_COLUMNS, row_labels=texts)


def _heat_map(rows, row_axis, column_axis, metric, path):
    """Best value over the axes that are not shown."""
    best = np.nanmax if metric == "recognised_as_asked" else np.nanmin
    row_values, column_values = (
        list(dict.fromkeys(row[axis] for row in rows)) for axis in (row_axis, column_axis)
    )
    table = np.full((len(row_values), len(column_values)), np.nan)
    for row in rows:
        place = (row_values.index(row[row_axis]), column_values.index(row[column_axis]))
        table[place] = best([table[place], row["metrics"][metric]["value"]])
    title = metric.replace("_", " ")
    heat_map(table, row_values, column_values, row_axis, column_axis, title, path)


def _curves(rows, swept):
    others = [axis for axis in swept if axis != "num_steps"]
    curves = {}
    for row in rows:
        label = ", ".join(f"{axis} {row[axis]}" for axis in others) or "samples"
        entry = row["metrics"]["frechet_distance"]
        curves.setdefault(label, []).append((row["num_steps"], entry["value"], entry.get("error")))
    return {label: sorted(points) for label, points in curves.items()}


def _table(rows):
    text = io.StringIO()
    names = [name for name in _METRICS if name in rows[0]["metrics"]]
    writer = csv.writer(text)
    writer.writerow([*AXES, *names])
    for row in rows:
        values = [row["metrics"][name]["value"] for name in names]
        writer.writerow([*(row[axis] for axis in AXES), *(f"{value:.6g}" for value in values)])
    return text.getvalue()


def _earlier(path, key):
    if path is None or not path.is_file():
        return []
    earlier = read_json(
        path,
        "folder",
        "the combinations of a sweep",
        "delete the file",
        {"key": RECORD, "rows": _ROWS},
    )
    if earlier["key"] != key:
        return []
    return [{**_OLDER, **row} for row in earlier["rows"]]
