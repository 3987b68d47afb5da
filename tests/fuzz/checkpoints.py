"""Files of torch and of safetensors, and published tensors."""

import contextlib
import functools
import io
import json
import pickle
import struct
import warnings

import numpy as np
from fuzz import mutations
from fuzz.mutations import damage_bytes


class _Call:
    """Pickles as a call of a function of a module."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def _checkpoint_tensors():
    import torch

    return {
        "ema": {
            "a.weight": torch.arange(6.0).reshape(2, 3),
            "a.bias": torch.tensor([1.5, -2.0], dtype=torch.float16),
            "b": torch.tensor([0.25, 3.0], dtype=torch.bfloat16),
            "view": torch.arange(12.0).reshape(3, 4).T,
        },
        "epoch": 3,
    }


@functools.cache
def _lying_tensors():
    """State dicts whose tensors claim what the file does not hold."""
    import torch

    warnings.simplefilter("ignore")
    one = torch.zeros(4)
    found = [
        {"x": one[:1].expand(10**10)},
        {"x": one[:1].expand(2, 10**5, 10**5)},
        {"x": one[:1].half().expand(10**10)},
        {"x": torch.zeros(1, dtype=torch.bfloat16).expand(10**9)},
        {"x": torch.empty(10**5, 10**5, device="meta")},
        {"x": torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6))},
        {"x": torch.quantize_per_tensor(one, 0.1, 0, torch.qint8)},
        {"x": one.to(torch.complex64)},
        {"x": _Call(torch.Tensor, 10**9)},
        {"x": _Call(bytearray, 10**10)},
        {"x": _Call(torch._utils._rebuild_tensor_v2, one._typed_storage(), 0, (9,), (1,), False)},
        {one: one}, {("a", 1): one}, {"x": {"y": [one] * 3}}, [one], one, None, "text", 7,
    ]  # fmt: skip
    contents = []
    for content in found:
        for legacy in (False, True):
            buffer = io.BytesIO()
            with contextlib.suppress(Exception):
                torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
                contents.append(buffer.getvalue())
    return contents


def make_torch(folder):
    import torch

    torch.save(_checkpoint_tensors(), folder / "model.pth")
    torch.save(_checkpoint_tensors(), folder / "old.pth", _use_new_zipfile_serialization=False)


def damage_torch(folder, random):
    path = folder / "model.pth"
    kind = random.random()
    if kind < 0.12:
        path.write_bytes(random.choice(_lying_tensors()))
        return
    source = random.choice(("model.pth", "model.pth", "old.pth"))
    content = (folder / source).read_bytes()
    if kind < 0.5 or source == "old.pth":
        path.write_bytes(damage_bytes(content, random))
        return
    members = mutations.read_zip(content)
    path.write_bytes(mutations.damage_members(members, random, ".pkl"))


def read_torch(folder):
    from keras_bld.base.torch_files import read_arrays
    from keras_bld.conversion import read_checkpoint

    arrays = read_checkpoint(folder / "model.pth")
    # What a conversion does with each.
    for array in arrays.values():
        np.ascontiguousarray(array.astype("float32"))
    with contextlib.suppress(ValueError):
        read_arrays(folder / "model.pth", "heads", "fetch it again")


def make_safetensors(folder):
    import safetensors.torch

    safetensors.torch.save_file(
        {name: tensor.contiguous() for name, tensor in _checkpoint_tensors()["ema"].items()},
        folder / "model.safetensors",
    )


_SAFETENSORS_VALUES = (
    "F64", "F8_E4M3", "F8_E5M2", "F4", "F6_E2M3", "C64", "U64", "BOOL", "I4", "BF16", [10**10],
    [10**5] * 8, [0, 10**12], [2**62, 4], [-1, 3], [0, 0], *mutations.WRONG,
)  # fmt: skip


def damage_safetensors(folder, random):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    if random.random() < 0.3:
        path.write_bytes(damage_bytes(content, random))
        return
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    if random.random() < 0.3:  # another type that its bytes could be
        tensor = header[random.choice([name for name in header if name != "__metadata__"])]
        bits = {"F64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
                "C64": 64, "U64": 64, "BOOL": 8, "BF16": 16, "U16": 16, "I8": 8}  # fmt: skip
        start, end = tensor["data_offsets"]
        tensor["dtype"] = random.choice(list(bits))
        tensor["shape"] = [(end - start) * 8 // bits[tensor["dtype"]]]
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
        return
    text = mutations.damage_json(header, random, _SAFETENSORS_VALUES).encode()
    claimed = random.choice((len(text),) * 9 + mutations.EXTREMES) % 2**64
    path.write_bytes(struct.pack("<Q", claimed) + text + content[8 + length :])


def read_safetensors(folder):
    from keras_bld.conversion import read_checkpoint

    read_checkpoint(folder / "model.safetensors")


def make_published(folder):
    """The tensors of both published models, tiny, by name."""
    import torch
    from conversion import plain_torch

    denoiser = plain_torch.random_denoiser(plain_torch.DenoiserSizes(width=4, num_heads=1))
    denoiser["scheduler.k_final"] = torch.linspace(1, 0, 9)
    np.savez(folder / "denoiser.npz", **{name: t.numpy() for name, t in denoiser.items()})
    sizes = plain_torch.AutoencoderSizes()
    autoencoder = plain_torch.random_autoencoder(sizes)
    np.savez(folder / "autoencoder.npz", **{name: t.numpy() for name, t in autoencoder.items()})
    with open(folder / "state.pickle", "wb") as file:
        pickle.dump(("denoiser", {name: t.numpy() for name, t in denoiser.items()}), file)


def damage_published(folder, random):
    name = random.choice(("denoiser", "denoiser", "autoencoder"))
    with np.load(folder / f"{name}.npz") as file:
        state = {key: file[key] for key in file}
    for _ in range(random.choice((1, 1, 2, 4)) if random.random() < 0.97 else 0):
        key = random.choice(list(state))
        fault = random.randrange(6)
        if fault == 0:
            del state[key]
        elif fault == 1:
            number = random.choice(("999999999", "²", "-1", "07", "9" * 5000, "x", "1e3"))
            parts = key.split(".")
            places = [i for i, part in enumerate(parts) if part.isdigit()]
            if places:
                parts[random.choice(places)] = number
            state[".".join(parts)] = state[key]
        elif fault == 2:
            shapes = ((), (0,), (2, 3), (0, 10**9), (1, 10**6), (1, 1, 1, 1), (1,) * 9)
            shape = random.choice(shapes)
            state[key] = np.zeros(shape, "float32")
        elif fault == 3:
            dtype = random.choice(("int8", "S3", "complex64", "bool", "float64", "float16", "O"))
            state[key] = state[key].astype(dtype)
        elif fault == 4:
            state[key] = np.full_like(state[key], random.choice((np.nan, np.inf)))
        else:
            state[random.choice(("module.", "x.", "ema.")) + key] = state[key]
    with open(folder / "state.pickle", "wb") as file:
        pickle.dump((name, state), file)


def read_published(folder):
    from keras_bld.conversion import convert_autoencoder, convert_diffusion
    from keras_bld.conversion.diffusion import stored_num_training_steps
    from keras_bld.conversion.published_state import kind_of

    with open(folder / "state.pickle", "rb") as file:
        name, state = pickle.load(file)
    kind_of(state)
    if name == "denoiser":
        stored_num_training_steps(state)
        convert_diffusion(state, num_heads=1, num_training_steps=8)
    else:
        convert_autoencoder(state, 8, attention_resolutions=None, critic=True)
