import dataclasses
import inspect
import pathlib
import shlex

import pytest
import tyro

from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe

pytestmark = pytest.mark.once


def test_defaults_are_the_papers():
    recipe = Recipe()
    assert recipe.image_shape == (256, 256, 3) and recipe.code_shape == (16, 16, 32)
    assert (recipe.depth, recipe.width, recipe.num_heads) == (24, 512, 8)
    assert recipe.autoencoder_learning_rate == 5e-4 and recipe.diffusion_learning_rate == 1e-4
    assert recipe.autoencoder_warmup_steps == recipe.diffusion_warmup_steps == 10_000
    assert (recipe.autoencoder_batch_size, recipe.diffusion_batch_size) == (8, 32)
    assert (recipe.vlb_weight, recipe.num_training_steps) == (0.1, 64)
    assert recipe.sampling == Sampling(num_steps=16, temperature=0.9)


def test_every_field_has_its_help():
    documented = dataclasses.fields(Recipe)
    source = pathlib.Path(inspect.getsourcefile(Recipe)).read_text()
    for field in documented:
        after = source.split(f"    {field.name}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""'), field.name


def test_a_smoke_run_is_small_and_keeps_the_path():
    small = Recipe(smoke=True).shrunk()
    assert small.code_shape[:2] == (8, 8) and small.image_size == 128
    assert len(small.width_multipliers) == len(Recipe().width_multipliers)
    assert small.autoencoder_steps <= 10 and small.diffusion_steps <= 10
    assert small.perceptual == "none"  # nothing is fetched
    assert small.adversarial_weight > 0 and small.critic_start_step < small.autoencoder_steps


def test_the_code_follows_the_bottleneck():
    assert Recipe(bottleneck="vector_quantized").code_shape == (16, 16, 10)
    assert Recipe(bottleneck="finite_scalar", code_channels=6).code_shape == (16, 16, 6)
    assert Recipe(bottleneck="lookup_free").code_shape == Recipe().code_shape == (16, 16, 32)
    alone = Recipe(bottleneck="real_valued", stage="autoencoder")
    assert alone.code_shape == (16, 16, 16)


def test_crops_keep_the_networks_and_attention_on_its_level():
    recipe = Recipe(autoencoder_crop_size=64, attention_resolutions=(16, 32))
    crops = recipe.on_crops()
    assert crops.image_shape == (64, 64, 3) and crops.code_shape == (4, 4, 32)
    assert crops.attention_resolutions == (4, 8)
    assert Recipe().on_crops() == Recipe()
    assert recipe.shrunk().autoencoder_crop_size == 64 and recipe.shrunk().image_size == 128


def test_command_is_the_one_that_trains_it():
    recipe = Recipe(
        seed=3, random_flip=False, mixed_precision=True, width_multipliers=(1, 2), stage="sample",
        learning_rate_decay="cosine", data_dir="my photos", work_dir="elsewhere",
    )  # fmt: skip
    assert recipe.command.startswith("python recipes/recipe.py ")
    again = tyro.cli(Recipe, args=shlex.split(recipe.command)[2:])
    assert again == dataclasses.replace(recipe, stage="all", work_dir=None)
    assert Recipe().command == "python recipes/recipe.py"
