"""The checkpoint section: what resuming costs a training, as a share of its time."""

import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.base.fitting.checkpoints import CheckpointPolicy, Checkpoints
from keras_bld.base.fitting.resuming import TrainingState
from keras_bld.base.run_lock import only_run_in
from keras_bld.benchmark.measure import rounded
from keras_bld.benchmark.models import model_sizes
from keras_bld.benchmark.settings import random_codes, random_images, some_labels
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

_EMA_MOMENTUM = 0.999


def checkpoint(benchmark):
    """A step of either stage, a checkpoint of its state, and the share at the default interval.

    In this process, without a peer. The optimizer is Adam with averages of the weights. Training
    waits while the state is copied; it is written beside the training.
    """
    sizes = model_sizes(benchmark.model)
    denoiser = BernoulliDenoiser(**sizes["denoiser"])
    schedule = BernoulliNoiseSchedule(denoiser.num_training_steps)
    stages = {
        "stage 1": (BinaryAutoencoder(**sizes["autoencoder"]), 2),
        "stage 2": (BinaryLatentDiffusion(denoiser, schedule), 8),
    }
    rows = []
    for stage, (model, default_batch) in stages.items():
        batch = (benchmark.batches or (default_batch,))[0]
        if stage == "stage 1":
            data = (random_images(sizes["autoencoder"]["image_shape"], batch),)
        else:
            codes = random_codes(sizes["denoiser"]["code_shape"], batch)
            data = (codes, some_labels(sizes["denoiser"], batch))
        row = {"name": f"checkpoint, {stage}, batch {batch}", "batch": batch}
        rows.append(row | _measured(model, data, benchmark.num_repeats))
    return rows


def _measured(model, data, num_repeats):
    averages = {"use_ema": True, "ema_momentum": _EMA_MOMENTUM}
    model.compile(keras.optimizers.Adam(1e-4, **averages))
    model.train_on_batch(*data)  # compiles
    state = TrainingState(model)
    step = _median(lambda: float(np.ravel(model.train_on_batch(*data))[0]), num_repeats)
    copy = _median(state.snapshot, num_repeats)
    arrays = state.snapshot()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder)
        write = _median(lambda: checkpoints.write(1, arrays, {}), num_repeats)
        read = _median(lambda: checkpoints.newest(arrays), num_repeats)
        lock = _median(lambda: _take_lock(pathlib.Path(folder) / "run"), num_repeats)
    interval = 60 * CheckpointPolicy().minutes
    return {
        "state_mib": round(sum(array.nbytes for _, array in arrays) / 2**20, 1),
        "step_seconds": rounded(step),
        "copy_seconds": rounded(copy),
        "write_seconds": rounded(write),
        "read_seconds": rounded(read),
        "lock_seconds": rounded(lock),
        "copy_in_steps": round(copy / step, 3),
        "share_of_time": rounded(copy / (interval + copy)),
        # Were the processor to be shared with the writing all the while.
        "share_with_writing": rounded((copy + write) / (interval + copy)),
    }


def _take_lock(folder):
    with only_run_in(folder):
        pass


def _median(function, num_repeats):
    seconds = []
    for _ in range(num_repeats):
        begun = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)
