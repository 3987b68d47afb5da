import numpy as np
import pytest
from keras import ops

from keras_bld.diffusion import BernoulliDenoiser
from keras_bld.diffusion.warm_start import copy_denoiser_weights

CODES = np.random.default_rng(0).integers(0, 2, (3, 2, 2, 4)).astype("float32")
TIMES = np.array([1, 2, 4], "int32")


def denoiser(width=8, **condition):
    return BernoulliDenoiser((2, 2, 4), 2, width, 2, num_training_steps=4, **condition)


def logits(model, condition=None):
    return ops.convert_to_numpy(model(CODES, TIMES, condition))


def test_a_text_model_begins_where_a_class_model_ended():
    source, target = denoiser(num_classes=3), denoiser(text_width=5)
    kept = [v + 0 for v in target.condition_embedding.get_weights()]
    assert not np.allclose(logits(source), logits(target))
    assert copy_denoiser_weights(source, target) is False
    # Without their conditions the two are the same function.
    np.testing.assert_allclose(logits(target), logits(source), atol=1e-6)
    for value, weight in zip(kept, target.condition_embedding.get_weights(), strict=True):
        np.testing.assert_array_equal(value, weight)


@pytest.mark.parametrize(
    ("condition", "given"),
    [
        ({"num_classes": 3}, np.array([0, 1, 2], "int32")),
        ({"text_width": 5}, np.ones((3, 5), "float32")),
        (
            {"text_width": 5, "text_conditioning": "cross_attention"},
            np.ones((3, 2, 5), "float32"),
        ),
        ({}, None),
    ],
)
def test_the_same_kind_of_condition_is_copied(condition, given):
    source, target = denoiser(**condition), denoiser(**condition)
    for variable in source.variables:  # biases and gates, too
        variable.assign(variable + 0.1)
    assert copy_denoiser_weights(source, target) is True
    np.testing.assert_allclose(logits(target, given), logits(source, given), atol=1e-6)


@pytest.mark.parametrize(("given", "wanted"), [(0.0, 0.5), (0.5, 0.0), (0.5, 0.5)])
def test_dropout_may_be_another(given, wanted):
    source, target = denoiser(dropout=given), denoiser(dropout=wanted)
    assert copy_denoiser_weights(source, target) is True
    np.testing.assert_allclose(logits(target), logits(source), atol=1e-6)


def test_another_number_of_classes_keeps_its_own():
    source, target = denoiser(num_classes=3), denoiser(num_classes=4)
    assert copy_denoiser_weights(source, target) is False
    np.testing.assert_allclose(logits(target), logits(source), atol=1e-6)


def test_denoisers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="width 12.*width 8"):
        copy_denoiser_weights(denoiser(12), denoiser(8))
    crossing = denoiser(text_width=5, text_conditioning="cross_attention")
    with pytest.raises(ValueError, match="with cross-attention.*without it"):
        copy_denoiser_weights(crossing, denoiser())
