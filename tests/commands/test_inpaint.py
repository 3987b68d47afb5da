import numpy as np
import pytest
from PIL import Image
from small_models import small_autoencoder, tiny_model

from keras_bld import image_grid
from keras_bld.__main__ import main
from keras_bld.diffusion import BernoulliDenoiser
from keras_bld.zoo import save_preset

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("numpy_initial_weights")]


@pytest.fixture(scope="module")
def model(numpy_initial_weights):
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=8, num_classes=3)
    return tiny_model(denoiser, autoencoder=small_autoencoder(), class_names=["cat", "dog", "owl"])


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """A preset, a picture wider than high, and a mask of its right half."""
    folder = tmp_path_factory.mktemp("inpaint")
    save_preset(model, folder / "preset")
    size = model.autoencoder.image_shape[0]
    picture = np.random.default_rng(0).integers(0, 256, (size, size + 4, 3)).astype("uint8")
    mask = np.zeros((size, size + 4), "uint8")
    mask[:, 2 + size // 2 :] = 255
    Image.fromarray(picture).save(folder / "picture.png")
    Image.fromarray(mask).save(folder / "mask.png")
    return folder, picture[:, 2:-2], mask[:, 2:-2] > 0


def inpaint(folder, *words):
    main(["inpaint", *(str(folder / name) for name in ("preset", "picture.png")), *map(str, words)])


def test_the_result_is_that_of_the_model(files, model, tmp_path, capsys):
    folder, picture, mask = files
    out = tmp_path / "new" / "filled.png"
    inpaint(folder, "--mask", folder / "mask.png", "--out", out, "--label", "dog", "--seed", 3)
    filled = np.asarray(Image.open(out)).astype(int)
    assert (filled[~mask] == picture[~mask]).all() and (filled[mask] != picture[mask]).any()
    expected = model.inpaint(picture[None], mask, labels=["dog"], seed=3)[0]
    assert np.abs(filled - expected * 255).max() <= 1
    assert "50% of the picture new" in capsys.readouterr().out


def test_several_results_are_a_sheet_and_no_label_asks_for_none(files, model, tmp_path):
    folder, picture, mask = files
    out = tmp_path / "sheet.png"
    inpaint(folder, "--mask", folder / "mask.png", "--out", out, "--num-results", 3)
    expected = model.inpaint(picture[None], mask, num_results=3, seed=0, drop_condition=True)[0]
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    with Image.open(out) as sheet:
        difference = np.asarray(sheet).astype(int) - np.asarray(image_grid(expected))
    assert np.abs(difference).max() <= 1


def test_what_is_wrong_with_a_mask_is_said(files, tmp_path):
    folder, picture, _ = files
    Image.fromarray(np.zeros((8, 4), "uint8")).save(tmp_path / "small.png")
    Image.fromarray(np.zeros((8, 12), "uint8")).save(tmp_path / "black.png")
    for mask, message in (
        (tmp_path / "small.png", "4 x 8 pixels; expected the size of the picture, 12 x 8"),
        (tmp_path / "black.png", "black where the model looks"),
        (tmp_path / "none.png", "none.png"),
    ):
        with pytest.raises(SystemExit) as caught:
            inpaint(folder, "--mask", mask, "--out", tmp_path / "out.png")
        assert message in str(caught.value.code)
    with pytest.raises(SystemExit) as caught:
        inpaint(folder, "--mask", folder / "mask.png", "--out", tmp_path / "out.txt")
    assert "suffix of out" in str(caught.value.code)
    assert not (tmp_path / "out.png").exists()
