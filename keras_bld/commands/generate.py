"""`keras-bld generate`."""

import pathlib
from typing import Literal

from keras_bld.base import checks
from keras_bld.base.runs import short_errors
from keras_bld.commands.engine_options import EngineArguments, EngineOptions
from keras_bld.commands.outputs import check_picture_name
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions

_LARGEST_BATCH = 32


def generate_command(
    preset: str,
    /,
    *,
    num_images: int = 64,
    out: str | None = None,
    out_dir: str | None = None,
    out_store: str | None = None,
    labels: tuple[str, ...] = (),
    prompt: tuple[str, ...] = (),
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
    seed: int = 0,
    batch_size: int | None = None,
    columns: int | None = None,
    decoder: Literal["full", "small"] = "full",
    inference_target: Literal["openvino"] | None = None,
    inference_precision: Literal["bfloat16", "float32"] = "bfloat16",
    bulk: EngineArguments = EngineOptions(),  # noqa: B008 (frozen)
):
    """Make new images: one sheet (--out), a file for each (--out-dir), or codes (--out-store).

    Image i depends on the model, the seed, the settings and i alone. So the same command with
    --out-dir makes only the files that are missing, after an interruption or for a larger
    --num-images; with --out-store it makes the shards that are missing.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder.
        num_images: how many.
        out: picture file for a sheet of all images.
        out_dir: directory for 000000.png, 000001.png, ...
        out_store: directory for a store of packed codes and labels, 512 images a file; reading it
            decodes them (keras_bld.data.CodeStore.decoded_batches).
        labels: classes by name or number, taken in turn: image i gets entry i modulo their
            number; by default all classes of the model. Not for an unconditional model.
        prompt: texts for a model that is conditioned on text, taken in turn like labels; by
            default one for each class that it was trained on.
        sampler: the fields of `Sampling`.
        seed: integer in [0, 2**31).
        batch_size: images in one compiled batch; by default up to 32, fewer if they are big.
        columns: images in a row of the sheet; by default one for each class, or a square.
        decoder: small makes images of codes quicker, for presets that have one (distill-decoder).
        inference_target: openvino runs the networks through it (extra serve), faster on most
            processors; the noise is the same.
        inference_precision: of openvino. With float32 the images are those of the plain path but
            for rounding; bfloat16 is several times as fast where the processor has it, and moves
            about one bit in a hundred.
        bulk: where the images of --out-dir and --out-store are made.
    """
    from keras_bld.presets.reading import read_metadata

    with short_errors(resumable=out is None):
        _check_outputs(out, out_dir, out_store, bulk.engine)
        num_images = checks.check_integer("num_images", num_images, 1)
        metadata = read_metadata(preset)  # before Keras is imported
        from keras_bld.autoencoder import with_decoder
        from keras_bld.base.batching import comfortable_batch_size
        from keras_bld.commands.generated import claim_images, make_files, make_sheet, make_store
        from keras_bld.commands.tools import load_image_model
        from keras_bld.text.label_conditions import condition_cycle

        model = load_image_model(preset)
        if batch_size is None:
            largest = min(_LARGEST_BATCH, num_images)
            batch_size = comfortable_batch_size(model.autoencoder.image_shape, largest)
        conditions = condition_cycle(model, metadata, labels, prompt)
        model.sampling = model.sampling.replace(**sampler.given())
        model = with_decoder(model, decoder)
        inference = None
        if inference_target is not None:
            inference = {"target": inference_target, "precision": inference_precision}
            model.compile_for_inference(**inference)
        if out is not None:
            make_sheet(model, out, num_images, conditions, seed, batch_size, columns)
        elif out_dir is not None:
            folder = pathlib.Path(out_dir)
            made_with = {"seed": seed, "inference": inference, **conditions.settings}
            made_with |= model.sampling.to_dict()
            made_with["decoder"] = decoder
            claim_images(folder, metadata["files"], made_with)
            with bulk.open() as engine:
                make_files(model, folder, num_images, conditions, seed, batch_size, engine)
        elif out_store is not None:
            folder = pathlib.Path(out_store)
            with bulk.open() as engine:
                make_store(model, folder, num_images, conditions, seed, batch_size, engine)


def _check_outputs(out, out_dir, out_store, engine):
    outputs = {"--out": out, "--out-dir": out_dir, "--out-store": out_store}
    given = [name for name, value in outputs.items() if value is not None]
    if len(given) != 1:
        raise checks.error(
            "out",
            " and ".join(given) or "no output",
            "one of --out, --out-dir and --out-store",
            "pass --out sheet.png for one picture, --out-dir DIR for a file for each image, or "
            "--out-store DIR for codes",
        )
    if out is not None and engine != "local":
        raise checks.error(
            "engine",
            f"{engine!r} with --out",
            "'local' for a sheet, which is one picture",
            "pass --out-dir DIR or --out-store DIR for many images",
        )
    if out is not None:
        # Before the work, not after it.
        check_picture_name(out)
