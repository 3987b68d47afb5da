"""Presets: their files, and the list of them."""

import contextlib
import hashlib
import io
import json
import os
import shutil

import h5py
import numpy as np
from fuzz.mutations import damage_bytes, json_file


def tiny_autoencoder():
    from keras_bld.autoencoder import BinaryAutoencoder

    return BinaryAutoencoder(
        (4, 4, 1), 4, base_width=2, width_multipliers=(1,), num_blocks=1,
        attention_resolutions=(), embedding_width=2, num_groups=1,
    )  # fmt: skip


def tiny_diffusion():
    from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

    denoiser = BernoulliDenoiser((4, 4, 4), 1, 4, 1, 4, num_classes=3)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4))


METADATA = {
    "licence": "CC0-1.0", "data": "none", "metric": "FID 3", "class_names": ["a", "b", "c"],
    "settings": {"sampling_steps": 4, "temperature": 0.9, "seed": 0}, "guidance_scale": 0.0,
    "training_steps": 10, "command": "python recipes/x.py",
}  # fmt: skip


def make_preset(build, folder):
    from keras_bld.presets import save_preset

    save_preset(build(), folder / "preset", METADATA)


def damage_preset(folder, random):
    preset = folder / "preset"
    name = random.choice(("config.json", "model.weights.h5", "metadata.json"))
    if random.random() < 0.03:
        other = random.choice([path for path in preset.iterdir() if path.name != name])
        shutil.copy(other, preset / name)
    elif name == "model.weights.h5" and random.random() < 0.7:
        damage_h5(preset / name, random)
    elif name.endswith("json"):
        json_file(preset / name, random)
    else:
        (preset / name).write_bytes(damage_bytes((preset / name).read_bytes(), random))
    # Most damage is done by somebody who means it: the digests fit.
    if name != "metadata.json" and random.random() < 0.85:
        content = (preset / name).read_bytes()
        metadata = json.loads((preset / "metadata.json").read_text())
        digest = hashlib.sha256(content).hexdigest()
        metadata["files"][name] = {"sha256": digest, "bytes": len(content)}
        (preset / "metadata.json").write_text(json.dumps(metadata))


def read_preset(folder):
    from keras_bld.presets import load_preset

    model = load_preset(folder / "preset")
    for weight in model.weights:
        assert np.isfinite(np.asarray(weight.numpy() if hasattr(weight, "numpy") else weight)).all()


def damage_listed(folder, random):
    name = random.choice(("config.json", "metadata.json", "metadata.json"))
    json_file(folder / "preset" / name, random)


def read_listing(folder):
    """The list must come whatever stands in the folder, and as plain text."""
    from rich.console import Console

    from keras_bld.commands.presets import presets_table
    from keras_bld.presets import locate
    from keras_bld.zoo import list_presets

    os.environ[locate.ENVIRONMENT_VARIABLE] = str(folder)
    try:
        rows = list_presets()
        assert "preset" in {row.name for row in rows}
        text = io.StringIO()
        console = Console(file=text, width=80, color_system=None)
        console.print(presets_table([row for row in rows if row.name == "preset"]))
        assert "\x1b" not in text.getvalue()
    except (ValueError, OSError) as error:
        raise RuntimeError(f"the listing dies: {error}") from error
    finally:
        del os.environ[locate.ENVIRONMENT_VARIABLE]


def damage_h5(path, random):
    """What h5py can write into a file of weights that no model wrote."""
    with h5py.File(path, "r+") as file:
        names, groups = [], [file]
        file.visititems(
            lambda name, item: (names if isinstance(item, h5py.Dataset) else groups).append(
                name if isinstance(item, h5py.Dataset) else item
            )
        )
        for _ in range(random.choice((1, 1, 2))):
            name, group = random.choice(names), random.choice(groups)
            fault = random.choice(_H5_FAULTS)
            with contextlib.suppress(*_H5_ERRORS):
                fault(file, name, group, random)


def _h5_values(file, name, group, random):
    value = random.choice((np.nan, np.inf, -np.inf, 1e30))
    if file[name].shape:
        file[name][(0,) * file[name].ndim] = value
    else:
        file[name][()] = value


def _h5_replace(file, name, group, random):
    shape = file[name].shape
    kind = random.randrange(9)
    del file[name]
    if kind == 0:  # nothing on the disk, gigabytes in the header
        file.create_dataset(name, random.choice([(10**10,), (10**5, 10**5), shape]), "f4")
    elif kind == 1:
        size = random.choice((10**8, 10**9))
        file.create_dataset(name, (size,), "f4", chunks=(2**20,), compression="gzip")
    elif kind == 2:
        dtype = random.choice(("f8", "f2", "i4", "u1", "S8", "c8", "?", h5py.string_dtype()))
        file.create_dataset(name, shape, dtype)
    elif kind == 3:
        file.create_dataset(name, shape, np.dtype([("a", "f4"), ("b", "i8")]))
    elif kind == 4:
        file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, 10**6)])
    elif kind == 5:
        layout = h5py.VirtualLayout((10**9,), "f4")
        layout[:100] = h5py.VirtualSource("other.h5", "x", (100,))
        file.create_virtual_dataset(name, layout, fillvalue=0)
    elif kind == 6:
        file.create_dataset(name, shape, h5py.ref_dtype)
    elif kind == 7:
        file.create_dataset(name, data=np.zeros((*shape, 2), "f4"))
    else:
        file.create_group(name)


def _h5_link(file, name, group, random):
    kind = random.randrange(5)
    if kind == 0:
        group["loop"] = file["/"]
    elif kind == 1:
        group["again"] = file[name]
    elif kind == 2:
        file[name + "x"] = h5py.SoftLink("/" + name)
    elif kind == 3:
        del file[name]
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
    else:
        del file[name]
        file[name] = h5py.SoftLink(random.choice(("/" + name, "/nowhere")))


def _h5_names(file, name, group, random):
    if random.random() < 0.5:
        del file[name]
    else:
        file.move(name, name + random.choice(("1", "/deeper", "\x1b[31m")))


def _h5_attributes(file, name, group, random):
    item = random.choice((file[name], group))
    key = random.choice(("dtype", "name", "vars"))
    item.attrs[key] = random.choice(("bfloat16", "x", 10**9, np.zeros(100), "\x1b[31m"))


_H5_FAULTS = (_h5_values, _h5_replace, _h5_replace, _h5_replace, _h5_link, _h5_names,
              _h5_attributes)  # fmt: skip
# Not every fault can be done to every array.
_H5_ERRORS = (KeyError, ValueError, OSError, TypeError, RuntimeError, OverflowError,
              AttributeError)  # fmt: skip
