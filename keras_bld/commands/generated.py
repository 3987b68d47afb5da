"""What `keras-bld generate` writes: a sheet, a file for each image, or a store."""

import dataclasses
import pathlib
import time

import numpy as np

from keras_bld.base import checks
from keras_bld.base.files import write_json
from keras_bld.base.images import to_uint8
from keras_bld.base.json_files import read_json
from keras_bld.base.pictures import save_image_grid, save_picture
from keras_bld.base.progress import progress_bar
from keras_bld.commands.tools import images_written
from keras_bld.diffusion.generation_store import PlannedCodes
from keras_bld.diffusion.sampling import LATER_FIELDS, plan_sampling

_MOST_COLUMNS = 20
_SETTINGS = "settings.json"
# What a PNG file begins and ends with.
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def make_sheet(model, out, num_images, conditions, seed, batch_size, columns):
    """Write a picture with all images."""
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


def make_files(model, folder, num_images, conditions, seed, batch_size, engine):
    """Write a file for each image that is not there yet."""
    begun = time.monotonic()
    paths = [folder / f"{index:06d}.png" for index in range(num_images)]
    missing = np.array([i for i, path in enumerate(paths) if not _is_whole(path)], "int32")
    done = num_images - len(missing)
    with progress_bar("generate", num_images) as show:
        show(done)
        numbers = iter(missing)
        for images in _images(model, missing, conditions, seed, batch_size, engine):
            for image in images:
                save_picture(paths[next(numbers)], image)
            done += len(images)
            show(done)
    if len(missing) < num_images:
        print(f"{num_images - len(missing)} images were there already.")
    _report(len(missing), begun, folder)


def make_store(model, folder, num_images, conditions, seed, batch_size, engine):
    """Write a store of codes, its missing shards."""
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
            engine=engine,
        )
        show(num_images)
    made = images_written(store, there)
    if made < num_images:
        print(f"{num_images - made} images were there already.")
    _report(made, begun, folder)


def _images(model, indices, conditions, seed, batch_size, engine):
    """Batches of the images with these indices, whatever stands between them, as uint8."""
    if not len(indices):
        return ()
    asked = conditions.of(indices)
    # `generate` numbers its images from 0; these have numbers of their own.
    plan = plan_sampling(
        model, len(indices), **asked, indices=indices, seed=seed, batch_size=batch_size
    )
    return engine(_Decoded(PlannedCodes(model, plan)), [(0, len(indices))], batch_size)


@dataclasses.dataclass
class _Decoded:
    """Bulk work: images of codes, uint8."""

    codes: PlannedCodes

    def __call__(self, start, stop):
        for codes in self.codes(start, stop):
            yield to_uint8(self.codes.model.autoencoder.decode(codes))


def _is_whole(path):
    """Whether there is a PNG file that begins and ends like one."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    return content.startswith(_PNG_START) and content.endswith(_PNG_END)


def claim_images(folder, model_files, settings):
    """Note what the folder's images are made with, or refuse a folder of others."""
    wanted = {**settings, "model": model_files}
    path = folder / _SETTINGS
    # Not what a killed program left: hidden, or half an image.
    images = (image for image in folder.glob("*.png") if not image.name.startswith("."))
    if path.is_file() and any(map(_is_whole, images)):
        there = read_json(path, "out_dir", "the settings of these images", "pass another --out-dir")
        there = {**LATER_FIELDS, "decoder": "full", **there}
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


def _report(num_images, begun, where):
    seconds = time.monotonic() - begun
    print(f"{num_images} images in {seconds:.1f} s ({num_images / seconds:.1f} images/s): {where}")
