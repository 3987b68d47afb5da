"""Writes the generated parts of the manual: `python docs/pages.py`, or `make pages`.

A generated part stands between two comments, `<!-- generated: NAME ARGUMENTS -->` and
`<!-- end -->`; NAME is a function below. Tables of results come from the cards in docs/results,
presets and sizes from the zoo, options from each command's own `--help`. The first cells of the
notebooks are written, too (notebook_pages.py). Tests see that all are what this program writes.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

# (row, metric of the card, decimals, metric to put beside it as "real", its name there).
RESULTS = (
    ("Frechet distance", "frechet_distance", 2),
    ("Frechet distance of reconstructions", "reconstruction_frechet_distance", 2),
    ("Frechet distance of real training images (floor)", "frechet_distance_floor", 2),
    ("precision", "precision", 2),
    ("recall", "recall", 2),
    ("recognised as what was asked for", "recognised_as_asked", 3),
    ("the same without the condition", "recognised_without_condition", 3),
    (
        "true image among the 5 nearest held-out ones: known in the other styles",
        "retrieved_among_5_new_style",
        3,
    ),
    ("the same: unknown in any style", "retrieved_among_5_unseen", 3),
    ("held-out images that the classifier recognises", "recognised_of_real", 3),
    ("their reconstructions that it recognises", "recognised_of_reconstructions", 3),
    ("classification accuracy score", "classification_accuracy_score_top_1", 3),
    ("the same classifier trained on real images", "accuracy_of_real_top_1", 3),
    ("reconstruction, PSNR in dB", "reconstruction_psnr_db", 1),
    ("reconstruction, SSIM", "reconstruction_ssim", 3),
    ("entropy of the bits (1: a coin)", "bit_entropy", 2),
    ("bits that are the same in all images", "dead_bits", 4),
    ("likelihood bound, bits per dimension", "likelihood_bits_per_dimension", 3),
    ("calibration error of flips", "calibration_error", 4),
    (
        "nearer to a training image than 99 % of held-out ones: pixels",
        "nearer_than_held_out_pixels",
        3,
    ),
    ("the same in features", "nearer_than_held_out_features", 3),
    ("the same in bits of the code", "nearer_than_held_out_codes", 3),
)
SWEEP = (
    ("Frechet distance", "frechet_distance", 2),
    ("precision", "precision", 2),
    ("recall", "recall", 2),
    ("recognised as asked", "recognised_as_asked", 2),
)


def results(preset):
    """The table of one preset's evaluation card."""
    card = _read_json("results", preset, "card.json")
    settings, metrics = card["settings"], card["metrics"]
    rows = [
        (
            label,
            _with_error(metrics[name], digits),
            f"{metrics[name]['num_samples']:,}" if metrics[name].get("num_samples") else "",
        )
        for label, name, digits in RESULTS
        if name in metrics
    ]
    made = f"seed {settings['seed']}"
    if "sampling" in settings:
        made = f"{settings['num_images']:,} images, {_sampler(settings)}, {made}"
    yield (
        f"{made[0].upper()}{made[1:]}. Distances are on features of:"
        f" {card['feature_network']['name']}. [The whole card](results/{preset}/card.md).\n\n"
    )
    yield _table(("", "value ± standard error", "images"), rows)
    yield f"\n```sh\n{_wrapped(_public(card['command']))}\n```\n"


def sweep(preset, file="sweep.json"):
    """The table of one sweep over sampler settings."""
    from keras_bld.diffusion.sampling import AXES

    found = _read_json("results", preset, file)
    rows = found["rows"]
    swept = [
        name
        for name in AXES
        if len({row.get(name) for row in rows}) > 1 or name in ("temperature", "guidance_scale")
    ]
    header = [name.replace("num_", "").replace("_scale", "") for name in swept]
    yield _table(
        (*header, *(label for label, _, _ in SWEEP)),
        [
            (
                *(
                    f"{row[name]:g}" if not isinstance(row[name], str) else row[name]
                    for name in swept
                ),
                *(_with_error(row["metrics"][name], digits) for _, name, digits in SWEEP),
            )
            for row in rows
        ],
    )
    num_images = found["key"]["num_images"]
    yield f"\n{num_images:,} images each ([all numbers](results/{preset}/{file})).\n"


def _sampler(settings):
    """How a card's images were sampled, in words."""
    sampling = settings["sampling"]
    return (
        f"{sampling['num_steps']} steps, temperature {sampling['temperature']:g} of the"
        f" {'whole prediction' if sampling['tempering'] == 'logits' else 'network alone'}, guidance"
        f" {sampling['guidance_scale']:g}, last step"
        f" {'drawn' if sampling['final'] == 'sample' else 'thresholded'}"
    )


