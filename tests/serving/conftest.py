"""A reader that has TensorFlow alone, and a maker of models for the fast path."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from serving.fast_path import CONDITIONS, NUM_STEPS, larger_weights

from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

READER = """
import json, sys

# As if they were not installed: importing them fails.
absent = ("keras", "tf_keras", "keras_bld", "jax", "torch")
sys.modules.update(dict.fromkeys(absent))
import numpy as np
import tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
inputs = dict(np.load(sys.argv[2]))
calls = json.loads(sys.argv[3])
outputs = {}
for name, names in calls.items():
    arguments = {key: tf.constant(inputs[key]) for key in names}
    (outputs[name],) = [value.numpy() for value in served.signatures[name](**arguments).values()]
assert all(sys.modules[name] is None for name in absent)
np.savez(sys.argv[4], **outputs)
"""


@pytest.fixture
def read_elsewhere(tmp_path):
    """Call signatures in a process where tensorflow is there, but neither Keras nor we are."""

    def read(saved_model, calls, **inputs):
        np.savez(tmp_path / "inputs.npz", **inputs)
        arguments = [saved_model, tmp_path / "inputs.npz", json.dumps(calls), tmp_path / "out.npz"]
        environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
        finished = subprocess.run(
            [sys.executable, "-c", READER, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert finished.returncode == 0, finished.stderr
        return dict(np.load(tmp_path / "out.npz"))

    return read


@pytest.fixture
def make_model(make_autoencoder):
    """Callable (kind of condition, target, with_autoencoder) that builds a diffusion."""

    def make(kind=None, target="residual", with_autoencoder=False):
        denoiser = BernoulliDenoiser(
            (4, 4, 4), 1, 16, 2, num_training_steps=NUM_STEPS, **CONDITIONS[kind]
        )
        autoencoder = make_autoencoder() if with_autoencoder else None
        larger_weights(denoiser, *([autoencoder] if with_autoencoder else []))
        schedule = BernoulliNoiseSchedule(NUM_STEPS)
        return BinaryLatentDiffusion(denoiser, schedule, autoencoder, target)

    return make
