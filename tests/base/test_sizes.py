import pytest
from recipes.recipe_files import recipe_class
from small_models import PixelAutoencoder

from keras_bld import BernoulliDenoiser, BinaryAutoencoder
from keras_bld.base.sizes import SIZES, sizes_for
from keras_bld.zoo import autoencoder_arguments, denoiser_arguments, find_architecture

pytestmark = pytest.mark.once


def test_each_size_of_images_has_a_row():
    rows = [sizes_for((side, side, 3)).resolution for side in (8, 16, 28, 64, 128, 256, 512, 1024)]
    assert rows == [16, 16, 32, 64, 256, 256, 1024, 1024]
    assert sizes_for((32, 64, 3)).resolution == 64
    assert [row.resolution for row in SIZES] == sorted(row.resolution for row in SIZES)


def test_the_rows_are_what_was_trained():
    for name, resolution in (("bld_ffhq_256", 256), ("bld_ffhq_1024", 1024)):
        row, architecture = sizes_for((resolution, resolution, 3)), find_architecture(name)
        published = autoencoder_arguments(architecture)
        assert row.autoencoder.items() <= published.items()
        assert row.denoiser.items() <= denoiser_arguments(architecture).items()


def test_small_rows_are_those_of_the_recipes():
    for file in ("digits", "fashion_mnist", "grocery_64"):
        recipe = recipe_class(file)()
        row = sizes_for((recipe.image_size, recipe.image_size, recipe.image_channels))
        for name, value in {**row.autoencoder, **row.denoiser}.items():
            assert getattr(recipe, name) == value, name
        assert row.trained == f"recipes/{file}.py"


def test_models_of_the_table():
    autoencoder = BinaryAutoencoder.for_images((12, 16, 1), base_width=8)
    assert autoencoder.code_shape == (3, 4, 16) and autoencoder.base_width == 8
    denoiser = BernoulliDenoiser.for_autoencoder(autoencoder, depth=1, num_classes=3)
    assert denoiser.code_shape == (3, 4, 16)
    assert (denoiser.depth, denoiser.width, denoiser.num_classes) == (1, 128, 3)
    assert BernoulliDenoiser.for_autoencoder(PixelAutoencoder(), depth=1).num_training_steps == 64


@pytest.mark.parametrize("shape", [(64, 64), (2048, 64, 3), (30, 30, 1), (0, 16, 1), ("a", 16, 1)])
def test_bad_shapes_are_refused(shape):
    with pytest.raises((ValueError, TypeError), match="image_shape"):
        BinaryAutoencoder.for_images(shape)
