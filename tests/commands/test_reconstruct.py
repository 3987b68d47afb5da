import numpy as np
import pytest
from PIL import Image
from small_models import small_autoencoder

from keras_bld.__main__ import main
from keras_bld.metrics import psnr
from keras_bld.zoo import save_preset

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("numpy_initial_weights")]


def test_each_picture_stands_above_its_reconstruction(numpy_initial_weights, tmp_path, capsys):
    autoencoder = small_autoencoder()
    save_preset(autoencoder, tmp_path / "preset")
    pictures = np.random.default_rng(0).integers(0, 256, (2, *autoencoder.image_shape), "uint8")
    files = [str(tmp_path / f"{number}.png") for number in range(2)]
    for picture, file in zip(pictures, files, strict=True):
        Image.fromarray(picture).save(file)
    main(["reconstruct", str(tmp_path / "preset"), *files, "--out", str(tmp_path / "sheet.png")])
    score = psnr(pictures[1:], autoencoder.reconstruct(pictures)[1:])
    assert f"{files[1]}: {score:.1f} dB" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == sheet.height  # two pictures above two reconstructions


def test_without_a_picture(tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["reconstruct", "bld_digits_16", "--out", str(tmp_path / "sheet.png")])
    assert "`images`: received none" in str(caught.value.code)
