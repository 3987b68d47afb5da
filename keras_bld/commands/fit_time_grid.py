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
        from keras_bld.commands.tools import load_image_model, save_again
        from keras_bld.commands.trained_on import conditions_for, data_set_of, open_splits
        from keras_bld.data import load_arrays, random_subset
        from keras_bld.diffusion.time_grid import fit_time_grid
        from keras_bld.presets.reading import read_metadata

        metadata = read_metadata(preset)
        data_set = data_set_of(metadata, data, data_dir)
        model = load_image_model(preset)
        train = open_splits(data_set, metadata, model.autoencoder.image_shape)["train"]
        asked = conditions_for(model, metadata, train, seed)
        images, labels = load_arrays(random_subset(train, num_images, seed))
        grid = fit_time_grid(
            model, images, num_steps, num_codes=len(images), seed=seed, **asked.asked(labels)
        )
        steps = " ".join(map(str, grid.time_steps))
        say(
            f"--time-steps {steps}\n{grid.bits_per_dimension:.4f} bits per dimension,"
            f" {grid.uniform_bits_per_dimension:.4f} along the uniform grid"
        )
        if out is not None:
            model.sampling = model.sampling.replace(time_steps=grid.time_steps)
            say(f"{save_again(model, out, metadata)}")
