"""`keras-bld fit-time-grid`."""

from keras_bld.base.runs import short_errors


def fit_time_grid_command(
    preset: str,
    /,
    *,
    num_steps: int,
    out: str | None = None,
    data: str | None = None,
    data_dir: str | None = None,
    num_images: int = 256,
    seed: int = 0,
):
    """Choose the time steps of a preset's sampler that cost least in the variational bound.

    Prints the steps and the bound, beside those of the uniform grid. With --out the preset is
    written again, and samples along them.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder.
        num_steps: how many time steps.
        out: directory of the new preset; by default none is written.
        data: where the data set is that the preset was trained on: its folder, digits, or
            tfds:NAME; by default where it was in training.
        data_dir: where TFDS has its prepared data sets.
        num_images: training images that the bound is measured on.
        seed: of their choice and of the noise.
    """
    with short_errors():
        from keras_bld.base.runs import say
        from keras_bld.commands.tools import save_again
        from keras_bld.commands.trained_on import open_with_images
        from keras_bld.diffusion.time_grid import fit_time_grid

        opened = open_with_images(preset, data, data_dir, num_images, seed)
        metadata, model, images, conditions = opened
        grid = fit_time_grid(
            model, images, num_steps, num_codes=len(images), seed=seed, **conditions
        )
        steps = " ".join(map(str, grid.time_steps))
        say(
            f"--time-steps {steps}\n{grid.bits_per_dimension:.4f} bits per dimension,"
            f" {grid.uniform_bits_per_dimension:.4f} along the uniform grid"
        )
        if out is not None:
            model.sampling = model.sampling.replace(time_steps=grid.time_steps)
            say(f"{save_again(model, out, metadata)}")
