import numpy as np
import pytest
from small_models import (
    PixelAutoencoder,
    shapes_model,
    small_autoencoder,
    small_diffusion,
    tiny_model,
    with_small_decoder,
)

pytest.importorskip("openvino")
from keras_bld.serving.service.networks import Networks
from keras_bld.serving.service.program import MARKER, read_program
from keras_bld.serving.service.program_writer import main, write_program_of
from keras_bld.zoo import save_preset

pytestmark = pytest.mark.on_tensorflow


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


def test_the_small_decoder_is_written_where_it_is_asked_for(tmp_path):
    model = with_small_decoder(shapes_model())
    save_preset(model, tmp_path / "shapes")
    codes = np.random.default_rng(0).integers(0, 2, (2, *model.code_shape)).astype("float32")
    for name in ("full", "small"):
        main(tmp_path / "shapes", tmp_path / name, name)
        made = Networks(read_program(tmp_path / name), 2, "float32", 1).decode(codes)
        np.testing.assert_allclose(made, model.autoencoder.decode(codes, decoder=name), atol=1e-4)
    save_preset(shapes_model(), tmp_path / "without")
    with pytest.raises(SystemExit, match="no small decoder"):
        main(tmp_path / "without", tmp_path / "none", "small")


def _wide():
    from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

    denoiser = BernoulliDenoiser((4, 8, 4), 1, 16, 2, num_training_steps=4)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), small_autoencoder((8, 16, 3)))
