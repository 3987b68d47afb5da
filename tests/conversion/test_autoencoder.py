import math

import keras
import numpy as np
import pytest
import torch
from conversion import plain_torch
from conversion.plain_torch import AutoencoderSizes
from harness import shared_file

from keras_bld.base.backend import compile_function
from keras_bld.conversion import autoencoder_from_published, convert_autoencoder, read_checkpoint

IMAGE_TOLERANCE = 2e-4
PROBABILITY_TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(reference numbers, model), the weights through a file."""
    name = "autoencoder/"
    with np.load(shared_file("reference/published_small.npz")) as file:
        reference = {key[len(name) :]: file[key] for key in file if key.startswith(name)}
    prefix = "state_dict/"
    state = {
        key[len(prefix) :]: torch.tensor(reference[key])
        for key in reference
        if key.startswith(prefix)
    }
    path = tmp_path_factory.mktemp("published") / "binaryae_ema_1.th"
    torch.save(state, path)
    model = autoencoder_from_published(read_checkpoint(path), 16, (8,), critic=True)
    return reference, model


def test_published_codes_and_reconstructions(published):
    reference, model = published
    images = channels_last(reference["image"])
    probabilities = model.encode_probabilities(images)
    check_close(probabilities, reference["bernoulli_prob"], PROBABILITY_TOLERANCE)
    codes = model.encode(images)
    np.testing.assert_array_equal(codes, channels_last(reference["code"]))
    expected = reference["reconstruction"].clip(0, 1)
    check_close(model.decode(codes), expected, IMAGE_TOLERANCE)


def test_published_critic(published):
    reference, model = published
    # With the running statistics of the file, which are younger than its `disc_eval`.
    sizes = AutoencoderSizes(image_size=16, critic_width=16, critic_layers=2)
    state = {
        name.removeprefix("state_dict/"): torch.tensor(array) for name, array in reference.items()
    }
    expected = plain_torch.criticise(state, sizes, torch.tensor(reference["image"]))
    check_close(logits_of(model.critic, reference["image"]), expected.numpy(), IMAGE_TOLERANCE)
    # With the statistics of the batch.
    logits = model.critic(channels_last(reference["image"]), training=True)
    check_close(logits, reference["disc_train_real"], IMAGE_TOLERANCE)


CONFIGURATIONS = {
    # Three blocks in the generator where the encoder has two: `--gen_mul 1.5`.
    "generator multiplier 1.5": AutoencoderSizes(num_blocks=2, generator_blocks=3, attention=(4,)),
    "no norm first, gray, wide embedding": AutoencoderSizes(
        image_channels=1,
        multipliers=(2, 1, 2),
        attention=(8, 2),
        embedding_width=64,
        code_channels=3,
        norm_first=False,
        extras=(),
    ),
    # The last two layers of the critic have eight times its first width.
    "one level, deep critic": AutoencoderSizes(
        image_size=48, multipliers=(1,), attention=(16,), critic_width=2, critic_layers=4
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_other_configurations(name):
    sizes = CONFIGURATIONS[name]
    state = plain_torch.random_autoencoder(sizes)
    critic = sizes.critic_layers > 1
    model, report = convert_autoencoder(state.arrays(), sizes.image_size, sizes.attention, critic)
    side = sizes.image_size // 2 ** (len(sizes.multipliers) - 1)
    assert model.code_shape == (side, side, sizes.code_channels)
    generator = np.random.default_rng(0)
    shape = (2, sizes.image_channels, sizes.image_size, sizes.image_size)
    images = generator.uniform(size=shape).astype("float32")
    expected = plain_torch.encode(state, sizes, torch.tensor(images)).numpy()
    received = model.encode_probabilities(channels_last(images))
    check_close(received, expected, PROBABILITY_TOLERANCE)
    codes = generator.integers(0, 2, (2, sizes.code_channels, side, side)).astype("float32")
    expected = plain_torch.decode(state, sizes, torch.tensor(codes)).numpy()
    assert expected.std() > 0.1  # no picture of one colour
    check_close(model.decode(channels_last(codes)), expected.clip(0, 1), IMAGE_TOLERANCE)
    if critic:
        expected = plain_torch.criticise(state, sizes, torch.tensor(images)).numpy()
        check_close(logits_of(model.critic, images), expected, IMAGE_TOLERANCE)
    # Every variable has its tensor, every other tensor its reason.
    variables = [variable for variable in model.weights if variable.name != "num_steps_taken"]
    assert len(report.placed) == len(variables)
    assert report.num_weights == sum(math.prod(variable.shape) for variable in variables)
    assert len(report.placed) + len(report.left_over) == len(state)


@pytest.mark.once
def test_report_names_what_is_left_over_and_why():
    sizes = AutoencoderSizes(num_blocks=2, generator_blocks=4, attention=(4,))
    state = plain_torch.random_autoencoder(sizes).arrays()
    state["perceptual.lin0.model.1.weight"] = np.ones((1, 64, 1, 1), "float32")
    _, report = convert_autoencoder(state, 8, attention_resolutions=None)
    assert report.sizes == {
        "image_shape": (8, 8, 3),
        "code_channels": 4,
        "base_width": 32,
        "width_multipliers": (1, 2),
        "num_blocks": 2,
        "decoder_num_blocks": 4,
        "attention_resolutions": (4,),
        "embedding_width": 32,
        "norm_first": True,
        "downsampling_factor": 2,
        "code_shape": (4, 4, 4),
    }
    reasons = report.left_over
    assert "LPIPS" in reasons["perceptual.lin0.model.1.weight"]
    assert "never uses" in reasons["ae.generator.logsigma.0.weight"]
    assert "critic=True" in reasons["disc.main.0.weight"]
    assert "unused shortcut" in reasons["ae.encoder.blocks.1.conv_out.weight"]
    # Where the channels change, the shortcut is used: level 2 of the encoder starts at block 4.
    placed = {tensor.name: tensor.path for tensor in report.placed}
    assert placed["ae.encoder.blocks.4.conv_out.weight"] == "encoder.blocks.4.shortcut.kernel"
    _, report = convert_autoencoder(state, 8, (4,), critic=True)
    left = [name for name in report.left_over if name.startswith("disc.")]
    assert left == ["disc.main.3.num_batches_tracked"]


def without(*names):
    return lambda state: {name: array for name, array in state.items() if name not in names}


def renamed(old, new):
    return lambda state: {
        (new + name[len(old) :] if name.startswith(old) else name): array
        for name, array in state.items()
    }


def changed(name, change):
    return lambda state: state | {name: change(state[name])}


REFUSED = {
    "missing tensor": (
        without("ae.encoder.blocks.1.norm2.bias"),
        "without `ae.encoder.blocks.1.norm2.bias`",
    ),
    "missing start": (
        without("ae.encoder.blocks.0.weight"),
        "`ae.encoder.blocks.0.weight` among them",
    ),
    "missing bits": (without("ae.quantize.embed.weight"), "without `ae.quantize.embed.weight`"),
    "missing generator": (
        lambda state: {name: state[name] for name in state if "generator" not in name},
        "`ae.generator.blocks` in the order",
    ),
    "missing block": (
        lambda state: {name: state[name] for name in state if "encoder.blocks.2." not in name},
        r"without `ae.encoder.blocks.2.\*`",
    ),
    "missing shortcut": (
        without("ae.encoder.blocks.3.conv_out.bias"),
        "without `ae.encoder.blocks.3.conv_out.bias`",
    ),
    "missing weight of a plain layer": (
        without("ae.generator.blocks.0.weight"),
        "without `ae.generator.blocks.0.weight`",
    ),
    "cut short": (
        lambda state: dict(list(state.items())[:40]),
        "`ae.encoder.blocks` in the order convolution, residual, resampling",
    ),
    "clash": (
        changed("ae.encoder.blocks.3.conv2.weight", lambda array: array[:, :-1]),
        r"`ae.encoder.blocks.3.conv2.weight` of shape \(64, 63, 3, 3\) and not \(64, 64, 3, 3\)",
    ),
    "clash of widths": (
        changed("ae.encoder.blocks.1.conv1.weight", lambda array: array[:16]),
        r"levels of \(16, 64\) channels in the encoder and \(32, 64\)",
    ),
    "clash of code channels": (
        changed("ae.quantize.proj.0.weight", lambda array: array[:3]),
        r"`ae.quantize.proj.0.weight` of shape \(3, 32, 1, 1\) and not \(4, 32, 1, 1\)",
    ),
    "order": (
        renamed("ae.generator.blocks.3.", "ae.generator.blocks.99."),
        r"without `ae.generator.blocks.3.\*`",
    ),
    "NaN": (changed("ae.quantize.embed.weight", lambda array: array / 0 * 0), "NaN or infinity"),
    "unknown": (
        lambda state: state | {"ae.quantize.codebook": np.zeros((4, 4), "float32")},
        "no place for: `ae.quantize.codebook`",
    ),
    "denoiser": (
        lambda state: {"_denoise_fn.tok_emb.weight": np.zeros((4, 4))},
        "call `diffusion_from_published`",
    ),
}


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
@pytest.mark.parametrize("row", REFUSED)
def test_refused(row):
    change, message = REFUSED[row]
    state = plain_torch.random_autoencoder(AutoencoderSizes()).arrays()
    with pytest.raises(ValueError, match="(?s)Invalid `state_dict`.*" + message):
        autoencoder_from_published(change(state), image_size=8)


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"image_size": 8}, r"`attention_resolutions`: received \(16,\).*pass .*=\(4,\)"),
        ({"image_size": 16, "attention_resolutions": (4,)}, r"attention at \(8,\)"),
        ({"image_size": 8, "attention_resolutions": (8, 4)}, "that is attention at .8, 4."),
        ({"image_size": 7}, "`image_size`: received 7; expected a multiple of 2"),
        ({"image_size": 0}, "`image_size`"),
        ({"image_size": (8, 8)}, "`image_size`"),
    ],
)
def test_refused_arguments(arguments, message):
    state = plain_torch.random_autoencoder(AutoencoderSizes(attention=(4,))).arrays()
    with pytest.raises(ValueError, match=message):
        autoencoder_from_published(state, **arguments)


@pytest.mark.once
def test_critic_that_is_not_there_or_damaged():
    state = plain_torch.random_autoencoder(AutoencoderSizes(extras=())).arrays()
    with pytest.raises(ValueError, match="without `disc.main.0.weight`"):
        autoencoder_from_published(state, 8, critic=True)
    state = plain_torch.random_autoencoder(AutoencoderSizes()).arrays()
    del state["disc.main.3.running_var"]
    assert autoencoder_from_published(state, 8).critic is None
    with pytest.raises(ValueError, match="without `disc.main.3.running_var`"):
        autoencoder_from_published(state, 8, critic=True)


def logits_of(critic, images):
    compiled = compile_function(critic, lambda: critic.variables)
    return compiled(channels_last(images))


def channels_last(array):
    return np.moveaxis(array, 1, -1)


def check_close(received, expected, tolerance):
    received = keras.ops.convert_to_numpy(received)
    np.testing.assert_allclose(received, channels_last(expected), atol=tolerance, rtol=0)
