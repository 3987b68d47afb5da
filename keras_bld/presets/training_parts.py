"""A copy of a model without what only training needs."""

import keras
from keras import ops

_OPTIONS = ("critic", "perceptual")
_ATTRIBUTES = (*_OPTIONS, "num_steps_taken")


def without_training_parts(model):
    """Return a model that encodes, decodes and samples alike, without critic and perceptual part.

    Args:
        model: a `BinaryAutoencoder`, or a model that owns one as `autoencoder`. It stays as it is;
            the copy of a model with an autoencoder shares the other parts with it.
    """
    if getattr(model, "autoencoder", None) is not None:
        return with_autoencoder(model, without_training_parts(model.autoencoder))
    if all(getattr(model, name, None) is None for name in _OPTIONS):
        return model
    parts = [getattr(model, name, None) for name in _ATTRIBUTES]
    left_out = {id(weight) for part in parts if part is not None for weight in _weights(part)}
    kept = [weight for weight in model.weights if id(weight) not in left_out]
    copy = type(model).from_config({**model.get_config(), **dict.fromkeys(_OPTIONS)})
    for target, source in zip(copy.weights, kept, strict=True):
        target.assign(ops.convert_to_tensor(source))
    return copy


def with_autoencoder(model, autoencoder):
    """A copy of a diffusion around another autoencoder, which shares the other parts with it."""
    shared = {name: getattr(model, name) for name in ("denoiser", "schedule")}
    return type(model).from_config({**model.get_config(), **shared, "autoencoder": autoencoder})


def _weights(part):
    return part.weights if isinstance(part, keras.Layer) else [part]
