"""`python -m keras_bld generate`."""

import pathlib
import time
from typing import Literal

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.batching import comfortable_batch_size
from keras_bld.base.files import write_json
from keras_bld.base.images import to_uint8
from keras_bld.base.json_files import read_json
from keras_bld.base.pictures import save_image_grid, save_picture
from keras_bld.base.progress import progress_bar
from keras_bld.base.random import resolve_seed, uniforms
from keras_bld.base.runs import short_errors
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions
from keras_bld.commands.tools import images_written
from keras_bld.text.label_conditions import condition_cycle
from keras_bld.zoo import load_preset, read_metadata

_LARGEST_BATCH = 32
_MOST_COLUMNS = 20
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_SETTINGS = "settings.json"
# What a PNG file begins and ends with.
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def generate_command(
    preset: str,
    /,
    *,
    num_images: int = 64,
    out: str | None = None,
    out_dir: str | None = None,
    out_store: str | None = None,
    labels: tuple[str, ...] = (),
    prompt: tuple[str, ...] = (),
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
    seed: int = 0,
    batch_size: int | None = None,
    columns: int | None = None,
    inference_target: Literal["openvino"] | None = None,
    inference_precision: Literal["bfloat16", "float32"] = "bfloat16",
):
    """Make new images: one sheet (--out), a file for each (--out-dir), or codes (--out-store).

    Image i depends on the model, the seed, the settings and i alone. So the same command with
    --out-dir makes only the files that are missing, after an interruption or for a larger
    --num-images; with --out-store it makes the shards that are missing.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder.
        num_images: how many.
        out: picture file for a sheet of all images.
        out_dir: directory for 000000.png, 000001.png, ...
        out_store: directory for a store of packed codes and labels, 512 images a file; reading it
            decodes them (keras_bld.data.CodeStore.decoded_batches).
        labels: classes by name or number, taken in turn: image i gets entry i modulo their
            number; by default all classes of the model. Not for an unconditional model.
        prompt: texts for a model that is conditioned on text, taken in turn like labels; by
            default one for each class that it was trained on.
        sampler: the fields of `Sampling`.
        seed: integer in [0, 2**31).
        batch_size: images in one compiled batch; by default up to 32, fewer if they are big.
        columns: images in a row of the sheet; by default one for each class, or a square.
        inference_target: openvino runs the networks through it (extra serve), faster on most
            processors; the noise is the same.
        inference_precision: of openvino. With float32 the images are those of the plain path but
            for rounding; bfloat16 is several times as fast where the processor has it, and moves
            about one bit in a hundred.
    """
    with short_errors(resumable=out is None):
        _check_outputs(out, out_dir, out_store)
        num_images = checks.check_integer("num_images", num_images, 1)
        model = load_preset(preset, expected_class="BinaryLatentDiffusion")
        _check_model(model, preset)
        if batch_size is None:
            largest = min(_LARGEST_BATCH, num_images)
            batch_size = comfortable_batch_size(model.autoencoder.image_shape, largest)
        metadata = read_metadata(preset)
        conditions = condition_cycle(model, metadata, labels, prompt)
        model.sampling = model.sampling.replace(**sampler.given())
        inference = None
        if inference_target is not None:
            inference = {"target": inference_target, "precision": inference_precision}
            model.compile_for_inference(**inference)
        if out is not None:
            _make_sheet(model, out, num_images, conditions, seed, batch_size, columns)
        elif out_dir is not None:
            folder = pathlib.Path(out_dir)
            made_with = {"seed": seed, "inference": inference, **conditions.settings}
            made_with |= model.sampling.to_dict()
            _claim(folder, metadata["files"], made_with)
            _make_files(model, folder, num_images, conditions, seed, batch_size)
        else:
            _make_store(model, pathlib.Path(out_store), num_images, conditions, seed, batch_size)


def _make_sheet(model, out, num_images, conditions, seed, batch_size, columns):
    begun = time.monotonic()
    made = []
    asked = conditions.of(np.arange(num_images))
    batches = model.generate_batches(num_images, **asked, seed=seed, batch_size=batch_size)
    with progress_bar("generate", num_images) as show:
        for images in batches:
            made.extend(to_uint8(images))
            show(len(made))
    if columns is None and 1 < len(conditions) <= _MOST_COLUMNS:
        columns = len(conditions)
    made = np.stack(made)
    pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_image_grid(out, made, columns=columns)
    _report(num_images, begun, out)


