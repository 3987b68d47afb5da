"""Photographs of clothes, 256 x 256, class-conditional: ten kinds, from dresses to T-shirts.

2,052 training and 252 validation photographs of the clothing dataset of Alexey Grigorev (2020,
CC0), a folder for each class below train/ and val/. The paper's code of 16 x 16 x 32 bits (f = 16)
with smaller networks: an eighth of the channels at full resolution, a quarter on the coarsest
level, one block a level. Stage 1 trains on random crops of 128 x 128, its convolutions then read
whole images. On one core without bfloat16 its 5,000 steps took an hour and are not enough:
reconstructions of 19.6 dB, blurred and pale (docs/experiments.md). Take a GPU, or a night.

    python recipes/clothing_256.py --data-dir FOLDER
    python recipes/clothing_256.py --data-dir FOLDER --smoke

With a GPU take the paper's sizes: `--base-width 128 --width-multipliers 1 1 2 2 4 --num-blocks 2
--autoencoder-crop-size 0 --depth 24 --width 512 --num-heads 8 --perceptual lpips
--adversarial-weight 1`.
"""

from dataclasses import dataclass

from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class Clothing256(Recipe):
    """Settings for two thousand photographs and two CPU cores."""

    name = "clothing_256"
    data_credit = "clothing-dataset (Alexey Grigorev and contributors, 2020), CC0"
    class_conditional: bool = True

    base_width: int = 16
    width_multipliers: tuple[int, ...] = (1, 2, 2, 4, 8)
    num_blocks: int = 1
    attention_resolutions: tuple[int, ...] = ()
    embedding_width: int = 128
    num_groups: int = 8
    perceptual: str = "none"
    adversarial_weight: float = 0.0
    autoencoder_steps: int = 5000
    autoencoder_batch_size: int = 4
    autoencoder_crop_size: int = 128
    autoencoder_learning_rate: float = 1e-3
    autoencoder_warmup_steps: int = 200

    depth: int = 6
    width: int = 192
    num_heads: int = 3
    target: str = "extrinsic"  # learns faster than the residual (docs/experiments.md)
    diffusion_steps: int = 5000
    diffusion_learning_rate: float = 7e-4
    diffusion_warmup_steps: int = 300
    diffusion_ema_momentum: float = 0.998
    learning_rate_decay: str = "cosine"
    steps_per_epoch: int = 250
    sampling: Sampling = Sampling(num_steps=16, guidance_scale=1.0)


if __name__ == "__main__":
    main(Clothing256)
