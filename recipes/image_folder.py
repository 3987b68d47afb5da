"""Your own images: any folder, with or without class sub-folders.

The folder is read as it is: `train/` and `val/` are the splits where they exist, otherwise a
twentieth is held out; sub-folders are classes. Each image is cropped to its centre square, resized
(Lanczos) and, at training, mirrored at random. The defaults suit thousands of 64 x 64 images on
a CPU or a small GPU: f = 8, a code of 8 x 8 x 32 = 2,048 bits, a transformer of 6 layers x 256.

    python recipes/image_folder.py --data-dir photos
    python recipes/image_folder.py --data-dir photos --no-class-conditional
    python recipes/image_folder.py --data-dir photos --image-size 256 --width-multipliers 1 1 2 2 4
    python recipes/image_folder.py --data-dir photos --on-error skip --smoke

With a GPU and more images take the paper's sizes: `--base-width 128 --num-blocks 2 --depth 24
--width 512 --num-heads 8 --perceptual lpips`. docs/experiments.md shows what the defaults reached.
"""

from dataclasses import dataclass

from keras_bld.training import Recipe, main


@dataclass(frozen=True)
class ImageFolderRecipe(Recipe):
    """Settings for a few thousand small images."""

    name = "image_folder"
    image_size: int = 64
    class_conditional: bool = True

    base_width: int = 32
    width_multipliers: tuple[int, ...] = (1, 2, 2, 4)
    num_blocks: int = 1
    attention_resolutions: tuple[int, ...] = ()
    embedding_width: int = 128
    num_groups: int = 16
    perceptual: str = "none"  # "lpips" fetches 500 MB, "efficientnet_lite" nothing
    adversarial_weight: float = 0.0
    autoencoder_steps: int = 10_000
    autoencoder_batch_size: int = 16
    autoencoder_warmup_steps: int = 500

    depth: int = 6
    width: int = 256
    num_heads: int = 4
    target: str = "extrinsic"  # learns faster than the residual (docs/experiments.md)
    diffusion_steps: int = 20_000
    diffusion_batch_size: int = 64
    diffusion_learning_rate: float = 3e-4
    diffusion_warmup_steps: int = 500
    diffusion_ema_momentum: float = 0.999
    learning_rate_decay: str = "cosine"
    steps_per_epoch: int = 250


if __name__ == "__main__":
    main(ImageFolderRecipe)
