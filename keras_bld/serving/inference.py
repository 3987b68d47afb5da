"""The fast path of `compile_for_inference`, or a message that says why the plain one stays."""

import warnings

from keras_bld.autoencoder import CodeAutoencoder, Decoder, Encoder
from keras_bld.base import checks
from keras_bld.base.optional import install_command
from keras_bld.diffusion import BernoulliDenoiser
from keras_bld.serving.openvino_codec import OpenVinoCodec
from keras_bld.serving.openvino_program import PRECISIONS
from keras_bld.serving.openvino_runtime import has_bfloat16
from keras_bld.serving.openvino_sampler import OpenVinoSampler

TARGETS = ("openvino", None)


def inference_engine(model, target="openvino", precision="bfloat16"):
    """What runs a model's functions on arrays in place of the backend.

    Args:
        model: a `CodeAutoencoder`, or a `CodePrior`, whose denoiser is taken.
        target: "openvino", or None for the plain path.
        precision: "bfloat16", or "float32".

    Returns:
        An `OpenVinoCodec` or `OpenVinoSampler`; None for the plain path. That is also what comes,
        with a warning that says why, where OpenVINO is not installed or cannot run the model.

    Raises:
        ValueError: an unknown target or precision.
    """
    checks.check_choice("target", target, TARGETS)
    checks.check_choice("precision", precision, tuple(PRECISIONS))
    if target is None:
        return None
    try:
        import openvino  # noqa: F401 (whether it is there)
    except ImportError:
        _stay(f"OpenVINO is not installed: {install_command('serve')}")
        return None
    try:
        engine = _build(model, precision)
    except Exception as reason:  # whatever it is, the model still runs without OpenVINO
        _stay(f"OpenVINO cannot run {type(model).__name__}: {reason}")
        return None
    if precision == "bfloat16" and not has_bfloat16():
        warnings.warn(
            "This processor has no bfloat16: OpenVINO runs the model in float32.",
            RuntimeWarning,
            stacklevel=3,
        )
    return engine


def _build(model, precision):
    """The engine of the model's kind."""
    if isinstance(model, CodeAutoencoder):
        _check_type(model.encoder, Encoder)
        _check_type(model.decoder, Decoder)
        return OpenVinoCodec(model, precision)
    _check_type(model.denoiser, BernoulliDenoiser)
    return OpenVinoSampler(model, precision)


def _check_type(part, kind):
    # Graphs are built for these classes: a subclass may compute something else.
    if type(part) is not kind:
        raise checks.error(
            "model",
            f"a {type(part).__name__}",
            f"a {kind.__name__}",
            "run the model without compile_for_inference",
            TypeError,
        )


def _stay(reason):
    message = f"compile_for_inference: the plain path stays. {reason}"
    warnings.warn(message, RuntimeWarning, stacklevel=4)
