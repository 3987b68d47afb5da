"""`keras-bld distill`."""

from keras_bld.base.runs import short_errors


def distill_command(
    preset: str,
    /,
    *,
    out: str,
    num_steps: int = 4,
    data: str | None = None,
    data_dir: str | None = None,
    num_images: int = 10_000,
    training_steps: int = 4000,
    batch_size: int = 64,
    learning_rate: float = 3e-4,
    guidance_scale: float | None = None,
    temperature: float | None = None,
    seed: int = 0,
):
    """Train a student of a preset, which samples in a few steps what the preset makes in many.

    The student has the preset's networks with other weights. Temperature and guidance of the preset
    are trained into it: it samples with temperature 1 and without guidance, one call of the network
    a step.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder.
        out: directory of the student's preset.
        num_steps: of the student.
        data: as for evaluate; by default what the preset was trained on, where it was then.
        data_dir: where TFDS has its prepared data sets.
        num_images: the most training images.
        training_steps: how long it trains.
        batch_size: codes in a step.
        learning_rate: at the beginning; it falls as a cosine.
        guidance_scale: of the preset as a teacher; by default the preset's own.
        temperature: of the preset as a teacher; by default the preset's own.
        seed: of the choice of images, their order, and all draws.
    """
    with short_errors():
        from keras_bld.base.runs import say
        from keras_bld.commands.tools import save_again
        from keras_bld.commands.trained_on import open_with_images
        from keras_bld.diffusion import distill

        opened = open_with_images(preset, data, data_dir, num_images, seed)
        metadata, model, images, conditions = opened
        student = distill(
            model,
            images,
            num_steps,
            training_steps=training_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            guidance_scale=guidance_scale,
            temperature=temperature,
            seed=seed,
            verbose="auto",
            **conditions,
        )
        trained = {
            "teacher": str(preset),
            "num_images": len(images),
            "training_steps": training_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
        }
        path = save_again(student, out, metadata, distilled=trained)
        say(f"{path}: samples in {num_steps} steps")
