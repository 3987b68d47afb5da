"""Published denoisers -> `BinaryLatentDiffusion`."""

import math

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.conversion import names
from keras_bld.conversion.placement import place
from keras_bld.conversion.published_state import published_state, split_left_over
from keras_bld.conversion.report import ConversionReport
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.diffusion.signal_levels import KINDS

_NETWORK = "_denoise_fn."
_SCHEDULE_TOLERANCE = 1e-4  # products of float32 ratios over a thousand steps stay within it
_BITS_MATRIX = "embedding_weight"
_BITS_MATRIX_TOLERANCE = 1e-3  # a float16 copy counts as equal


def diffusion_from_published(
    state_dict,
    num_heads,
    num_training_steps,
    schedule="linear",
    target="residual",
    code_shape=None,
    autoencoder=None,
    ignore=(),
):
    """Build a `BinaryLatentDiffusion` from a published checkpoint (`bld_ema_*.th`).

    Depth, width, code channels, grid and the kind of condition (none, class, text token,
    cross-attention) come from the names and shapes. What no shape tells must be passed: the number
    of heads, T, the noise schedule (checked against the file where it stores one) and the target.

    Args:
        state_dict: mapping published name -> array, in torch's layouts, see `read_checkpoint`.
            A prefix before all names (`module.`, `ema.`, ...) is stripped.
        num_heads: attention heads of the published model (`--bert_n_head`; 12 for width 768).
        num_training_steps: T of training (`--total_steps`).
        schedule: "linear", "cos" or "sigmoid" (`--beta_type`).
        target: "residual" for models trained with `--p_flip` (all published ones), "z0" without.
        code_shape: (height, width, channels); None takes a square grid.
        autoencoder: optional `BinaryAutoencoder` whose codes the model was trained on; it is
            compared with the copy of its bit matrix that the file holds.
        ignore: names or patterns (`fnmatch`) of tensors of the network that are not needed.

    Returns:
        A built `BinaryLatentDiffusion`.

    Raises:
        TypeError: `state_dict` is not a mapping.
        ValueError: missing tensors, shapes that clash, unknown tensors of the network, another
            kind of file, or a schedule or autoencoder that the file contradicts.

    Example:

    >>> from keras_bld.conversion import diffusion_from_published, read_checkpoint
    >>> state = read_checkpoint("bld_ema_960000.th")               # doctest: +SKIP
    >>> model = diffusion_from_published(state, 12, num_training_steps=64)  # doctest: +SKIP
    """
    model, _ = convert_diffusion(
        state_dict, num_heads, num_training_steps, schedule, target, code_shape, autoencoder, ignore
    )
    return model


def convert_diffusion(
    state_dict,
    num_heads,
    num_training_steps,
    schedule="linear",
    target="residual",
    code_shape=None,
    autoencoder=None,
    ignore=(),
):
    """`diffusion_from_published` that also tells what went where.

    Args:
        state_dict, num_heads, num_training_steps, schedule, target, code_shape, autoencoder,
            ignore: see `diffusion_from_published`.

    Returns:
        The model and a `ConversionReport`.
    """
    state = published_state(state_dict, "diffusion")
    sizes = _denoiser_sizes(state, code_shape)
    checks.check_choice("schedule", schedule, KINDS)
    noise_schedule = BernoulliNoiseSchedule(num_training_steps, schedule)
    reasons = _check_schedule(state, noise_schedule)
    reasons += _check_bits_matrix(state, sizes["code_shape"][-1], autoencoder)
    with state.bounded_building():
        denoiser = BernoulliDenoiser(
            num_heads=num_heads, num_training_steps=num_training_steps, **sizes
        )
    model = BinaryLatentDiffusion(denoiser, noise_schedule, autoencoder, target)
    rows = denoiser_rows(denoiser)
    placed = place(model, rows, state)
    left_over = split_left_over(state, {name for name, _, _ in rows}, reasons, ignore, (_NETWORK,))
    given = ("num_heads", "num_training_steps")
    shown = {key: value for key, value in sizes.items() if value is not None and key not in given}
    shown |= {"condition": denoiser.condition_kind or "none"}
    return model, ConversionReport(type(model).__name__, shown, placed, left_over)


def stored_num_training_steps(state_dict):
    """T as the stored schedule has it, or None where the file holds no schedule."""
    state = published_state(state_dict, "diffusion")
    name = "scheduler.k_final"
    return state.shape(name, 1)[0] - 1 if name in state.arrays else None


def denoiser_rows(denoiser):
    """(canonical published name, path in `BinaryLatentDiffusion`, layout) of every variable."""
    table = names.DENOISER + names.CONDITION[denoiser.condition_kind]
    rows = names.expand(table, _NETWORK, "denoiser.")
    block = names.TRANSFORMER_BLOCK
    if denoiser.condition_kind == "cross_attention":
        block += names.CROSS_ATTENTION
    for index in range(denoiser.depth):
        prefix = f"blocks.{index}."
        rows += names.expand(block, _NETWORK + prefix, "denoiser." + prefix)
    return rows


