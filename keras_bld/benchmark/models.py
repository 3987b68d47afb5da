"""The models that are measured, as constructor arguments that ours and the peer both take."""

from keras_bld.zoo import autoencoder_arguments, denoiser_arguments, find_architecture

_ROWS = {
    "unconditional_256": "bld_ffhq_256",
    "imagenet_256": "bld_imagenet_256",
    "unconditional_1024": "bld_ffhq_1024",
}
MODELS = ("unconditional_256", "imagenet_256", "tiny")


def _tiny(image_size):
    autoencoder = {
        "image_shape": (image_size, image_size, 3),
        "code_channels": 4,
        "base_width": 32,
        "width_multipliers": (1, 2),
        "num_blocks": 1,
        "attention_resolutions": (8,),
        "embedding_width": 32,
    }
    denoiser = {
        "code_shape": (image_size // 2, image_size // 2, 4),
        "depth": 1,
        "width": 32,
        "num_heads": 2,
        "num_training_steps": 64,
        "num_classes": 3,
    }
    return {"autoencoder": autoencoder, "denoiser": denoiser}


def model_sizes(name):
    """Arguments of the autoencoder and of the denoiser.

    Args:
        name: one of `MODELS`, or what `large_model` returns.

    Returns:
        Dictionary of two dictionaries, "autoencoder" and "denoiser".
    """
    if name.startswith("tiny"):
        return _tiny(32 if name == "tiny_large" else 16)
    row = find_architecture(_ROWS[name])
    return {"autoencoder": autoencoder_arguments(row), "denoiser": denoiser_arguments(row)}


def large_model(name):
    """The model for images of 1024 x 1024 (f = 32) that stands beside `name`."""
    return "tiny_large" if name == "tiny" else "unconditional_1024"
