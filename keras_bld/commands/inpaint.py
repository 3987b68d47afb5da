"""`keras-bld inpaint`."""

import pathlib

from keras_bld.base.runs import short_errors
from keras_bld.commands.outputs import check_picture_name
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions


def inpaint_command(
    preset: str,
    image: str,
    /,
    *,
    mask: str,
    out: str,
    label: str | None = None,
    prompt: str | None = None,
    num_results: int = 1,
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
    seed: int = 0,
):
    """Fill the white part of a mask with new content; the rest of the picture stays.

    The picture is cut to its largest centred square and made as large as the model's images.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder.
        image: picture file.
        mask: picture file of the same size: white where new content goes, black where the picture
            stays.
        out: picture file for the result; of several results a sheet.
        label: class by name or number; by default none is asked for.
        prompt: text, for a model that is conditioned on text; by default none.
        num_results: how many different fillings.
        sampler: the fields of `Sampling`.
        seed: integer in [0, 2**31).
    """
    with short_errors():
        check_picture_name(out)
        from keras_bld.base.images import to_uint8
        from keras_bld.base.pictures import save_image_grid, save_picture
        from keras_bld.commands.picture_files import read_mask, read_pictures
        from keras_bld.commands.tools import load_image_model
        from keras_bld.presets.reading import read_metadata
        from keras_bld.text.label_conditions import condition_cycle

        metadata = read_metadata(preset)
        model = load_image_model(preset)
        image_shape = tuple(model.autoencoder.image_shape)
        white = read_mask(mask, image, image_shape)
        pictures = read_pictures([image], image_shape)
        if label is None and prompt is None:
            asked = {"drop_condition": True}
        else:
            given = [() if word is None else (word,) for word in (label, prompt)]
            asked = condition_cycle(model, metadata, *given).of([0])
        (results,) = model.inpaint(
            pictures, white, num_results=num_results, seed=seed, **asked, **sampler.given()
        )
        pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
        if num_results == 1:
            save_picture(out, to_uint8(results[0]))
        else:
            save_image_grid(out, results)
    share = white.mean()
    print(f"{out}: results: {num_results}, {share:.0%} of the picture new")
