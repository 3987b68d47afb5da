"""The input pipeline, and a step of stage 2 from the code store against encoding on the fly."""

import pathlib
import tempfile

import numpy as np

from keras_bld.benchmark.models import model_sizes

_NUM_IMAGES = 64
_NUM_BATCHES = 50  # in one timed reading
_BATCH = 8
_CAMERA = (4000, 3000)  # pixels of a photograph as a camera stores it
_NUM_CAMERA_BATCHES = 3


def data(benchmark):
    """Images a second, code-store batches a second, and what the store saves in a step.

    Weights, images and the store's bits are random: what is learned means nothing, what a step
    costs is what it costs with real ones.
    """
    batch = (benchmark.batches or (_BATCH,))[0]
    side = model_sizes(benchmark.model)["autoencoder"]["image_shape"][0]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        photos = _photos(pathlib.Path(name) / "photos", (side, side), _NUM_IMAGES)
        camera = _photos(pathlib.Path(name) / "camera", _CAMERA, batch)
        codes = f"{name}/codes"
        _store(codes, photos, side, benchmark.denoiser["code_shape"])
        with benchmark.team(paths=("keras", "peer")) as team:
            for files, folder, num_batches in (
                ("JPEG files", photos, _NUM_BATCHES),
                ("JPEG files of {:,} x {:,}".format(*_CAMERA), camera, _NUM_CAMERA_BATCHES),
            ):
                reading = {"batch": batch, "num_batches": num_batches}
                row = benchmark.row(
                    team,
                    f"read a batch of {batch} {files}",
                    "read_images",
                    {"folder": str(folder), "image_size": side, **reading},
                    divide_by=num_batches,
                )
                row["images_per_second"] = _per_second(row, batch)
                rows.append(row)
            benchmark.remember(team)
        with benchmark.team(paths=("keras",)) as team:
            row = benchmark.row(
                team,
                f"read a batch of {batch} codes",
                "read_codes",
                {"folder": codes, "batch": batch, "num_batches": _NUM_BATCHES},
                divide_by=_NUM_BATCHES,
            )
            row["batches_per_second"] = _per_second(row, 1)
            rows.append(row)
            steps = {
                name: benchmark.row(
                    team,
                    f"train stage 2 {text}, batch {batch}",
                    f"train_{name}",
                    {"model": benchmark.model, "folder": str(folder), "batch": batch},
                )
                for name, text, folder in (
                    ("from_store", "from the code store", codes),
                    ("on_the_fly", "encoding on the fly", photos),
                )
            }
            times = [row["seconds"].get("keras") for row in steps.values()]
            if None not in times:
                steps["on_the_fly"]["times_from_store"] = round(times[1] / times[0], 2)
            rows += steps.values()
            benchmark.remember(team)
    return rows


def _per_second(row, num_items):
    return {path: round(num_items / seconds, 1) for path, seconds in row["seconds"].items()}


def _photos(folder, size, num_images):
    """A folder of JPEG files with smooth content, as large as photographs of that size are."""
    from PIL import Image

    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(num_images):
        coarse = generator.integers(0, 256, (size[1] // 8, size[0] // 8, 3), "uint8")
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:03d}.jpg", quality=95)
    return folder


def _store(folder, photos, size, code_shape):
    from keras_bld.data import ImageFolder, ImagePreprocessing, write_code_store

    generator = np.random.default_rng(0)
    write_code_store(
        folder,
        ImageFolder(photos, ImagePreprocessing(size)),
        # How long reading takes does not depend on what the bits say.
        lambda images: generator.integers(0, 2, (len(images), *code_shape)),
        tuple(code_shape),
        "random bits",
    )
