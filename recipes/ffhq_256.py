"""FFHQ, 256 x 256, unconditional.

Wang et al., "Binary Latent Diffusion" (CVPR 2023), Sec. 5.1 and appendix B:
a code of 16 x 16 x 32 bits, a transformer of 24 layers x 512, T = 64.
Data: a folder with FFHQ's images (they are not in TFDS); Lanczos, mirrored at random.

    python recipes/ffhq_256.py --data-dir ffhq/images1024x1024

`--dry-run` prints sizes, steps and memory, `--smoke` runs everything in small.

Expected (paper, T = 64): FID 5.85, precision 0.73, recall 0.50. A GPU run of days, not made by us.
docs/recipes.md lists where paper and released code disagree and which one the defaults take.
"""

from dataclasses import dataclass

from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class Ffhq256(Recipe):
    """The paper's unconditional setting, which is the default of `Recipe`."""

    name = "ffhq_256"


if __name__ == "__main__":
    main(Ffhq256)
