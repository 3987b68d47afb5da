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
    mixed_precision: bool = False,
    num_measured: int = 2000,
    seed: int = 0,
    work_dir: str | None = None,
):
    """Train a student of a preset, which samples in a few steps what the preset makes in many.

    The student has the preset's networks with other weights. Temperature and guidance of the preset
    are trained into it: it samples with temperature 1 and without guidance, one call of the network
    a step. The same command goes on after an interruption. Prints how far codes of teacher and
    student lie from those of training: no images and no network are in these numbers.

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
        mixed_precision: train in bfloat16, faster on a processor or GPU that has it; the student
            runs as the preset does.
        num_measured: codes of each sampler that are compared at the end; 0 for none.
        seed: of the choice of images, their order, and all draws.
        work_dir: where checkpoints and the history go; runs/NAME by default, NAME that of `out`.
    """
    with short_errors(resumable=True):
        from keras_bld.base import checks
        from keras_bld.base.runs import say
        from keras_bld.commands.tools import save_again, training_folder
        from keras_bld.commands.trained_on import open_with_images
        from keras_bld.diffusion import distill

        if num_measured:
            checks.check_integer("num_measured", num_measured, 10)
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
            mixed_precision=mixed_precision,
            seed=seed,
            verbose="auto",
            work_dir=training_folder(work_dir, out),
            **conditions,
        )
        trained = {
            "teacher_preset": str(preset),
            "num_images": len(images),
            "training_steps": training_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "mixed_precision": mixed_precision,
            "seed": seed,
        }
        if num_measured:
            trained["measured"] = compare(model, student, images, conditions, num_measured, seed)
        path = save_again(student, out, metadata, distilled=trained)
        say(f"{path}: samples in {num_steps} steps")


def compare(model, student, images, conditions, num_codes, seed):
    """Say and return how far the codes of a student and of its teacher are from training's.

    Args:
        model, student: `BinaryLatentDiffusion`.
        images: of the training, uint8; their codes are what is compared with.
        conditions: keywords of `generate_codes`, one condition for each image.
        num_codes: how many codes each sampler makes, for the conditions of the first images.
        seed: of the samples.

    Returns:
        Dictionary from the name of a sampler to `CodeDistances.measure` of its codes.
    """
    from keras_bld.base.runs import say
    from keras_bld.evaluation.code_distances import CodeDistances

    distances = CodeDistances(model.autoencoder.encode(images))
    few, many = (len(each.time_grid(each.sampling)) for each in (student, model))
    num_codes = min(num_codes, len(images))
    asked = {name: values[:num_codes] for name, values in conditions.items()}
    found = {}
    for name, sampler, options in (
        (f"teacher, {many} steps", model, {}),
        (f"teacher, {few} steps", model, {"num_steps": few}),
        (f"student, {few} steps", student, {}),
    ):
        codes = sampler.generate_codes(num_codes, **asked, seed=seed, **options)
        found[name] = distances.measure(codes)
        said = ", ".join(f"{measure} {value:.2f}" for measure, value in found[name].items())
        say(f"{name}: {said}")
    return found