def _make_files(model, folder, num_images, conditions, seed, batch_size):
    begun = time.monotonic()
    paths = [folder / f"{index:06d}.png" for index in range(num_images)]
    missing = [index for index, path in enumerate(paths) if not _is_whole(path)]
    done = num_images - len(missing)
    with progress_bar("generate", num_images) as show:
        show(done)
        for start in range(0, len(missing), batch_size):
            indices = np.array(missing[start : start + batch_size])
            images = _images(model, indices, conditions, seed, batch_size)
            for index, image in zip(indices, images, strict=True):
                save_picture(paths[index], image)
            done += len(indices)
            show(done)
    if len(missing) < num_images:
        print(f"{num_images - len(missing)} images were there already.")
    _report(len(missing), begun, folder)


def _make_store(model, folder, num_images, conditions, seed, batch_size):
    begun = time.monotonic()
    there = {path.name for path in folder.glob("*.array_record")}
    with progress_bar("generate", num_images) as show:
        store = model.generate_to_store(
            folder,
            num_images,
            **conditions.of(np.arange(num_images)),
            seed=seed,
            batch_size=batch_size,
            on_progress=lambda done, _: show(done),
        )
        show(num_images)
    made = images_written(store, there)
    if made < num_images:
        print(f"{num_images - made} images were there already.")
    _report(made, begun, folder)


def _images(model, indices, conditions, seed, batch_size):
    """The images with these indices, whatever stands between them, as uint8."""
    seed = resolve_seed(seed)
    # `generate` numbers its images from 0; explicit noise stands for any others.
    noise = [
        ops.convert_to_numpy(uniforms(seed, indices, step, model.code_shape))
        for step in range(len(model.time_grid(model.sampling)) + 1)
    ]
    codes = model.generate_codes(
        len(indices), **conditions.of(indices), noise=np.stack(noise), batch_size=batch_size
    )
    return to_uint8(model.autoencoder.decode(codes))


def _is_whole(path):
    """Whether there is a PNG file that begins and ends like one."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    return content.startswith(_PNG_START) and content.endswith(_PNG_END)


def _claim(folder, model_files, settings):
    """Note what the folder's images are made with, or refuse a folder of others."""
    wanted = {**settings, "model": model_files}
    path = folder / _SETTINGS
    # Not what a killed program left: hidden, or half an image.
    images = (image for image in folder.glob("*.png") if not image.name.startswith("."))
    if path.is_file() and any(map(_is_whole, images)):
        there = read_json(path, "out_dir", "the settings of these images", "pass another --out-dir")
        different = [key for key in wanted if there.get(key) != wanted[key]]
        if different:
            names = ", ".join(
                key if key == "model" else f"{key}={wanted[key]!r} (there: {there.get(key)!r})"
                for key in different
            )
            raise checks.error(
                "out_dir",
                f"{folder}, which holds images of another run: {names}",
                "a new directory, or the settings of the images in it",
                "pass another --out-dir",
            )
    write_json(path, wanted)


def _check_outputs(out, out_dir, out_store):
    outputs = {"--out": out, "--out-dir": out_dir, "--out-store": out_store}
    given = [name for name, value in outputs.items() if value is not None]
    if len(given) != 1:
        raise checks.error(
            "out",
            " and ".join(given) or "no output",
            "one of --out, --out-dir and --out-store",
            "pass --out sheet.png for one picture, --out-dir DIR for a file for each image, or "
            "--out-store DIR for codes",
        )
    if out is not None:
        # Before the work, not after it.
        checks.check_choice("the suffix of out", pathlib.Path(out).suffix.lower(), _SUFFIXES)


def _check_model(model, preset):
    if model.autoencoder is None:
        raise checks.error(
            "preset",
            f"{preset!r}, a model without an autoencoder",
            "a model that makes images",
            "convert or save it together with its autoencoder",
        )


def _report(num_images, begun, where):
    seconds = time.monotonic() - begun
    print(f"{num_images} images in {seconds:.1f} s ({num_images / seconds:.1f} images/s): {where}")