# What a card of a preset with texts asks for.
_PROMPTS = {
    "bld_emoji_64_text": "a happy cat, fluent style",
    "bld_grocery_64_text": "ripe lemons",
}


def presets():
    """A card with a picture for each preset with weights."""
    yield '<div class="grid cards" markdown>\n'
    for name, row, metadata in _shipped():
        is_autoencoder = row.depth is None
        made = "reconstructed" if is_autoencoder else "generated"
        metric = metadata["metric"]
        if not is_autoencoder:
            metric += f"; {_sampler(_read_json('results', name, 'card.json')['settings'])}"
        asked = f'--prompt "{_PROMPTS[name]}" ' if name in _PROMPTS else ""
        code = " x ".join(map(str, row.code_shape))
        condition = {None: "no condition", "class": f"{row.condition_size} classes"}.get(
            row.condition, "texts"
        )
        parts = "stage 1 alone" if is_autoencoder else condition
        command = f"generate {name} {asked}--out grid.png"
        if is_autoencoder:
            command = f"reconstruct {name} photo.png --out pairs.png"
        yield (
            f"\n-   **`{name}`**\n\n"
            f"    ![Images that {name} {made}](images/{name}.png)\n\n"
            f"    {row.resolution} x {row.resolution} pixels as {code} bits; {parts};"
            f" {row.num_weights / 1e6:.1f} M weights; {metadata['licence']}.\n\n"
            f"    Trained on {metadata['data']}.\n\n"
            f"    {metric} ([results](results.md#{name})).\n\n"
            f"    ```sh\n    keras-bld {command}\n    ```\n"
        )
    yield "\n</div>\n"


def sizes():
    """Which sizes go with which images: the rows of the zoo."""
    from keras_bld.zoo.catalogue import CATALOGUE

    found = {}
    for row in [*CATALOGUE, *(row for _, row, _ in _shipped())]:
        denoiser = "-" if row.depth is None else f"{row.depth} x {row.width}, {row.num_heads} heads"
        key = (
            row.resolution,
            row.downsampling,
            row.code_shape,
            denoiser,
            row.num_training_steps or "-",
        )
        weights = (
            f"{row.num_autoencoder_weights / 1e6:.1f} + {row.num_denoiser_weights / 1e6:.1f} M"
        )
        found.setdefault((key, weights), []).append(f"`{row.name}`")
    rows = []
    for ((resolution, f, code, denoiser, steps), weights), names in sorted(
        found.items(), key=lambda item: (item[0][0][:3], item[0][1])
    ):
        bits = code[0] * code[1] * code[2]
        shape = " x ".join(map(str, code))
        rows.append((resolution, f, shape, f"{bits:,}", denoiser, steps, weights, ", ".join(names)))
    yield _table(
        ("pixels", "f", "code", "bits", "denoiser", "T", "weights: stage 1 + 2", "presets"), rows
    )


def exports():
    """Format x backend x part, as tests/serving/test_formats.py saw it."""
    record = _read_json("results", "exports.json")
    parts = ("generate", "inpaint", "encode", "decode")
    rows = []
    for name, backends in record.items():
        for backend, seen in backends.items():
            cells = ["yes" if seen[part] else "no" for part in parts]
            without = [seen[part] for part in seen if part.endswith("without a condition")]
            rows.append((f"`{name}`", backend, *cells, "yes" if all(without) else "no"))
    yield _table(("format", "model on", *parts, "without a label"), rows)


def export_sizes(preset):
    """Sizes and differences of a preset's exports, from their manifests."""
    rows = []
    for path in sorted(DOCS.joinpath("results", "exports", preset).glob("*.json")):
        manifest = json.loads(path.read_text())
        graphs = sum(
            size for name, size in manifest["bytes"].items() if not name.endswith((".py", ".json"))
        )
        shares = [f"{manifest['different'][part]:.2g}" for part in ("generate", "encode", "decode")]
        rows.append(
            (f"`{manifest['format']}`", manifest["weights"], f"{graphs / 1e6:.1f} MB", *shares)
        )
    parts = ("generate differs", "encode differs", "decode differs")
    yield _table(("format", "weights", "graphs", *parts), rows)


