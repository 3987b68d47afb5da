"""Runs cases of damage and judges what the readers say.

    KERAS_BACKEND=torch PYTHONPATH=.:tests python tests/fuzz/hunt.py 10000 --limit-memory

runs the cases 0 ... 9999 and prints the counts; `--format NAME` takes one format alone, and
`--first N` begins later.
"""

import argparse
import collections
import json
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings

from fuzz.formats import FORMATS

from keras_bld.base.checks import printable

LONGEST_SECONDS = 5  # of the processor
LONGEST_WAIT = 60  # seconds, on a machine that others use, too
LARGEST_GROWTH = 300 * 2**20  # bytes
# Of readers' messages that hide a failed allocation.
_OUT_OF_MEMORY = ("MemoryError", "alloc", "RESOURCE_EXHAUSTED", "out of memory")
_NOT_OUT_OF_MEMORY = "address of object past end of allocation"  # HDF5, of a damaged link


class HangError(BaseException):
    """A reader that does not end."""


def format_of(number, names):
    """The format of a case: by its number alone, each as often as its share says."""
    names = list(names)
    return random.Random(f"format {number}").choices(names, [FORMATS[n].share for n in names])[0]


def run_cases(numbers, names=tuple(FORMATS), report=None):
    """Run cases and return (counts, failures).

    Args:
        numbers: of the cases; a number always means the same damage.
        names: formats to take.
        report: callable (number, name), called before each case.

    Returns:
        counts: {(format, outcome): int}; outcomes are "refused", "read" and "FAILED".
        failures: list of (number, format, what happened).
    """
    counts, failures, seeds = collections.Counter(), [], {}
    with tempfile.TemporaryDirectory() as scratch:
        for number in numbers:
            name = format_of(number, names)
            if name not in seeds:
                seeds[name] = pathlib.Path(scratch) / f"seed {name}"
                seeds[name].mkdir()
                FORMATS[name].make(seeds[name])
                warm = pathlib.Path(scratch) / "warm"
                shutil.copytree(seeds[name], warm)
                FORMATS[name].read(warm)  # must work; and imports and compiles what is needed
                shutil.rmtree(warm)
            if report is not None:
                report(number, name)
            folder = pathlib.Path(scratch) / "case"
            shutil.copytree(seeds[name], folder)
            FORMATS[name].damage(folder, random.Random(number))
            outcome, what = _read(FORMATS[name].read, folder)
            counts[name, outcome] += 1
            if outcome == "FAILED":
                failures.append((number, name, what))
            shutil.rmtree(folder)
    return counts, failures


def _read(read, folder):
    """("refused" | "read" | "FAILED", what happened)."""
    _reset_peak()
    before, begun = _memory("VmRSS"), time.process_time()
    previous = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)
        outcome, what = "read", ""
    except (ValueError, OSError, ImportError) as error:
        outcome, what = "refused", _judge(error)
    except HangError:
        outcome, what = "FAILED", f"hangs\n{traceback.format_exc(limit=-3)}"
    except BaseException as error:
        outcome, what = "FAILED", _describe(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    seconds, growth = time.process_time() - begun, _memory("VmHWM") - before
    if outcome == "refused" and what:
        outcome = "FAILED"
    elif growth > LARGEST_GROWTH:
        outcome, what = "FAILED", f"memory grew by {growth / 2**20:.0f} MiB"
    elif seconds > LONGEST_SECONDS:
        outcome, what = "FAILED", f"took {seconds:.1f} s"
    return outcome, what


def _judge(error):
    """What is wrong with an error that says that a file is damaged; "" for nothing."""
    text = str(error)
    if "Fix: " not in text:
        return "no documented form: " + _describe(error)
    if printable(text, keep="\n") != text:
        return f"escapes in the message: {text!r}"
    while error is not None:
        shown = f"{type(error).__name__} {error}".replace(_NOT_OUT_OF_MEMORY, "")
        if any(word in shown for word in _OUT_OF_MEMORY):
            return "ran out of memory: " + _describe(error)
        error = error.__cause__ or error.__context__
    return ""


def _describe(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "keras_bld/" in
            frame.filename]  # fmt: skip
    place = f"{pathlib.Path(last.filename).name}:{last.lineno}"
    if ours:
        place = f"{ours[-1].filename.split('keras_bld/')[-1]}:{ours[-1].lineno} > {place}"
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"


def _hang(*_):
    raise HangError


def _memory(field):
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) * 1024


def _reset_peak():
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def table(counts):
    """The counts as text, one format a line."""
    outcomes = ("refused", "read", "FAILED")
    lines = [f"{'format':26}" + "".join(f"{outcome:>9}" for outcome in outcomes)]
    for name in [*dict.fromkeys(name for name, _ in counts), None]:
        numbers = [
            sum(count for (other, o), count in counts.items() if o == outcome and name in
                (other, None))
            for outcome in outcomes
        ]  # fmt: skip
        lines.append(f"{name or 'all':26}" + "".join(f"{number:9,}" for number in numbers))
    return "\n".join(lines)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--format", action="append", choices=list(FORMATS))
    parser.add_argument("--limit-memory", action="store_true")
    parser.add_argument("--json", help="file for the result, and for the case that runs")
    options = parser.parse_args()
    if options.limit_memory:
        # Far above what a case may take: it spares the machine, it does not judge.
        limit = _memory("VmSize") + 8 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def report(number, name):
        if options.json:
            pathlib.Path(options.json + ".now").write_text(f"{number} {name}")

    numbers = range(options.first, options.first + options.count)
    counts, failures = run_cases(numbers, options.format or tuple(FORMATS), report)
    for number, name, what in failures:
        print(f"case {number}, {name}: {what}")
    kinds = collections.Counter(
        f"{name}: {what.split(': ')[0]}: {what.split(': ')[1][:60] if ': ' in what else ''}"
        for _, name, what in failures
    )
    for kind, count in kinds.most_common():
        print(f"{count:6} x {kind}")
    print(table(counts))
    if options.json:
        result = {"counts": [[*key, count] for key, count in counts.items()], "failures": failures}
        pathlib.Path(options.json).write_text(json.dumps(result))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
