"""A table as Markdown and JSON, the paper's numbers beside ours."""

import dataclasses

import numpy as np

from keras_bld.base.files import write_json, write_text
from keras_bld.base.runs import command_line, recipe_program

_HEADS = {
    "bits": "bits an image",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "steps": "sampling steps",
    "frechet_distance": "Frechet distance (domain)",
    "frechet_distance_floor": "its floor",
    "precision": "precision",
    "recall": "recall",
    "recognised_as_asked": "recognised as asked",
}

# What a value of None means.
_MISSING = {"bits": "real numbers", "steps": "-"}


def write_table(folder, name, study, network, found):
    """Write NAME.md and NAME.json.

    Args:
        folder: of the study.
        name: of the table.
        study: `Study`.
        network: the `FeatureNetwork` of the distances, None where there are none.
        found: list of (row, one result for each seed).
    """
    columns = [column for column in _HEADS if column in found[0][1][0]]
    features = "" if network is None else f"; features: {network.name}"
    lines = [
        f"# {name}",
        "",
        f"Seeds: {list(study.seeds)}{features}. Ours are small models on "
        f"{study.image_size} x {study.image_size} images; compare the order, not the numbers.",
        "",
        "| | " + " | ".join(_HEADS[column] for column in columns) + " | the paper |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for row, results in found:
        cells = [_cell(results, column) for column in columns]
        lines.append(f"| {row.name.replace('_', ' ')} | {' | '.join(cells)} | {row.paper} |")
    command = command_line(f"{recipe_program('ablations')} {name}", study)
    write_text(folder / f"{name}.md", "\n".join([*lines, "", "```sh", command, "```", ""]))
    content = {"command": command, "study": dataclasses.asdict(study)}
    if network is not None:
        content["network"] = {"name": network.name, "weights_sha256": network.weights_sha256}
    content["rows"] = {row.name: results for row, results in found}
    write_json(folder / f"{name}.json", content)


def _cell(results, column):
    values = [result[column] for result in results]
    if any(value is None for value in values):
        return _MISSING[column]
    mean = f"{np.mean(values):.4g}"
    spread = results[0].get(f"{column}_spread")
    if spread is not None:
        return f"{mean} ± {spread:.2g} over images"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2g}"
