"""FFHQ, 1024 x 1024, unconditional, in one shot.

Wang et al., "Binary Latent Diffusion" (CVPR 2023), Table 3 and appendix B:
a code of 32 x 32 x 64 bits (f = 32), a transformer of 24 layers x 512, T = 64, one shot.
Data: a folder with FFHQ's 1024 x 1024 images (they are not in TFDS); mirrored at random.

    python recipes/ffhq_1024.py --data-dir ffhq/images1024x1024

`--dry-run` prints sizes, steps and memory, `--smoke` runs everything in small.

Expected (paper, T = 64): FID 6.75. A GPU run of days, not made by us.
docs/recipes.md lists where paper and released code disagree and which one the defaults take.
"""

from dataclasses import dataclass

from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class Ffhq1024(Recipe):
    """The paper's setting for 1024 x 1024."""

    name = "ffhq_1024"
    image_size: int = 1024
    code_channels: int = 64
    width_multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)  # one more level
    diffusion_batch_size: int = 16
    # The temperature of the paper's figures E and F.
    sampling: Sampling = Sampling(num_steps=16, temperature=0.8)


if __name__ == "__main__":
    main(Ffhq1024)
