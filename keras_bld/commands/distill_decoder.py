"""`keras-bld distill-decoder`."""

from keras_bld.base.runs import short_errors


def distill_decoder_command(
    preset: str,
    /,
    *,
    out: str,
    data: str | None = None,
    data_dir: str | None = None,
    num_images: int = 10_000,
    num_steps: int = 4000,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    share: float = 0.1,
    seed: int = 0,
    work_dir: str | None = None,
):
    """Give a preset a small decoder that makes nearly the same images in a fraction of the time.

    `generate --decoder small`, `export --decoder small` and `decode(codes, decoder="small")` take
    it then; everything else of the preset stays as it is. Prints how near its images of held-out
    codes are to the full decoder's. The same command goes on after an interruption.

    Args:
        preset: name or directory of an autoencoder, or of a model with one.
        out: directory of the new preset.
        data: as for evaluate; by default what the preset was trained on, where it was then.
        data_dir: where TFDS has its prepared data sets.
        num_images: the most training images; their decoded images are held in memory.
        num_steps: training steps.
        batch_size: codes in a step.
        learning_rate: at the beginning; it falls as a cosine.
        share: of the full decoder's operations, at most.
        seed: of the first weights and of the order.
        work_dir: where checkpoints and the history go; runs/NAME by default, NAME that of `out`.
    """
    from keras_bld.autoencoder import distill_decoder, small_decoder_agreement
    from keras_bld.commands.tools import autoencoder_of, save_again, training_folder
    from keras_bld.commands.trained_on import open_autoencoder_with_images

    with short_errors(resumable=True):
        opened = open_autoencoder_with_images(preset, data, data_dir, num_images, seed)
        metadata, model, *images = opened
        codes, unseen = map(autoencoder_of(model, preset).encode, images)
        model = distill_decoder(
            model,
            codes,
            num_steps=num_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            share=share,
            seed=seed,
            verbose="auto",
            work_dir=training_folder(work_dir, out),
        )
        found = small_decoder_agreement(getattr(model, "autoencoder", model), unseen)
        trained = {
            **found,
            "num_images": len(codes),
            "num_steps": num_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
        }
        path = save_again(model, out, metadata, small_decoder=trained)
    print(
        f"{path}: {found['psnr']:.1f} dB to the full decoder on {len(unseen)} held-out codes, "
        f"{found['share_of_operations']:.1%} of its operations"
    )