def defaults():
    """What `BinaryAutoencoder.for_images` and `BernoulliDenoiser.for_autoencoder` build."""
    from keras_bld.base.sizes import SIZES

    rows = []
    for row in SIZES:
        autoencoder, denoiser = row.autoencoder, row.denoiser
        side, f = row.resolution, row.downsampling_factor
        levels = ", ".join(
            str(m * autoencoder["base_width"]) for m in autoencoder["width_multipliers"]
        )
        rows.append(
            (
                f"up to {side}",
                f,
                f"{side // f} x {side // f} x {autoencoder['code_channels']}",
                levels,
                f"{denoiser['depth']} x {denoiser['width']}, {denoiser['num_heads']} heads",
                denoiser["num_training_steps"],
                f"`{row.trained}`" if row.trained.endswith(".py") else row.trained,
            )
        )
    yield _table(
        ("pixels", "f", "code of the largest", "channels by level", "denoiser", "T", "trained in"),
        rows,
    )


def commands():
    """Every command with its options, as its `--help` says them."""
    from keras_bld.__main__ import COMMANDS

    for name in sorted(COMMANDS):
        usage, description, rows = _help(name)
        yield f"## {name}\n\n```text\n{usage}\n```\n\n{description}\n\n"
        if rows:
            yield _table(("option", "meaning", "default"), rows) + "\n"


def _help(command):
    """(usage, description, [(option, meaning, default)]) of what `--help` prints."""
    from keras_bld.__main__ import main

    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # boxes as on a terminal
    columns, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "100"  # wider ones have two columns
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([command, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
    printed.flush()
    text = printed.buffer.getvalue().decode()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("╭"))
    usage, *description = "\n".join(lines[:first]).strip().split("\n\n")
    groups = []
    for line in lines[first:]:
        text = line.strip("│╰╯─").rstrip()
        if line.startswith("╭"):
            groups.append([])
        elif line.startswith("│ ──"):
            groups[-1].clear()  # what stood above this rule says what the group is
        elif line.startswith("│ ") and line[2] != " ":
            groups[-1].append(re.split(r"\s{2,}", text.strip(), maxsplit=1))
        elif text.strip():
            groups[-1][-1].append(text.strip())
    rows = [_option(*row) for group in groups for row in group if not row[0].startswith("-h, ")]
    return usage.removeprefix("usage: "), "\n\n".join(description), rows


def _option(flag, *texts):
    text = " ".join(texts)
    default = re.search(r"\s*\((?:default: (.*)|(required))\)$", text)
    said = text[: default.start()] if default else text
    value = "" if default is None else default[1] or default[2] or ""
    value = "" if value == "None" else value
    # The rest is told by the default, or reads better so.
    flag = flag.replace("{None}|", "").replace("{None,", "{").replace("|", "\\|")
    flag = re.sub(r"\[(\S+) \[(?:\S+) \.\.\.\]\]", r"\1 ...", flag)
    said = re.sub(r"([*_|<])", r"\\\1", said) if "`" not in said else said
    return f"`{flag}`", said, f"`{value}`" if value not in ("", "required") else value


def _shipped():
    """(name, row of the catalogue, metadata) of the presets with weights, small ones first."""
    from keras_bld.zoo.listing import row_of
    from keras_bld.zoo.shipped import SHIPPED

    found = [
        (path.name, row_of(path.name, path), json.loads((path / "metadata.json").read_text()))
        for path in SHIPPED.iterdir()
        if (path / "metadata.json").is_file()
    ]
    return sorted(found, key=lambda item: (item[1].resolution, item[0]))


def _read_json(*parts):
    return json.loads(DOCS.joinpath(*parts).read_text())


def _with_error(metric, digits):
    value = f"{metric['value']:.{digits}f}"
    return f"{value} ± {metric['error']:.{digits}f}" if metric.get("error") else value


def _public(command):
    """A command without the places of the machine that ran it."""
    command = re.sub(r" --out \S+", "", command.replace("python -m keras_bld ", "keras-bld "))
    return re.sub(
        r"(--data) \S*/(\S+)", lambda found: f"{found[1]} {found[2].upper()}_FOLDER", command
    )


def _wrapped(command, width=100):
    lines = [""]
    for word in re.split(r" (?=--)", command):
        if lines[-1] and len(lines[-1]) + len(word) > width - 3:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return " \\\n".join(lines)


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in lines)


GENERATED = {
    function.__name__: function
    for function in (
        results,
        sweep,
        presets,
        sizes,
        defaults,
        commands,
        exports,
        export_sizes,
    )
}


def renewed(text):
    """`text` of a page with its generated parts made anew."""

    def part(found):
        name, *arguments = found[2].split()
        return f"{found[1]}\n{''.join(GENERATED[name](*arguments)).strip()}\n\n{found[3]}"

    return PART.sub(part, text)


def pages():
    """The pages that have generated parts."""
    return [path for path in sorted(DOCS.glob("*.md")) if PART.search(path.read_text())]


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    for page in pages():
        page.write_text(renewed(page.read_text()))
    import notebook_pages

    for notebook, text in notebook_pages.notebooks().items():
        notebook.write_text(text)
