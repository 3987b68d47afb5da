import pytest
from small_models import PixelAutoencoder, small_autoencoder, small_diffusion, tiny_model

pytest.importorskip("openvino")
from keras_bld.serving.service.program import MARKER
from keras_bld.serving.service.program_writer import write_program_of

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: small_diffusion(), "without an autoencoder"),
        (lambda: tiny_model(autoencoder=PixelAutoencoder()), "expected a BinaryAutoencoder"),
        (lambda: small_diffusion(small_autoencoder(), text_width=4), "names its encoder"),
        (lambda: _wide(), "a model of 8 x 16 pixels"),
    ],
)
def test_what_the_service_cannot_run_is_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_program_of(make(), tmp_path / "program", "name", {"files": {}})
    assert not (tmp_path / "program" / MARKER).exists()


def _wide():
    from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

    denoiser = BernoulliDenoiser((4, 8, 4), 1, 16, 2, num_training_steps=4)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), small_autoencoder((8, 16, 3)))
