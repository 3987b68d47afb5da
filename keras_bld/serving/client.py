"""Runs an exported model with NumPy and the format's own runtime; needs no keras_bld.

    python bld_client.py generate digits.npy num_images=4 seed=7 labels=3

or, in a program beside which this file lies:

    client = bld_client.Client()
    images = client.generate(num_images=4, seed=7, labels=[1, 2, 3, 4])

Images are uint8 (rows, height, width, channels). The same seed gives the same images as keras_bld.
"""

import functools
import json
import pathlib
import sys

import numpy as np


class Client:
    """An exported model.

    Args:
        folder: what `model.export` wrote; by default where this file lies.
    """

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or pathlib.Path(__file__).parent)
        self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        self._run = _RUNTIMES[self.manifest["format"]](self.folder, self.manifest["parts"])

    def generate(self, num_images=1, seed=0, first_index=0, **options):
        """New images; picture i depends on the seed and on first_index + i alone.

        Options: labels or text_embeddings, temperature, guidance_scale; one value, or one for each
        picture. Without a label, -1, or with zeros for a text, the model is not told what to make.
        """
        return self._answer(
            "generate", num_images, self._rows(num_images, seed, first_index, options)
        )

    def generate_codes(self, num_images=1, seed=0, first_index=0, **options):
        """New codes, of a model without an autoencoder."""
        rows = self._rows(num_images, seed, first_index, options)
        return self._answer("generate_codes", num_images, rows)

    def inpaint(self, images, mask, seed=0, first_index=0, **options):
        """Images (rows, height, width, channels) with new content where the mask is not 0."""
        count = len(images)
        rows = self._rows(count, seed, first_index, options)
        return self._answer("inpaint", count, {"images": images, "mask": mask, **rows})

    def encode(self, images):
        """Images -> codes."""
        return self._answer("encode", len(images), {"images": images})

    def decode(self, codes):
        """Codes -> images."""
        return self._answer("decode", len(codes), {"codes": codes})

    def _rows(self, count, seed, first_index, options):
        sampling = self.manifest["sampling"] or {}
        known = self.manifest["requests"].get("generate") or self.manifest["requests"].get(
            "generate_codes", {}
        )
        rows = {"seed": seed, "index": first_index + np.arange(count)}
        defaults = {"labels": -1, "text_embeddings": 0.0, **sampling}
        rows |= {name: defaults[name] for name in known if name not in rows}
        return rows | options

    def _answer(self, request, count, values):
        """Check a request, and answer it in batches of the size that the graphs have."""
        if request not in self.manifest["requests"]:
            raise ValueError(
                f"This export has no `{request}`, only {', '.join(self.manifest['requests'])}."
            )
        rows = checked_rows(self.manifest["requests"][request], count, values)
        size = self.manifest["batch_size"] or count
        answers = []
        for first in range(0, count, size):
            places = np.minimum(np.arange(first, first + size), count - 1)
            batch = {name: array[places] for name, array in rows.items()}
            answers.append(self._batch(request, batch)[: count - first])
        return np.concatenate(answers)

    def _batch(self, request, rows):
        if request in self.manifest["parts"]:
            return self._run(request, **rows)
        if request == "generate_codes":
            return self._codes(rows).astype("uint8")
        if request == "generate":
            return self._run("decode", codes=self._codes(rows).astype("uint8"))
        images, mask = rows.pop("images"), rows.pop("mask") != 0
        height, width, bits = self.manifest["code_shape"]
        blocks = mask.reshape(len(mask), height, mask.shape[1] // height, width, -1)
        known = 1.0 - np.repeat(blocks.any(axis=(2, 4))[..., None], bits, axis=-1)
        codes = self._codes(rows, self._run("encode", images=images), known)
        return np.where(mask[..., None], self._run("decode", codes=codes.astype("uint8")), images)

    def _codes(self, rows, known_codes=0.0, known_mask=0.0):
        """Denoise: in one graph where the format holds the loop, or step by step."""
        seeds, indices = rows["seed"], rows["index"]
        shape = (len(seeds), *self.manifest["code_shape"])
        known = {"known_codes": known_codes, "known_mask": known_mask}
        known = {
            name: np.broadcast_to(part, shape).astype("float32") for name, part in known.items()
        }
        if "sample" in self.manifest["parts"]:
            return self._run("sample", **rows, **known)
        rows = {name: rows[name] for name in rows if name not in ("seed", "index")}
        codes = (uniforms(seeds, indices, 0, shape) < 0.5).astype("float32")
        for step in range(self.manifest["num_calls"]):
            noise = uniforms(seeds, indices, step + 1, shape)
            codes = self._run(
                "step", codes=codes, step=np.array(step, "int32"), noise=noise, **rows, **known
            )
        return codes


def uniforms(seeds, indices, step, shape):
    """The numbers in [0, 1) that keras_bld draws: Threefry-2x32 with 20 rounds."""
    size = int(np.prod(shape[1:]))
    key = [np.asarray(part, "uint32")[:, None] for part in (seeds, indices)]
    key.append(key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x = np.arange((size + 1) // 2, dtype="uint32")[None] + key[0]
    y = np.full_like(x, step) + key[1]
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x = x + y
            y = (y << np.uint32(turn) | y >> np.uint32(32 - turn)) ^ x
        x = x + key[(group + 1) % 3]
        y = y + key[(group + 2) % 3] + np.uint32(group + 1)
    words = np.concatenate([x, y], axis=1)[:, :size] >> np.uint32(8)
    return (words.astype("float32") * np.float32(2**-24)).reshape(shape)


def checked_rows(inputs, count, values):
    """Name -> array with `count` rows, of the type, shape and range that the manifest says.

    Raises:
        ValueError: what was received and what is expected.
    """
    if count < 1:
        raise ValueError(f"Invalid request: received {count} rows; expected 1 or more.")
    if unknown := set(values) - set(inputs):
        raise ValueError(f"Unknown: {', '.join(sorted(unknown))}; expected {', '.join(inputs)}.")
    rows = {}
    for name, given in inputs.items():
        if name not in values:
            raise ValueError(f"Invalid `{name}`: received nothing; expected {given['meaning']}.")
        array = np.asarray(values[name])
        if array.ndim == 0:  # one for all
            array = np.broadcast_to(array, (count, *given["shape"]))
        wanted = (count, *given["shape"])
        if array.shape != wanted:
            raise ValueError(f"Invalid `{name}`: received shape {array.shape}; expected {wanted}.")
        whole = array.dtype.kind in "iub"
        if array.dtype.kind not in "iubf" or (not given["dtype"].startswith("float") and not whole):
            raise ValueError(
                f"Invalid `{name}`: received {array.dtype}; expected {given['dtype']}."
            )
        low, high = array.min(), array.max()
        fits = (given["low"] is None or low >= given["low"]) and (
            given["high"] is None or high <= given["high"]
        )
        if not (np.isfinite(low) and np.isfinite(high) and fits):
            expected = f"{given['low']} ... {given['high']}".replace("None", "any")
            raise ValueError(f"Invalid `{name}`: received {low} ... {high}; expected {expected}.")
        rows[name] = np.ascontiguousarray(array, dtype=given["dtype"])
    return rows


# What runs the parts: callable (name of a part, **inputs) -> array ---------------------------


def _tensorflow(folder, parts):
    import tensorflow as tf

    served = tf.saved_model.load(str(folder / next(iter(parts.values()))["file"]))

    def run(name, **inputs):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return served.signatures[name](**tensors)[parts[name]["output"]].numpy()

    return run


@functools.cache
def _openvino_core():
    """One for the process: a second one that outlives the first makes Ctrl-C a crash."""
    import openvino

    return openvino.Core()


def _openvino(folder, parts):
    core = _openvino_core()
    # float32, or the processor's bfloat16 would change some images.
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    graphs = {
        name: core.compile_model(folder / part["file"], "CPU", settings)
        for name, part in parts.items()
    }
    return lambda name, **inputs: graphs[name](inputs)[0].copy()


def _onnx(folder, parts):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    sessions = {
        name: onnxruntime.InferenceSession(folder / part["file"], options)
        for name, part in parts.items()
    }

    def run(name, **inputs):
        wanted = {entry.name for entry in sessions[name].get_inputs()}
        return sessions[name].run(None, {key: inputs[key] for key in wanted})[0]

    return run


def _litert(folder, parts):
    from ai_edge_litert.interpreter import Interpreter

    graphs = {name: Interpreter(str(folder / part["file"])) for name, part in parts.items()}

    def run(name, **inputs):
        graph = graphs[name]
        places = {entry["name"]: entry for entry in graph.get_input_details()}
        for key, place in places.items():
            if tuple(place["shape"]) != inputs[key].shape:
                graph.resize_tensor_input(place["index"], inputs[key].shape)
        graph.allocate_tensors()
        for key, place in places.items():
            graph.set_tensor(place["index"], inputs[key])
        graph.invoke()
        return graph.get_tensor(graph.get_output_details()[0]["index"])

    return run


_RUNTIMES = {
    "tf_saved_model": _tensorflow,
    "openvino": _openvino,
    "onnx": _onnx,
    "litert": _litert,
}


def _main(request, out, *words):
    """REQUEST OUT.npy NAME=VALUE ...; a value is a number, a list in JSON, or a .npy file."""
    values = {}
    for word in words:
        name, text = word.split("=", 1)
        values[name] = np.load(text) if text.endswith(".npy") else json.loads(text)
    answer = getattr(Client(), request)(**values)
    np.save(out, answer)
    print(f"{out}: {answer.dtype} {answer.shape}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
