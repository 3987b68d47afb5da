"""The machine in words; the numbers as tables, as JSON and as a chart."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import sys

from keras_bld.base import files
from keras_bld.base.processor import processor_name
from keras_bld.base.version import __version__
from keras_bld.benchmark.settings import PATHS


def machine():
    """Versions, cores and load: without them a time means nothing."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    libraries = ("keras", "numpy", "tensorflow", "jax", "torch", "openvino")
    return {
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "versions": {
            **{
                name: importlib.metadata.version(name)
                for name in libraries
                if importlib.util.find_spec(name)
            },
            "keras_bld": __version__,  # also of a folder that is not installed
        },
        "python": platform.python_version(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "load_average": load and round(load, 1),
    }


def headline(numbers):
    """The figures of one denoising step, flat, where a denoise section was measured.

    They are those of batch 8, or of the only batch.
    """
    rows = numbers.get("sections", {}).get("denoise", [])
    row = next((row for row in rows if row["batch"] == 8), rows[0] if rows else None)
    if row is None or "fastest" not in row:
        return {}
    flat = {
        "batch": row["batch"],
        "denoise_step_seconds": row["seconds"][row["fastest"]],
        "denoise_path": row["fastest"],
        "denoise_share_of_limit": row["share_of_limit"].get(row["fastest"]),
        "gemm_float32_gflops": row["gemm_gflops"].get("float32"),
        "gemm_bfloat16_gflops": row["gemm_gflops"].get("bfloat16"),
        "gflop_per_step": row["gflop"],
    }
    if flat["gemm_bfloat16_gflops"]:
        gflops = row["gflop"] / row["lowest_seconds"][row["fastest"]]
        share = gflops / flat["gemm_bfloat16_gflops"]
        flat["denoise_share_of_bfloat16_limit"] = round(share, 3)
    for peer in ("peer", "peer_bfloat16"):
        if peer in row["seconds"]:
            flat[f"{peer}_denoise_step_seconds"] = row["seconds"][peer]
            flat[f"{peer}_denoise_ratio"] = row[f"{peer}_ratio"]
    return flat


def write_json(numbers, destination):
    """Write one JSON object to a path (whole or not at all), or to "-", the output."""
    if destination == "-":
        sys.stdout.write(json.dumps(numbers, indent=2) + "\n")
    else:
        files.write_json(destination, numbers)


def print_tables(numbers):
    """One table for each section."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print({key: value for key, value in numbers.items() if key != "sections"})
    for section, rows in numbers["sections"].items():
        with_paths = [row for row in rows if isinstance(row.get("seconds"), dict)]
        if with_paths:
            paths = [path for path in PATHS if any(path in row["seconds"] for row in with_paths)]
            table = Table("seconds", *paths, "peer / ours", "peer bf16 / ours", title=section)
            for row in with_paths:
                table.add_row(
                    row["name"],
                    *(_seconds(row["seconds"].get(path)) for path in paths),
                    str(row.get("peer_ratio", "")),
                    str(row.get("peer_bfloat16_ratio", "")),
                )
            console.print(table)
        details = Table("", "", title=f"{section}: more", show_header=False)
        for row in rows:
            shown = {
                key: value
                for key, value in row.items()
                if row not in with_paths or key in _SHOWN_BESIDE_SECONDS
            }
            text = "\n".join(
                f"{key.replace('_', ' ')}: {_text(value)}"
                for key, value in shown.items()
                if key != "name"
            )
            if text:
                details.add_row(row["name"], text)
        if details.row_count:
            console.print(details)


_SHOWN_BESIDE_SECONDS = (
    "gflops",
    "gemm_gflops",
    "share_of_limit",
    "quality",
    "parts",
    "times_unguided",
    "denoising_peer_ratio",
    "images_per_second",
    "batches_per_second",
    "times_from_store",
    "peak_gib",
    "seconds_an_image",
)


def save_chart(numbers, path):
    """Bars of seconds relative to our fastest path, one group for each row."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [
        row
        for rows in numbers["sections"].values()
        for row in rows
        if isinstance(row.get("seconds"), dict) and "fastest" in row
    ]
    paths = [name for name in PATHS if any(name in row["seconds"] for row in rows)]
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.2 * max(1, len(rows)) * (1 + len(paths))))
    height = 0.8 / max(1, len(paths))
    for place, name in enumerate(paths):
        positions = [index + place * height for index, row in enumerate(rows)]
        lengths = [row["seconds"].get(name, 0.0) / row["seconds"][row["fastest"]] for row in rows]
        bars = axes.barh(positions, lengths, height, label=name.replace("_", " "))
        labels = [_seconds(row["seconds"].get(name)) for row in rows]
        axes.bar_label(bars, labels, padding=2, fontsize=7)
    middle = 0.4 - height / 2
    axes.set_yticks([index + middle for index in range(len(rows))], [row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("time relative to our fastest path (labels: seconds)")
    axes.set_title(f"{numbers['model']}, {numbers['processor']}, {numbers['cores']} cores")
    if rows:
        axes.legend(fontsize=8)
    figure.tight_layout()
    with files.replacing(path) as new:
        figure.savefig(new, dpi=150)
    plt.close(figure)


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _seconds(value):
    return "" if value is None else f"{value:.4g} s"
