"""What the benchmarks share: the machine in words, timing, a table or one JSON object."""

import argparse
import json
import os
import pathlib
import platform
import sys
import time


def parser(documentation):
    """An argument parser with the program's docstring and `--json`."""
    made = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", metavar="PATH", help="write one JSON object there; - prints it")
    return made


def machine():
    """Versions, cores and load: without them a time means nothing."""
    import keras
    import numpy as np

    backend = keras.config.backend()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "backend": backend,
        "backend_version": __import__(backend).__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": load and round(load, 1),
    }


def interleaved_seconds(functions, num_repeats):
    """Seconds of each of some functions, called in turn so that all see the same load.

    Args:
        functions: name -> callable without arguments; called once beforehand, to compile.
        num_repeats: timed calls of each.

    Returns:
        name -> list of `num_repeats` wall-clock times.
    """
    for function in functions.values():
        function()
    times = {name: [] for name in functions}
    for _ in range(num_repeats):
        for name, function in functions.items():
            begun = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - begun)
    return times


def report(title, numbers, destination):
    """Print the numbers as a table, or write them as JSON where `destination` says so.

    Args:
        title: what was measured.
        numbers: dictionary of plain values; a dictionary inside makes a section.
        destination: None, a path, or "-".
    """
    if destination == "-":
        json.dump(numbers, sys.stdout, indent=2)
        print()
        return
    if destination is not None:
        pathlib.Path(destination).write_text(json.dumps(numbers, indent=2) + "\n")
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for name, value in numbers.items():
        if isinstance(value, dict):
            table.add_section()
            table.add_row(f"[bold]{name.replace('_', ' ')}", "")
            for inner_name, inner_value in value.items():
                table.add_row(f"  {inner_name.replace('_', ' ')}", _text(inner_value))
            table.add_section()
        else:
            table.add_row(name.replace("_", " "), _text(value))
    Console().print(table)


def summary(times, statistic, digits=5):
    """One number for each list of times, such as their `statistics.median` or `min`."""
    return {name: round(statistic(values), digits) for name, values in times.items()}


def _text(value):
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line[:10] == "model name")
    except (OSError, StopIteration):
        return platform.processor()
