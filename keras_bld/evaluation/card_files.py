"""A card as files: card.json, card.md and pictures."""

import pathlib
import shutil

from keras_bld.base.files import write_json, write_text
from keras_bld.evaluation.plots import card_pictures

# Beside other names than these the feature network is named: they are its numbers.
_OF_THE_NETWORK = (
    "frechet",
    "kernel_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception",
    "recognised",
    "reconstruction_frechet",
)
TRAINING_FOLDER = ".training"  # of classifiers of the card, while it is made
_NO_FID = "They are not the FID of published tables."


def write_card(card, sets, folder, json_file=None):
    """Write card.json, card.md and the pictures; each file is whole or not there.

    The checkpoints of its classifiers, in `folder` / TRAINING_FOLDER, are removed.

    Args:
        card: dictionary of `evaluate_model` or `evaluate_autoencoder`, with what the caller added.
        sets: its arrays.
        folder: directory, made where it is missing.
        json_file: path for what card.json holds, in its place; None writes card.json.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = card_pictures(card, sets, folder)
    write_text(folder / "card.md", markdown(card, pictures))
    write_json(json_file or folder / "card.json", card)
    shutil.rmtree(folder / TRAINING_FOLDER, ignore_errors=True)


def say_metrics(card, say):
    """Tell `say` every number of a card with its error, a line each."""
    for metric, entry in card["metrics"].items():
        error = f" ± {entry['error']:.2g}" if entry.get("error") is not None else ""
        say(f"  {metric}: {entry['value']:.5g}{error}")


def markdown(card, pictures=()):
    """The card as a Markdown page."""
    network = card["feature_network"]
    lines = [
        f"# Evaluation card: {card.get('preset', {}).get('name', 'model')}",
        "",
        *_described(network),
        "| metric | value | standard error | over | remark |",
        "|---|---|---|---|---|",
    ]
    for name, entry in card["metrics"].items():
        error = "" if entry.get("error") is None else f"{entry['error']:.2g}"
        label = name.replace("_", " ")
        if name.startswith(_OF_THE_NETWORK):
            named = network is None or network["is_standard"]
            label += "" if named else f" ({network.get('label', 'domain')})"
        lines.append(
            f"| {label} | {entry['value']:.5g} | {error} | {entry.get('num_samples', '')} "
            f"| {entry.get('note', '')} |"
        )
    lines += ["", "## What the numbers depend on", "", "| | |", "|---|---|"]
    for section in ("preset", "model", "real", "train", "settings", "versions"):
        for key, value in card.get(section, {}).items():
            lines.append(f"| {section}: {key.replace('_', ' ')} | {_text(value)} |")
    if card.get("command"):
        lines += ["", "```sh", card["command"], "```"]
    lines += ["", *(f"![{name}]({name})" for name in pictures), ""]
    return "\n".join(lines)


def _described(network):
    if network is None:
        return []
    text = (
        f"Distances on features of: {network['name']} ({network['num_features']} features, "
        f"sha256 {network['weights_sha256'][:16]}...)."
    )
    return [text if network["is_standard"] else f"{text} {_NO_FID}", ""]


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in value.items())
    return str(value)
