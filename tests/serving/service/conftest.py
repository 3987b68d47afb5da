"""A program of a small model, and one service of it for all tests."""

import keras
import pytest
from serving.fast_path import larger_weights
from serving.service.running import RunningService
from small_models import shapes_model

from keras_bld.serving.service.networks import Networks
from keras_bld.serving.service.program import read_program


@pytest.fixture(scope="package")
def served_model():
    """A model whose logits are far from even, the same whatever ran before."""
    keras.utils.set_random_seed(0)
    model = shapes_model()
    larger_weights(model)
    model.class_names = ("dark", "gray", "light")
    return model


@pytest.fixture(scope="package")
def program(served_model, tmp_path_factory):
    """Its program."""
    pytest.importorskip("openvino")
    from keras_bld.serving.service.program_writer import write_program_of

    directory = tmp_path_factory.mktemp("programs") / "shapes"
    write_program_of(served_model, directory, "shapes", {"files": {}})
    return read_program(directory)


@pytest.fixture(scope="package")
def exact_networks(program):
    """Its networks in float32, compiled for up to eight rows."""
    networks = Networks(program, 8, "float32", 1)
    while networks.grow():
        pass
    return networks


@pytest.fixture(scope="package")
def service(program):
    """A service of it; who changes its state starts another."""
    running = RunningService(program.directory, "--max-queue", "64")
    running.worker()
    yield running
    assert running.stop() == 0
