"""Training on several devices and machines: what `--distribution` of a recipe means.

| mode | backend | what it does |
| --- | --- | --- |
| "none" | all | one device |
| "data_parallel" | JAX | each device has all weights and a part of the batch |
| "model_parallel" | JAX | the devices of a process share the weights, processes share the batch |
| "mirrored" | TensorFlow | as "data_parallel", on the devices of this machine |
| "multi_worker" | TensorFlow | as "mirrored", on the machines that TF_CONFIG names |

Batch, learning rate and logs are those of the whole batch in every mode.
"""

import contextlib
import json
import os
import time

import keras
import numpy as np
from keras.config import backend as backend_name

from keras_bld.base import checks
from keras_bld.base.backend import join_processes, leave_processes, process, whole_array
from keras_bld.base.processes import agree_on, part
from keras_bld.base.runs import option, say
from keras_bld.training.recipe import DISTRIBUTIONS

_BACKENDS = {
    "data_parallel": "jax",
    "model_parallel": "jax",
    "mirrored": "tensorflow",
    "multi_worker": "tensorflow",
}
# The nearest mode of the other backend.
_INSTEAD = {
    "data_parallel": "mirrored",
    "model_parallel": "mirrored",
    "mirrored": "data_parallel",
    "multi_worker": "data_parallel",
}
# How many devices TensorFlow makes of the processor where there is no GPU: to try a strategy.
CPU_DEVICES = "KERAS_BLD_CPU_DEVICES"
_JAX_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
_JAX_PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"


