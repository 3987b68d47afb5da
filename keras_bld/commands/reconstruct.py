"""`keras-bld reconstruct`."""

import pathlib

from keras_bld.base.runs import short_errors
from keras_bld.commands.outputs import check_picture_name


def reconstruct_command(preset: str, images: tuple[str, ...], /, *, out: str):
    """Send pictures through the code and back: a sheet with each above its reconstruction.

    It shows what an autoencoder keeps of your pictures. They are cut to their largest centred
    squares and made as large as the model's images.

    Args:
        preset: name or directory of an autoencoder, or of a model with one.
        images: picture files.
        out: picture file for the sheet.
    """
    with short_errors():
        check_picture_name(out)
        from keras_bld.base import checks
        from keras_bld.commands.picture_files import read_pictures
        from keras_bld.commands.tools import load_autoencoder
        from keras_bld.evaluation.plots import reconstruction_sheet
        from keras_bld.metrics import psnr

        if not images:
            raise checks.error("images", "none", "one or more picture files", "name them")
        autoencoder = load_autoencoder(preset)
        pictures = read_pictures(images, tuple(autoencoder.image_shape))
        reconstructions = autoencoder.reconstruct(pictures)
        pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
        reconstruction_sheet(pictures, reconstructions, out, columns=len(pictures))
    for number, file in enumerate(images):
        one = slice(number, number + 1)
        print(f"{file}: {psnr(pictures[one], reconstructions[one]):.1f} dB")
    print(out)