def _denoiser_sizes(state, code_shape):
    """Arguments of `BernoulliDenoiser` that names and shapes imply."""
    channels, width = state.shape(_NETWORK + "tok_emb.weight", 2)
    num_cells = state.shape(_NETWORK + "pos_emb", 3)[1]
    blocks = state.indices(_NETWORK + "blocks.") or [0]
    return {
        "code_shape": _code_shape(code_shape, num_cells, channels),
        # A gap in the numbers shows later, as tensors that are missing.
        "depth": min(blocks[-1] + 1, len(blocks) + 1),
        "width": width,
        **_condition_sizes(state, width),
    }


def _code_shape(code_shape, num_cells, channels):
    side = math.isqrt(num_cells)
    received = (side, side, channels) if code_shape is None else tuple(code_shape)
    fits = len(received) == 3 and received[2] == channels
    if not fits or received[0] * received[1] != num_cells:
        raise checks.error(
            "code_shape",
            repr(code_shape),
            f"(height, width, {channels}) with height * width = {num_cells}",
            "pass the shape of the code that the model was trained on"
            + ("" if code_shape else " (the grid is not square)"),
        )
    return received


def _condition_sizes(state, width):
    embedding, bias = _NETWORK + "cls_embedding.weight", _NETWORK + "cls_embedding.bias"
    crosses = [name for name in state.arrays if ".cross." in name]
    if embedding in state.arrays and crosses:
        raise checks.error(
            "state_dict",
            f"a condition token (`{state.names[embedding]}`) and cross-attention"
            f" (`{state.names[crosses[0]]}`)",
            "one kind of condition, as in the published models",
            "pass a published checkpoint",
        )
    if crosses:
        text_width = state.shape(_NETWORK + "blocks.0.cross.null_emb", 3)[2]
        return {"text_width": text_width, "text_conditioning": "cross_attention"}
    if bias in state.arrays:  # nn.Linear: an embedding of text becomes a token
        return {"text_width": state.shape(embedding, 2)[1], "text_conditioning": "token"}
    if embedding in state.arrays:  # nn.Embedding: one row for each class
        return {"num_classes": state.shape(embedding, 2)[0]}
    return {}


def _check_schedule(state, schedule):
    """Compare the stored schedule with the named one; return the reason to leave it out."""
    stored = {name: state.arrays[name] for name in state.arrays if name.startswith("scheduler.")}
    if not stored:
        return []
    num_training_steps, kind = schedule.num_training_steps, schedule.kind
    lengths = {int(array.size) - 1 for array in stored.values()}
    if lengths != {num_training_steps}:
        raise checks.error(
            "num_training_steps",
            repr(num_training_steps),
            f"T = {', '.join(map(str, sorted(lengths)))}, as the schedule in the file has it",
            "pass the number of steps of training (sampling may use fewer)",
        )
    difference = _schedule_difference(stored, schedule)
    if not difference <= _SCHEDULE_TOLERANCE:
        fitting = [
            other
            for other in KINDS
            if _schedule_difference(stored, BernoulliNoiseSchedule(num_training_steps, other))
            <= _SCHEDULE_TOLERANCE
        ]
        raise checks.error(
            "schedule",
            f"{kind!r}, which differs from the schedule in the file by up to {difference:.2g}",
            f"the schedule of training ({' or '.join(map(repr, fitting)) or 'none of ours'})",
            f"pass schedule={fitting[0]!r}" if fitting else "check that the file is intact",
        )
    reason = (
        f"computed anew: schedule {kind!r}, T = {num_training_steps}; differs by {difference:.1g}"
    )
    return [("scheduler.*", reason)]


def _schedule_difference(stored, schedule):
    # The published `beta` is our 1 - beta, the share of signal that one step keeps.
    expected = {
        "scheduler.k_final": schedule.k,
        "scheduler.b_final": schedule.b,
        "scheduler.beta": 1.0 - schedule.beta,
        "scheduler.cumbeta": schedule.k,
    }
    differences = [
        np.abs(stored[name].astype("float64").ravel() - values).max()
        for name, values in expected.items()
        if name in stored
    ]
    return float(np.max(differences, initial=0.0))  # NaN in the file stays NaN


def _check_bits_matrix(state, channels, autoencoder):
    """Compare the stored copy of the autoencoder's bit matrix with the autoencoder given."""
    reason = "a copy of the autoencoder's `ae.quantize.embed.weight`, which its decoder holds"
    if _BITS_MATRIX not in state.arrays or autoencoder is None:
        return [(_BITS_MATRIX, reason)]
    stored = state.arrays[_BITS_MATRIX].astype("float32")
    own = ops.convert_to_numpy(ops.cast(autoencoder.decoder.embedding, "float32"))
    same_shape = stored.shape == own.shape
    if (
        not same_shape
        or not np.abs(stored - own).max() <= _BITS_MATRIX_TOLERANCE * np.abs(own).max()
    ):
        raise checks.error(
            "autoencoder",
            f"an autoencoder whose bit matrix {own.shape} is not the one in the file"
            f" {stored.shape}",
            f"the autoencoder of {channels} channels whose codes the model was trained on",
            "convert the checkpoint that was given to the published sampler as --ae_load_dir",
        )
    return [(_BITS_MATRIX, reason + "; equal to that of the autoencoder given")]
