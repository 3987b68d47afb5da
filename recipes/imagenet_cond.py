"""ImageNet, 256 x 256, class-conditional with guidance.

Wang et al., "Binary Latent Diffusion" (CVPR 2023), Sec. 5.2 and appendix B:
a code of 16 x 16 x 64 bits, a transformer of 24 layers x 768 x 12 heads, 1000 classes, T = 64.
Data: TFDS `imagenet2012` (its archives are fetched by hand); centre crop, Lanczos, mirrored.

    python recipes/imagenet_cond.py --data-dir ~/tensorflow_datasets

`--dry-run` prints sizes, steps and memory, `--smoke` runs everything in small; neither needs the
images.

Expected (paper, T = 64): FID 8.21, IS 162.32, CAS 65.07 % top-1. A GPU run of days, not made by us.
docs/recipes.md lists where paper and released code disagree and which one the defaults take.
"""

from dataclasses import dataclass

from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class ImagenetCond(Recipe):
    """The paper's class-conditional setting."""

    name = "imagenet_cond"
    data_name = "tfds:imagenet2012"
    num_classes = 1000
    class_conditional: bool = True
    code_channels: int = 64
    width: int = 768
    num_heads: int = 12
    diffusion_batch_size: int = 256
    sampling: Sampling = Sampling(num_steps=16, guidance_scale=2.0)
    num_evaluation_images: int = 50_000
    # Distances of 256 x 256 photographs are those of Inception, whose weights have to be fetched:
    # --evaluation-network inception.
    evaluation_network: str | None = "none"


if __name__ == "__main__":
    main(ImagenetCond)
