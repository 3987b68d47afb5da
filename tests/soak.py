"""Trains a small recipe on real images twice: in a piece, and killed at random moments.

    KERAS_BACKEND=jax python tests/soak.py FOLDER --stages autoencoder diffusion --kills 20

Each run is a process of its own, forked from this one, which has only imported the library. The
kill is SIGKILL from inside: in a step, in the middle of a checkpoint's bytes, just before or just
after it gets its name, behind the history. It prints a table, and raises where anything differs.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time
import zipfile

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "recipes")]
for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import digits  # noqa: E402, behind the path and the threads

from keras_bld.base import files  # noqa: E402
from keras_bld.base.fitting import checkpoints, resuming  # noqa: E402
from keras_bld.training import main  # noqa: E402

PLACES = ("step", "bytes", "before its name", "after its name", "history")
SETTINGS = """
    --base-width 8 --embedding-width 16 --num-groups 4 --autoencoder-batch-size 8
    --adversarial-weight 1 --critic-start-step 15 --autoencoder-ema-momentum 0.9
    --depth 1 --width 32 --num-heads 2 --num-training-steps 8 --num-steps 4
    --diffusion-batch-size 16 --steps-per-epoch 10
    --num-evaluation-images 20 --evaluation-epochs 1 --evaluation-network none
""".split()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(place, number, generator):
    """Make this process kill itself at the `number`-th event of a place."""
    left = [number]

    def comes():
        left[0] -= 1
        return left[0] == 0

    def before(owner, name, action):
        original = getattr(owner, name)

        def wrapped(*arguments, **options):
            action(*arguments)
            return original(*arguments, **options)

        setattr(owner, name, wrapped)

    if place == "step":
        delay = generator.random() * 0.05

        def begin(*_):
            if comes():
                threading.Timer(delay, die).start()

        before(resuming._Saving, "on_train_batch_begin", begin)
    elif place == "bytes":
        share, seen = generator.random(), []

        def begin_file(*arguments):
            seen[:] = [comes(), int(share * len(arguments[2]))]

        def next_array(_):
            seen[1] -= 1
            if seen[0] and seen[1] < 0:
                die()

        before(checkpoints.Checkpoints, "write", begin_file)
        before(checkpoints, "_bytes_of", next_array)
    elif place == "history":
        original = resuming.HistoryTable.on_epoch_end

        def on_epoch_end(self, *arguments):
            original(self, *arguments)
            die()

        resuming.HistoryTable.on_epoch_end = on_epoch_end
    else:
        replace = os.replace

        def renamed(old, new):
            ends = str(new).endswith(checkpoints._ENDING) and comes()
            if not (ends and place == "before its name"):
                replace(old, new)
            if ends:
                die()

        files.os.replace = renamed


def run(folder, stage, num_steps, kill=None):
    """One process; the signal that ended it, or its code."""
    child = os.fork()
    if child == 0:
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 1
        try:
            if kill is not None:
                arm(*kill)
            checkpoint = ["--checkpoint-minutes", "1e-6"] if kill is not None else []
            steps = ["--autoencoder-steps", str(num_steps), "--diffusion-steps", str(num_steps)]
            words = ["--work-dir", str(folder), "--stage", stage, *SETTINGS, *steps, *checkpoint]
            main(digits.Digits, words)
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def finish(folder, stage, num_steps):
    code = run(folder, stage, num_steps)
    if code:
        raise RuntimeError(f"{stage} in {folder} ended with {code}: see {folder}.log")


def kill_often(folder, stage, num_steps, kills, seed):
    """Rows (place, step that the next run goes on from) of the kills that happened."""
    generator = random.Random(f"{stage} {seed}")
    rows = []
    while len(rows) < kills:
        place = generator.choice(PLACES)
        number = generator.randint(1, 6)
        code = run(folder, stage, num_steps, (place, number, generator))
        if code == 0:
            break
        if code != -signal.SIGKILL:
            raise RuntimeError(f"{stage} in {folder} ended with {code}: see {folder}.log")
        step = resuming.finished_steps(folder / stage)
        rows.append((place, step))
        print(f"  killed: {place}; the next goes on from step {step}", flush=True)
    return rows


def contents(folder, stage):
    """All that a finished stage leaves: name -> bytes."""
    found = {"history.csv": (folder / stage / "history.csv").read_bytes()}
    newest = max((folder / stage / "checkpoint").glob("*.zip"))
    with zipfile.ZipFile(newest) as archive:
        record = json.loads(archive.read("record.json"))
        found["record"] = json.dumps(record).encode()
        for number, (path, *_) in enumerate(record["arrays"]):
            found[f"{number} {path}"] = archive.read(str(number))
    preset = folder / ("preset" if stage == "diffusion" else "autoencoder/preset")
    found["preset"] = (preset / "model.weights.h5").read_bytes()
    return found


def compare(one, other, what):
    differences = [name for name in one if one[name] != other.get(name)]
    if differences or len(one) != len(other):
        raise RuntimeError(f"{what}: different: {differences[:5]}, {len(differences)} in all")
    return f"{len(one)} of {len(one)} equal"


def results(folder, num_steps):
    """Samples and metrics of the finished recipe."""
    for stage in ("evaluate", "sample"):
        finish(folder, stage, num_steps)
    card = json.loads((folder / "metrics.json").read_text())
    names = ("samples.png", "reconstructions.png", "inpainting.png", "denoising.png")
    pictures = {name: (folder / name).read_bytes() for name in names}
    return {"metrics": json.dumps(card["metrics"]).encode(), **pictures}


def soak(folder, stages, num_steps, kills, seed, with_results):
    """Both runs, and the table's rows."""
    whole, parts = folder / "whole", folder / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    needed = ("autoencoder", "diffusion")
    for stage in needed if with_results or "diffusion" in stages else needed[:1]:
        started = time.monotonic()
        finish(whole, stage, num_steps)
        if stage not in stages:
            if parts.exists():
                finish(parts, stage, num_steps)
            else:
                shutil.copytree(whole, parts)
            continue
        rows = kill_often(parts, stage, num_steps, kills, seed)
        finish(parts, stage, num_steps)
        equal = compare(contents(whole, stage), contents(parts, stage), stage)
        places = ", ".join(f"{name} {sum(row[0] == name for row in rows)}" for name in PLACES)
        table.append([stage, str(len(rows)), places, equal])
        print(f"{stage}: {table[-1]}, {time.monotonic() - started:.0f} s", flush=True)
    if with_results:
        equal = compare(results(whole, num_steps), results(parts, num_steps), "results")
        table.append(["sample and evaluate", "-", "-", equal])
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--stages", nargs="+", default=["autoencoder", "diffusion"])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", action="store_true")
    given = parser.parse_args()
    made = soak(given.folder, given.stages, given.steps, given.kills, given.seed, given.results)
    for line in made:
        print(f"| {os.environ['KERAS_BACKEND']} | {' | '.join(line)} |")
