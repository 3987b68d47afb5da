"""Sizes of both networks by the size of the images: one table, as pure data."""

from dataclasses import dataclass

from keras_bld.base import checks


@dataclass(frozen=True)
class Sizes:
    """Sizes that go with images of up to `resolution` pixels a side.

    Attributes:
        resolution: the largest height and width.
        autoencoder: arguments of `BinaryAutoencoder` beside `image_shape`.
        denoiser: arguments of `BernoulliDenoiser` beside `code_shape`.
        trained: where these sizes were trained: a recipe of this repository, or the paper.
    """

    resolution: int
    autoencoder: dict
    denoiser: dict
    trained: str

    @property
    def downsampling_factor(self):
        """f: pixels to a cell of the code, in each direction."""
        return 2 ** (len(self.autoencoder["width_multipliers"]) - 1)


def _small(base_width, embedding_width, width_multipliers=(1, 2, 4), code_channels=16):
    """An autoencoder for a processor: one block a level, no attention."""
    return {
        "code_channels": code_channels,
        "base_width": base_width,
        "width_multipliers": width_multipliers,
        "num_blocks": 1,
        "attention_resolutions": (),
        "embedding_width": embedding_width,
        "num_groups": 8,
    }


def _published(width_multipliers, code_channels):
    return {
        "code_channels": code_channels,
        "base_width": 128,
        "width_multipliers": width_multipliers,
        "num_blocks": 2,
        "attention_resolutions": (16,),
        "embedding_width": 256,
    }


def _transformer(depth, width, num_heads):
    return {"depth": depth, "width": width, "num_heads": num_heads, "num_training_steps": 64}


# fmt: off
SIZES = (
    Sizes(16, _small(16, 64), _transformer(4, 128, 4), "recipes/digits.py"),
    Sizes(32, _small(24, 96), _transformer(4, 128, 4), "recipes/fashion_mnist.py"),
    Sizes(64, _small(32, 128), _transformer(6, 192, 3), "recipes/grocery_64.py"),
    Sizes(256, _published((1, 1, 2, 2, 4), 32), _transformer(24, 512, 8), "the paper, 256 x 256"),
    Sizes(1024, _published((1, 1, 2, 2, 4, 4), 64), _transformer(24, 512, 8),
          "the paper, 1024 x 1024"),
)
# fmt: on


def sizes_for(image_shape):
    """The first row of `SIZES` whose images are as large.

    Args:
        image_shape: (height, width, channels).

    Raises:
        ValueError: no such shape, images larger than every row's, or a height or width that the
            row's f does not divide.
    """
    shape = tuple(image_shape)
    if len(shape) != 3:
        raise checks.error(
            "image_shape", repr(image_shape), "(height, width, channels)", "pass e.g. (64, 64, 3)"
        )
    sides = [checks.check_integer("image_shape", side, 1) for side in shape[:2]]
    for row in SIZES:
        if max(sides) <= row.resolution:
            break
    else:
        raise checks.error(
            "image_shape",
            repr(image_shape),
            f"at most {SIZES[-1].resolution} pixels a side",
            "resize the images, or give all sizes to the constructor",
        )
    factor = row.downsampling_factor
    if any(side % factor for side in sides):
        raise checks.error(
            "image_shape",
            repr(image_shape),
            f"a height and width divisible by {factor}, the f of such images",
            "crop or resize the images, or give all sizes to the constructor",
        )
    return row