class Distribution:
    """How one training is spread over devices and processes; `open_distribution` makes it.

    Attributes:
        mode: one of `DISTRIBUTIONS`.
        num_parts: parts of a batch, each on a device (or a group of them) of its own.
        process, num_processes: which of how many processes this is; process 0 is the chief.
        devices: names of all devices, those of other processes too.
    """

    def __init__(self, mode="none", devices=("",), num_parts=1, process=0, num_processes=1):
        self.mode, self.devices, self.num_parts = mode, tuple(devices), num_parts
        self.process, self.num_processes = process, num_processes
        self._scope = contextlib.nullcontext

    @property
    def is_chief(self):
        """Whether this process writes files."""
        return self.process == 0

    @property
    def shard(self):
        """(index, count): which part of each batch this process reads itself.

        TensorFlow's strategies are given whole batches and divide them.
        """
        return (self.process, self.num_processes) if backend_name() == "jax" else (0, 1)

    def scope(self):
        """The context in which models are built, compiled and fitted."""
        return self._scope()

    def describe(self):
        """Which devices are used, in words; None for one."""
        if self.mode == "none":
            return None
        processes = f" of {self.num_processes} processes" if self.num_processes > 1 else ""
        return (
            f"distribution {self.mode}: {len(self.devices)} devices{processes}, "
            f"{self.num_parts} parts of each batch"
        )

    def check_batch(self, name, batch_size, parts_per_batch=1):
        """Raise ValueError unless every step's batch has as many rows for each part."""
        parts = self.num_parts * parts_per_batch
        if batch_size % parts:
            in_turn = f" in {parts_per_batch} turns" if parts_per_batch > 1 else ""
            raise checks.error(
                name,
                f"{batch_size} for {self.num_parts} devices{in_turn}",
                f"a multiple of {parts}",
                f"pass {option(name, -(-batch_size // parts) * parts)}, or fewer devices",
            )
        if self.mode in ("mirrored", "multi_worker") and parts_per_batch > 1:
            raise checks.error(
                "gradient_accumulation_steps",
                f"{parts_per_batch} with the distribution {self.mode}",
                "1: Keras 3.15 cannot sum gradients over devices in every other step alone",
                "use more devices, or the JAX backend with data_parallel",
            )

    def own_rows(self, batch_size, parts_per_batch=1):
        """Which rows of each batch this process reads: positions, or None for all.

        A batch that goes through in parts is shared part by part, so that each part is the same
        whatever the number of processes.
        """
        index, count = self.shard
        if count == 1:
            return None
        share = batch_size // parts_per_batch // count
        rows = np.arange(batch_size).reshape(parts_per_batch, count, share)
        return rows[:, index].reshape(-1)

    def wait(self):
        """Return when all processes have come here."""
        if self.num_processes > 1:
            with self.scope():
                agree_on(0)

    def wait_for(self, is_done):
        """Return when the chief's work is done, as a callable without arguments says; then `wait`.

        Hours may pass, in which nothing is asked of the network.
        """
        while not (self.is_chief or is_done()):
            time.sleep(1.0)
        self.wait()

    def close(self):
        """Part with the other processes, which end; the chief goes on alone. All call it."""
        if self.num_processes > 1:
            self.wait()
            leave_processes()
            part()
        self._scope, self.num_processes = contextlib.nullcontext, 1

    def on_one_device(self, model):
        """The trained model as one process can save it: itself, or a copy with whole weights.

        All processes call it.
        """
        if self.mode != "model_parallel" or self.num_processes == 1:
            return model
        values = [whole_array(variable) for variable in model.variables]
        copy = type(model).from_config(model.get_config())
        for variable, value in zip(copy.variables, values, strict=True):
            variable.assign(value)
        return copy

    def validation(self, data, batch_size=32):
        """Validation data as `fit` of this process takes them, and the options that go with them.

        Args:
            data: an array, or a tuple of arrays, the same in all processes.
            batch_size: rows in a batch, of all processes together.

        Returns:
            Dictionary of arguments of `fit`. Rows that fill no part of a batch are left out.
        """
        arrays = data if isinstance(data, tuple) else (data,)
        num_rows = len(arrays[0])
        if self.num_parts > 1:
            batch_size = max(1, min(batch_size, num_rows) // self.num_parts) * self.num_parts
            num_rows = num_rows // batch_size * batch_size
        if num_rows == 0:
            return {}
        index, count = self.shard
        share = batch_size // count
        rows = np.arange(num_rows)
        rows = rows[(rows % batch_size) // share == index] if count > 1 else rows
        arrays = tuple(array[rows] for array in arrays)
        data = arrays if isinstance(data, tuple) else arrays[0]
        return {"validation_data": data, "validation_batch_size": share}


def open_distribution(mode):
    """Start what a mode needs, and return its `Distribution`; the first thing a program does.

    Processes of JAX are those of `keras.distribution.initialize`: the environment variables
    KERAS_DISTRIBUTION_JOB_ADDRESSES, _NUM_PROCESSES and _PROCESS_ID say which. Those of TensorFlow
    are in TF_CONFIG.

    Raises:
        ValueError: an unknown mode, or one of another backend.
    """
    checks.check_choice("distribution", mode, DISTRIBUTIONS)
    if mode == "none":
        if _JAX_PROCESSES in os.environ or "TF_CONFIG" in os.environ:
            say("WARNING: this machine is set up for several processes; distribution is none")
        return Distribution()
    _check_backend(mode)
    return _open_jax(mode) if backend_name() == "jax" else _open_tensorflow(mode)


def _check_backend(mode):
    wanted, backend = _BACKENDS[mode], backend_name()
    if backend == wanted:
        return
    if backend == "torch":
        fix = (
            f"set KERAS_BACKEND={wanted}. (Keras 3.15 has no distribution for torch; several runs, "
            "each on a GPU of its own, need none: docs/gpus.md)"
        )
    else:
        fix = f"set KERAS_BACKEND={wanted}, or pass {option('distribution', _INSTEAD[mode])}"
    names = {"jax": "JAX", "tensorflow": "TensorFlow"}
    raise checks.error(
        "distribution",
        f"{mode!r} with the {backend} backend",
        f"{names[wanted]}, whose mode it is",
        fix,
    )


def _open_jax(mode):
    if _JAX_ADDRESSES in os.environ or _JAX_PROCESSES in os.environ:
        join_processes()
    devices = keras.distribution.list_devices()
    index, count = process()
    if mode == "data_parallel":
        keras_distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        num_parts = len(devices)
    else:
        keras_distribution = model_parallel(num_groups=count)
        num_parts = count
    distribution = Distribution(mode, devices, num_parts, index, count)
    distribution._scope = keras_distribution.scope
    return distribution


def model_parallel(num_groups=1):
    """A `keras.distribution.ModelParallel` for the denoiser and the autoencoder (JAX).

    The devices stand in `num_groups` groups. A group has all weights, split among its devices as
    `layout_map` says, and takes an equal part of each batch.

    Args:
        num_groups: must divide the number of devices.

    Example:

    >>> import keras, keras_bld
    >>> from keras_bld.training.distribution import model_parallel
    >>> with model_parallel().scope():  # doctest: +SKIP
    ...     model = keras_bld.BinaryLatentDiffusion(denoiser, schedule)
    """
    devices = keras.distribution.list_devices()
    if len(devices) % num_groups:
        raise checks.error(
            "num_groups", num_groups, f"a divisor of the {len(devices)} devices", "choose another"
        )
    mesh = keras.distribution.DeviceMesh(
        (num_groups, len(devices) // num_groups), ("batch", "model"), devices
    )
    return _ModelParallel(
        layout_map=layout_map(mesh), batch_dim_name="batch", auto_shard_dataset=False
    )


def layout_map(mesh):
    """How the weights of the denoiser and the autoencoder are split over the axis "model".

    Of each pair of matrices in a transformer block the first is split by its outputs and the second
    by its inputs, so that one sum over the devices ends the pair (Shoeybi et al. 2019, Megatron-LM,
    Section 3). Convolutions and the critic's are split by their outputs. All else, a small share of
    the weights, is everywhere.

    Args:
        mesh: `keras.distribution.DeviceMesh` with an axis "model".
    """
    layouts = keras.distribution.LayoutMap(mesh)
    first = "(query_key_value|query|key_value|mlp_hidden)"
    layouts[rf".*block_\d+/(.*/)?{first}/kernel"] = (None, "model")
    layouts[rf".*block_\d+/(.*/)?{first}/bias"] = ("model",)
    layouts[r".*block_\d+/(.*/)?(projection|mlp_output)/kernel"] = ("model", None)
    layouts[r".*(encoder|decoder|critic).*/conv[^/]*/kernel"] = (None, None, None, "model")
    layouts[r".*(encoder|decoder|critic).*/conv[^/]*/bias"] = ("model",)
    return layouts


class _ModelParallel(keras.distribution.ModelParallel):
    """Weights whose size the devices do not divide are everywhere."""

    def get_variable_layout(self, variable):
        layout = super().get_variable_layout(variable)
        sizes = dict(zip(self.device_mesh.axis_names, self.device_mesh.shape, strict=True))
        pairs = zip(layout.axes, variable.shape, strict=True)
        if any(axis is not None and size % sizes[axis] for axis, size in pairs):
            whole = [None] * len(variable.shape)
            return keras.distribution.TensorLayout(whole, self.device_mesh)
        return layout


def _open_tensorflow(mode):
    from keras_bld.training.tensorflow_strategies import open_strategy

    if mode == "multi_worker":
        if "TF_CONFIG" not in os.environ:
            raise checks.error(
                "distribution",
                "'multi_worker' without TF_CONFIG",
                "the environment variable TF_CONFIG, which names all machines and this one",
                "set it as docs/gpus.md shows, or pass " + option("distribution", "mirrored"),
            )
        with checks.as_error(_bad_tf_config):
            json.loads(os.environ["TF_CONFIG"])["cluster"]
    strategy = open_strategy(mode, os.environ.get(CPU_DEVICES))
    with strategy.scope():
        index, count = process()
    num_parts = strategy.num_replicas_in_sync
    distribution = Distribution(mode, [""] * num_parts, num_parts, index, count)
    distribution._scope = strategy.scope
    return distribution


def _bad_tf_config(reason):
    return checks.error(
        "TF_CONFIG",
        f"{os.environ['TF_CONFIG']!r} ({reason})",
        'JSON: {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}',
        "set it as docs/gpus.md shows",
    )
