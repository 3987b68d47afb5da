"""A warm start: a denoiser begins with the weights of another one."""

from keras_bld.base import checks

_SIZES = ("code_shape", "patch_size", "depth", "width", "num_heads", "num_training_steps")
_CONDITION = ("condition_kind", "num_classes", "text_width")
_SHARED = ("token_embedding", "time_embedding", "output_norm", "head")


def copy_denoiser_weights(source, target):
    """Copy every weight that two denoisers share: all but those of the condition.

    A text-conditional model so begins with what a class-conditional one of the same codes has
    learned. Where both take the same kind of condition, its weights are copied, too.

    Args:
        source, target: `BernoulliDenoiser`s of the same sizes, neither conditioned by
            cross-attention unless both are.

    Returns:
        Whether the weights of the condition were copied as well.

    Raises:
        ValueError: denoisers of different sizes.
    """
    for size in _SIZES:
        given, wanted = getattr(source, size), getattr(target, size)
        if given != wanted:
            raise checks.error(
                "source",
                f"a denoiser with {size} {given}",
                f"{size} {wanted}, as the one to be trained",
                "choose the same sizes for both",
            )
    crosses = [part.condition_kind == "cross_attention" for part in (source, target)]
    if crosses[0] != crosses[1]:
        raise checks.error(
            "source",
            f"a denoiser with{'' if crosses[0] else 'out'} cross-attention",
            f"one with{'' if crosses[1] else 'out'} it, as the one to be trained",
            "take a denoiser whose blocks are alike",
        )
    target.positions.assign(source.positions)
    pairs = [(getattr(source, name), getattr(target, name)) for name in _SHARED]
    pairs += list(zip(source.blocks, target.blocks, strict=True))
    is_same = all(getattr(source, name) == getattr(target, name) for name in _CONDITION)
    if is_same and source.condition_embedding is not None:
        pairs.append((source.condition_embedding, target.condition_embedding))
    for given, wanted in pairs:
        # Weights: the state of a random generator, which dropout has, is none.
        for value, variable in zip(given.weights, wanted.weights, strict=True):
            variable.assign(value)
    return is_same
