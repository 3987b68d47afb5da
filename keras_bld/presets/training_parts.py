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
        return with_parts(model, autoencoder=without_training_parts(model.autoencoder))
    if all(getattr(model, name, None) is None for name in _OPTIONS):
        return model
    parts = [getattr(model, name, None) for name in _ATTRIBUTES]
    left_out = {id(weight) for part in parts if part is not None for weight in _weights(part)}
    kept = [weight for weight in model.weights if id(weight) not in left_out]
    copy = type(model).from_config({**model.get_config(), **dict.fromkeys(_OPTIONS)})
    # As arrays: on JAX a variable that is assigned a tensor shares its buffer, which training gives
    # away.
    copy.set_weights([ops.convert_to_numpy(weight) for weight in kept])
    return copy


def with_parts(model, **parts):
    """A copy of a diffusion with another denoiser or autoencoder; it shares the other parts."""
    shared = {name: getattr(model, name) for name in ("denoiser", "schedule", "autoencoder")}
    return type(model).from_config({**model.get_config(), **shared, **parts})


def _weights(part):
    return part.weights if isinstance(part, keras.Layer) else [part]
