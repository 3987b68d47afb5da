import time

import h5py
import numpy as np
import pytest

from keras_bld.presets.weights_file import inspect_weights, read_weights, write_weights


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
    model.num_steps_taken.assign(70000)
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
    assert int(other.num_steps_taken) == 70000
    contents = inspect_weights(tmp_path / "half.weights.h5")
    assert (contents.num_values, contents.num_weights) == (model.count_params(), len(half))


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


@pytest.mark.once
@pytest.mark.parametrize(
    "lie, message",
    [
        ({"shape": (10**6, 10**6)}, "1,000,000,000,000 numbers in 0 bytes"),
        ({"shape": (2**32, 2**32)}, "numbers in 0 bytes"),
        ({"shape": (10**9,), "chunks": (2**20,), "compression": "gzip"}, "no plain array"),
        ({"shape": (4,), "external": [("/etc/passwd", 0, 16)]}, "no plain array"),
        ({"shape": (4,), "dtype": "S8"}, "no plain array"),
        ("soft", "the link `/x` to elsewhere"),
        ("external", "the link `/x` to elsewhere"),
        ("loop", "stands there under another name"),
        ("twice", "stands there under another name"),
    ],
)
def test_sizes_that_are_only_claimed_are_refused_before_they_are_read(lie, message, tmp_path):
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file["group/kernel"] = np.zeros(4, "float32")
        if lie == "soft":
            file["x"] = h5py.SoftLink("/group/kernel")
        elif lie == "external":
            file["x"] = h5py.ExternalLink("/etc/passwd", "/")
        elif lie == "loop":
            file["group/x"] = file["/"]
        elif lie == "twice":
            file["x"] = file["group/kernel"]
        else:
            file.create_dataset("x", **lie)
    with pytest.raises(ValueError, match=f"Invalid `model.weights.h5`.*{message}.*Fix: "):
        inspect_weights(path)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(value, make_diffusion, tmp_path):
    model = make_diffusion()
    path = tmp_path / "model.weights.h5"
    write_weights(model, path)
    with h5py.File(path, "r+") as file:
        file["denoiser/head/vars/1"][2] = value
    with pytest.raises(ValueError, match="NaN or infinity in the weight `.*head/bias` of .*Fix: "):
        read_weights(make_diffusion(), path)
    model.denoiser.head.bias.assign([0.0, 0.0, value, 0.0])
    with pytest.raises(ValueError, match="`model`: received NaN or infinity .*head/bias`.*Fix: "):
        write_weights(model, tmp_path / "other.weights.h5")
    assert [file.name for file in tmp_path.iterdir()] == ["model.weights.h5"]
