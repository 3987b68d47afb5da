"""LSUN Bedrooms, 256 x 256, unconditional.

Wang et al., "Binary Latent Diffusion" (CVPR 2023), Sec. 5.1 and appendix B:
a code of 16 x 16 x 32 bits, a transformer of 24 layers x 512, T = 64.
Data: TFDS `lsun/bedroom`; centre crop, Lanczos, mirrored at random.

    python recipes/lsun_bedrooms_256.py --data-dir ~/tensorflow_datasets

`--dry-run` prints sizes, steps and memory, `--smoke` runs everything in small.

Expected (paper, T = 64): FID 3.85, precision 0.65, recall 0.44. A GPU run of days, not made by us.
docs/recipes.md lists where paper and released code disagree and which one the defaults take.
"""

from dataclasses import dataclass

from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class LsunBedrooms256(Recipe):
    """The paper's unconditional setting, which is the default of `Recipe`."""

    name = "lsun_bedrooms_256"
    data_name = "tfds:lsun/bedroom"


if __name__ == "__main__":
    main(LsunBedrooms256)
