"""`keras-bld convert`."""

import hashlib
import pathlib
from collections import Counter
from typing import Literal

from keras_bld.diffusion.signal_levels import KINDS
from keras_bld.diffusion.targets import TARGETS


def convert_command(
    path: str,
    /,
    *,
    out: str,
    kind: Literal["auto", "autoencoder", "diffusion"] = "auto",
    image_size: int = 256,
    attention_resolutions: tuple[int, ...] = (16,),
    critic: bool = False,
    num_heads: int | None = None,
    num_training_steps: int | None = None,
    schedule: Literal[*KINDS] = "linear",  # type: ignore[valid-type]
    target: Literal[*TARGETS] = "residual",  # type: ignore[valid-type]
    code_shape: tuple[int, int, int] | None = None,
    autoencoder: str | None = None,
    key: str | None = None,
    ignore: tuple[str, ...] = (),
    dtype: Literal["float16"] | None = None,
    licence: str | None = None,
):
    """Turn a published PyTorch checkpoint into a preset, and print what went where.

    Sizes are read from the names and shapes in the file. Nothing is written where a tensor is
    missing, unknown or of the wrong shape. Code in a checkpoint is never run.

    Args:
        path: binaryae_ema_*.th, bld_ema_*.th, or such tensors as .pt, .pth or .safetensors.
        out: directory of the preset.
        kind: what the file holds; auto: by the names in it.
        image_size: of an autoencoder: height and width in pixels.
        attention_resolutions: of an autoencoder: heights that have attention.
        critic: take the critic of an autoencoder along, for further training.
        num_heads: of a denoiser: attention heads; published: 12 where the width is 768, 8 at 512.
        num_training_steps: of a denoiser: T; by default that of the schedule in the file.
        schedule: of a denoiser: noise schedule; checked against the file.
        target: of a denoiser: what its logits mean; residual for the published --p_flip.
        code_shape: of a denoiser: height, width and channels, where the grid is not square.
        autoencoder: for a denoiser: a checkpoint or a preset of the autoencoder, so that the
            preset makes images and not only codes.
        key: entry of the file that holds the weights, where there are several.
        ignore: names or patterns of tensors that are not needed.
        dtype: store the weights in half the space.
        licence: of the weights, for the preset's metadata.
    """
    from rich.console import Console

    from keras_bld.conversion import convert_autoencoder, convert_diffusion, read_checkpoint
    from keras_bld.conversion.published_state import kind_of
    from keras_bld.zoo import save_preset

    try:
        state = read_checkpoint(path, key)
        if kind == "auto":
            kind = kind_of(state)
        images = (image_size, attention_resolutions)
        if kind == "autoencoder":
            model, report = convert_autoencoder(state, *images, critic, ignore)
        else:
            arguments = _denoiser_arguments(state, num_heads, num_training_steps)
            parts = (schedule, target, code_shape, _autoencoder(autoencoder, *images), ignore)
            model, report = convert_diffusion(state, *arguments, *parts)  # type: ignore[call-arg]
        metadata = {"licence": licence, "converted_from": _origin(path, report)}
        directory = save_preset(model, out, metadata, dtype)
    except (ValueError, ImportError) as error:
        # The message says all; a traceback would bury it.
        raise SystemExit(f"error: {error}") from error
    console = Console()
    for table in report.tables():
        console.print(table)
    console.print(f"Written to {directory}", highlight=False, markup=False)
    if kind == "diffusion" and autoencoder is None:
        console.print("It makes codes; for images convert it again with --autoencoder.")


def _denoiser_arguments(state, num_heads, num_training_steps):
    from keras_bld.base import checks
    from keras_bld.conversion.diffusion import stored_num_training_steps

    if num_heads is None:
        raise checks.error(
            "num_heads",
            "none",
            "the number of attention heads, which no shape tells",
            "pass --num-heads (published: 12 where the width is 768, 8 where it is 512)",
        )
    if num_training_steps is None:
        num_training_steps = stored_num_training_steps(state)
    if num_training_steps is None:
        raise checks.error(
            "num_training_steps",
            "none, and no noise schedule in the file",
            "T of training",
            "pass --num-steps (the published --total_steps, 64 for the released models)",
        )
    return num_heads, num_training_steps


def _autoencoder(source, image_size, attention_resolutions):
    """The autoencoder from a checkpoint file, or from a preset's name or directory."""
    from keras_bld.conversion import autoencoder_from_published, read_checkpoint
    from keras_bld.zoo import load_preset

    if source is None:
        return None
    if pathlib.Path(source).is_file():
        return autoencoder_from_published(
            read_checkpoint(source), image_size, attention_resolutions
        )
    return load_preset(source, expected_class="BinaryAutoencoder")


def _origin(path, report):
    """What the preset's metadata says of the file that it was made from."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": pathlib.Path(path).name,
        "sha256": digest,
        "tensors_used": len(report.placed),
        "tensors_left_over": dict(Counter(report.left_over.values())),
    }
