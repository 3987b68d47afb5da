"""Handwritten digits, 16 x 16, class-conditional: the first run, minutes on a laptop's CPU.

scikit-learn's bundled digits (1,797 images, 8 x 8, enlarged; no download), 1,437 of them for
training. Stage 1 learns a code of 4 x 4 x 16 = 256 bits, stage 2 its distribution for each digit.

    python recipes/digits.py
    python recipes/digits.py --stage sample --guidance-scale 1.0
    python recipes/digits.py --smoke
"""

from dataclasses import dataclass

from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class Digits(Recipe):
    """Settings that fit 1,437 small images and two CPU cores."""

    name = "digits"
    data_name = "digits"
    data_credit = "Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), CC BY 4.0"
    image_size: int = 16
    image_channels: int = 1
    random_flip: bool = False  # a mirrored 3 is no digit
    class_conditional: bool = True

    code_channels: int = 16
    base_width: int = 16
    width_multipliers: tuple[int, ...] = (1, 2, 4)
    num_blocks: int = 1
    attention_resolutions: tuple[int, ...] = ()
    embedding_width: int = 64
    num_groups: int = 8
    perceptual: str = "none"  # VGG features mean little at 16 x 16
    adversarial_weight: float = 0.0
    autoencoder_steps: int = 900
    autoencoder_batch_size: int = 64
    autoencoder_learning_rate: float = 2e-3
    autoencoder_warmup_steps: int = 100

    depth: int = 4
    width: int = 128
    num_heads: int = 4
    num_training_steps: int = 64
    target: str = "extrinsic"  # learns faster than the residual (docs/experiments.md)
    codes: str = "on_the_fly"  # new bits for every batch: more to learn from than 1,437 codes
    diffusion_steps: int = 1200
    diffusion_batch_size: int = 128
    diffusion_learning_rate: float = 1e-3
    diffusion_warmup_steps: int = 100
    diffusion_ema_momentum: float = 0.99

    sampling: Sampling = Sampling(num_steps=16, guidance_scale=1.0)

    learning_rate_decay: str = "cosine"
    steps_per_epoch: int = 100


if __name__ == "__main__":
    main(Digits)
