import re

import keras
import pytest
from small_models import small_autoencoder, small_diffusion, tiny_denoiser, tiny_model

from keras_bld import BernoulliNoiseSchedule
from keras_bld.base.description import counted

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def diffusion():
    return small_diffusion(small_autoencoder(), num_classes=10)


def table_of(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def test_reprs_show_sizes(diffusion):
    assert re.fullmatch(
        r"<BinaryLatentDiffusion binary_latent_diffusion.*: images \(8, 8, 3\), "
        r"codes \(4, 4, 4\), T = 4, 10 classes, target residual, [\d,]+ weights>",
        repr(diffusion),
    )
    assert "codes (4, 4, 4), 1 block of width 16, 2 heads, T = 4" in repr(diffusion.denoiser)
    assert "images (8, 8, 3), codes (4, 4, 4), f = 2, 64 bits" in repr(diffusion.autoencoder)
    text = tiny_model(tiny_denoiser(text_width=6, text_conditioning="cross_attention"))
    assert "text by cross-attention of width 6" in repr(text)


def test_schedules_name_their_kind():
    assert ": cos, T = 8>" in repr(BernoulliNoiseSchedule(8, "cos"))
    assert ": custom k, T = 2>" in repr(BernoulliNoiseSchedule(2, k=[0.5, 0.0]))
    assert ": custom beta, T = 2>" in repr(BernoulliNoiseSchedule(2, beta=[0.5, 1.0]))


@pytest.mark.parametrize("options", [{}, {"expand_nested": True}])
def test_summaries_know_every_shape_and_name(diffusion, options):
    for model in (diffusion, diffusion.autoencoder, diffusion.denoiser):
        table = table_of(model, **options)
        assert repr(model) in table
        assert "?" not in table
        assert not re.search(r"\bdense(_\d+)?\b", table)
    assert "code_logits" in table_of(diffusion.autoencoder)


def test_a_summary_changes_nothing(diffusion):
    before = keras.saving.serialize_keras_object(diffusion)
    table_of(diffusion, expand_nested=True)
    assert keras.saving.serialize_keras_object(diffusion) == before


def test_counts():
    assert [counted(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]
    assert counted(3, "block") == "3 blocks"
