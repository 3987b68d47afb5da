import time

import h5py
import numpy as np
import pytest

from keras_bld.presets.weights_file import count_values, read_weights, write_weights


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def test_float16_halves_floats_and_leaves_integers(make_autoencoder, tmp_path):
    model = make_autoencoder(critic=True)  # with an int32 count of steps
    model.num_training_steps.assign(70000)
    write_weights(model, tmp_path / "full.weights.h5")
    write_weights(model, tmp_path / "half.weights.h5", "float16")
    full, half = datasets(tmp_path / "full.weights.h5"), datasets(tmp_path / "half.weights.h5")
    assert full.keys() == half.keys()
    assert {str(value.dtype) for value in half.values()} == {"float16", "int32"}
    assert {str(value.dtype) for value in full.values()} == {"float32", "int32"}
    for name, value in full.items():
        np.testing.assert_array_equal(value.astype(half[name].dtype), half[name])
    other = make_autoencoder(critic=True)
    read_weights(other, tmp_path / "half.weights.h5")
    assert int(other.num_training_steps) == 70000
    with h5py.File(tmp_path / "half.weights.h5") as file:
        assert count_values(file) == model.count_params()


def test_too_large_for_float16(make_diffusion, tmp_path):
    model = make_diffusion()
    model.denoiser.head.bias.assign([0.0, -7e4, 0.0, 0.0])
    with pytest.raises(ValueError, match="a weight of size 70000 at .*head"):
        write_weights(model, tmp_path / "half.weights.h5", "float16")
    with pytest.raises(ValueError, match="Invalid `dtype`: received 'int8'"):
        write_weights(model, tmp_path / "half.weights.h5", "int8")


def test_a_file_that_is_no_hdf5(make_diffusion, tmp_path):
    (tmp_path / "text.weights.h5").write_text("text")
    with pytest.raises(ValueError, match="Invalid `text.weights.h5`"):
        read_weights(make_diffusion(), tmp_path / "text.weights.h5")


def test_the_same_weights_are_the_same_bytes(make_autoencoder, tmp_path):
    model = make_autoencoder()
    write_weights(model, tmp_path / "first.weights.h5")
    time.sleep(1.1)  # HDF5 keeps times in whole seconds
    write_weights(model, tmp_path / "second.weights.h5")
    first, second = ((tmp_path / f"{name}.weights.h5").read_bytes() for name in ("first", "second"))
    assert first == second
