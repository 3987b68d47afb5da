"""`keras-bld finetune-decoder`."""

from typing import Literal

from keras_bld.base.runs import short_errors


def finetune_decoder_command(
    preset: str,
    /,
    *,
    out: str,
    data: str | None = None,
    data_dir: str | None = None,
    num_images: int = 10_000,
    perceptual: Literal["efficientnet_lite", "lpips", "none"] = "efficientnet_lite",
    perceptual_weight: float = 0.01,
    adversarial_weight: float = 0.5,
    critic_start_step: int = 0,
    num_steps: int = 2000,
    batch_size: int = 16,
    learning_rate: float = 3e-4,
    flipped: float = 0.0,
    random_flip: bool = False,
    seed: int = 0,
    work_dir: str | None = None,
):
    """Train the decoder of a preset on, for sharper images from the same codes.

    The codes stay as they are, and so does the diffusion that has learned them. A small decoder is
    left out, for it imitates the old one. Prints how near the images of held-out codes are to the
    real ones, before and after. The same command goes on after an interruption.

    Args:
        preset: name or directory of an autoencoder, or of a model with one.
        out: directory of the new preset.
        data: as for evaluate; by default what the preset was trained on, where it was then.
        data_dir: where TFDS has its prepared data sets.
        num_images: the most training images; they are held in memory.
        perceptual: perceptual loss; lpips fetches VGG16 weights once, efficientnet_lite works
            offline.
        perceptual_weight: weight of it.
        adversarial_weight: weight of the adversarial loss; 0 trains without a critic.
        critic_start_step: step at which the critic and the adversarial loss begin.
        num_steps: training steps.
        batch_size: images in a step.
        learning_rate: at the beginning; it falls as a cosine.
        flipped: share of the bits that are flipped in half of the codes.
        random_flip: train on mirrored images as well.
        seed: of the choice of images, their order, the flips and the critic.
        work_dir: where checkpoints and the history go; runs/NAME by default, NAME that of `out`.
    """
    with short_errors(resumable=True):
        from keras_bld.autoencoder import finetune_decoder
        from keras_bld.autoencoder.perceptual import perceptual_distance
        from keras_bld.base.runs import say
        from keras_bld.commands.tools import autoencoder_of, save_again, training_folder
        from keras_bld.commands.trained_on import open_autoencoder_with_images

        opened = open_autoencoder_with_images(preset, data, data_dir, num_images, seed)
        metadata, model, images, unseen = opened
        distance = perceptual_distance(perceptual)
        options = {
            "perceptual_weight": perceptual_weight,
            "adversarial_weight": adversarial_weight,
            "critic_start_step": critic_start_step,
            "num_steps": num_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "flipped": flipped,
            "random_flip": random_flip,
            "seed": seed,
        }
        tuned = finetune_decoder(
            model,
            images,
            distance,
            critic=adversarial_weight > 0 or None,
            verbose="auto",
            work_dir=training_folder(work_dir, out),
            **options,
        )
        before, after = (
            _nearness(autoencoder_of(each, preset), unseen, distance) for each in (model, tuned)
        )
        record = {
            "preset": str(preset),
            "files_there": metadata["files"],
            "num_images": len(images),
            "perceptual": perceptual,
            **options,
            "before": before,
            "after": after,
        }
        path = save_again(tuned, out, metadata, finetuned_decoder=record)
        found = ", ".join(f"{name} {before[name]:.2f} -> {after[name]:.2f}" for name in before)
        say(f"{path}: {len(unseen)} held-out images: {found}")


def _nearness(autoencoder, images, distance):
    """PSNR in dB and the perceptual distance of reconstructions, means over the images."""
    from keras_bld.base.batching import comfortable_batch_size
    from keras_bld.metrics import lpips, psnr

    made = autoencoder.reconstruct(images)
    found = {"PSNR": psnr(images, made)}
    if distance is not None:
        size = comfortable_batch_size(autoencoder.image_shape)
        found["perceptual distance"] = lpips(images, made, distance, size)
    return found
