"""The networks against numbers computed with the published PyTorch implementation."""

import math

import keras
import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import shared_file
from keras import ops

from keras_bld.autoencoder import BinaryAutoencoder, PatchCritic
from keras_bld.autoencoder.blocks import AttentionBlock, ResidualBlock
from keras_bld.autoencoder.group_norm import GroupNorm
from keras_bld.autoencoder.losses import (
    generator_loss,
    hinge_critic_loss,
    reconstruction_loss,
    split_with_balance,
)

LOGIT_TOLERANCE, LOSS_TOLERANCE = 2e-4, 2e-5


@pytest.fixture(scope="module")
def reference():
    arrays = np.load(shared_file("reference/published_small.npz"))
    prefix = "autoencoder/"
    return {name[len(prefix) :]: arrays[name] for name in arrays.files if name.startswith(prefix)}


@pytest.fixture(scope="module")
def model(reference):
    model = BinaryAutoencoder(
        (16, 16, 3),
        12,
        base_width=32,
        width_multipliers=(1, 2),
        num_blocks=1,
        attention_resolutions=(8,),
        embedding_width=32,
        critic=PatchCritic(base_width=16, num_layers=2),
    )
    weights = {name[11:]: reference[name] for name in reference if name.startswith("state_dict/")}
    used = set()
    load_blocks(model.encoder.blocks, "ae.encoder.blocks", weights, used)
    load_dense(model.code_logits, "ae.quantize.proj.0", weights, used)
    model.decoder.embedding.assign(weights["ae.quantize.embed.weight"])
    used.add("ae.quantize.embed.weight")
    load_blocks(model.decoder.blocks, "ae.generator.blocks", weights, used)
    load_blocks(model.critic.blocks, "disc.main", weights, used)
    unused = {
        name
        for name in set(weights) - used
        if ".conv_out." not in name and ".logsigma." not in name and "num_batches" not in name
    }
    assert not unused
    return model


def load_blocks(blocks, prefix, weights, used):
    for index, block in enumerate(blocks):
        load_block(block, f"{prefix}.{index}", weights, used)


def load_block(block, prefix, weights, used):
    if isinstance(block, keras.layers.Conv2D):
        load_convolution(block, prefix, weights, used)
    elif isinstance(block, GroupNorm):
        load_norm(block, prefix, weights, used)
    elif isinstance(block, keras.layers.BatchNormalization):
        load_norm(block, prefix, weights, used)
        block.moving_mean.assign(weights[f"{prefix}.running_mean"])
        block.moving_variance.assign(weights[f"{prefix}.running_var"])
        used |= {f"{prefix}.running_mean", f"{prefix}.running_var"}
    elif isinstance(block, ResidualBlock):
        for name in ("norm1", "norm2"):
            load_norm(getattr(block, name), f"{prefix}.{name}", weights, used)
        for name in ("conv1", "conv2"):
            load_convolution(getattr(block, name), f"{prefix}.{name}", weights, used)
        if block.shortcut is not None:
            load_dense(block.shortcut, f"{prefix}.conv_out", weights, used)
    elif isinstance(block, AttentionBlock):
        load_norm(block.norm, f"{prefix}.norm", weights, used)
        pairs = {"query": "q", "key": "k", "value": "v", "projection": "proj_out"}
        for ours, theirs in pairs.items():
            load_dense(getattr(block, ours), f"{prefix}.{theirs}", weights, used)
    elif hasattr(block, "conv"):
        load_convolution(block.conv, f"{prefix}.conv", weights, used)


def load_convolution(layer, prefix, weights, used):
    # torch keeps kernels as (out, in, row, column).
    layer.kernel.assign(weights[f"{prefix}.weight"].transpose(2, 3, 1, 0))
    used.add(f"{prefix}.weight")
    if layer.use_bias:
        layer.bias.assign(weights[f"{prefix}.bias"])
        used.add(f"{prefix}.bias")


def load_dense(layer, prefix, weights, used):
    layer.kernel.assign(weights[f"{prefix}.weight"][:, :, 0, 0].T)
    layer.bias.assign(weights[f"{prefix}.bias"])
    used |= {f"{prefix}.weight", f"{prefix}.bias"}


def load_norm(layer, prefix, weights, used):
    layer.gamma.assign(weights[f"{prefix}.weight"])
    layer.beta.assign(weights[f"{prefix}.bias"])
    used |= {f"{prefix}.weight", f"{prefix}.bias"}


def channels_last(array):
    return array.transpose(0, 2, 3, 1)


def check_close(received, expected, tolerance):
    np.testing.assert_allclose(ops.convert_to_numpy(received), expected, rtol=0, atol=tolerance)


def test_encoder(model, reference):
    images = channels_last(reference["image"])
    features = model.encoder(images)
    check_close(features, channels_last(reference["encoder_out"]), LOGIT_TOLERANCE)


def test_probabilities_and_codes(model, reference):
    images = channels_last(reference["image"])
    probabilities = channels_last(reference["bernoulli_prob"])
    check_close(model.encode_probabilities(images), probabilities, LOSS_TOLERANCE)
    np.testing.assert_array_equal(model.encode(images), channels_last(reference["code"]))


def test_decoder(model, reference):
    codes = channels_last(reference["code"])
    check_close(model.decoder.embed(codes), channels_last(reference["embedded"]), LOGIT_TOLERANCE)
    expected = channels_last(reference["reconstruction"])
    check_close(model.decoder(codes), expected, LOGIT_TOLERANCE)
    check_close(model.decode(codes), expected.clip(0, 1), LOGIT_TOLERANCE)
    # Images are reconstructed from thresholded bits outside training.
    check_close(model(channels_last(reference["image"])), expected, LOGIT_TOLERANCE)


def test_critic(model, reference):
    """The file holds the running statistics after two training passes; `disc_eval` is older."""
    images = channels_last(reference["image"])
    norms = [block for block in model.critic.blocks if hasattr(block, "moving_mean")]
    recorded = [ops.convert_to_numpy(norm.moving_mean) for norm in norms]
    for norm in norms:
        norm.moving_mean.assign(np.zeros(norm.moving_mean.shape))
        norm.moving_variance.assign(np.ones(norm.moving_variance.shape))
    logits = model.critic(images, training=False)
    check_close(logits, channels_last(reference["disc_eval"]), LOGIT_TOLERANCE)
    real = model.critic(images, training=True)
    check_close(real, channels_last(reference["disc_train_real"]), LOGIT_TOLERANCE)
    fake = model.critic(channels_last(reference["reconstruction"]), training=True)
    check_close(hinge_critic_loss(real, fake), reference["hinge_d_loss"], LOSS_TOLERANCE)
    for norm, moving_mean in zip(norms, recorded, strict=True):
        check_close(norm.moving_mean, moving_mean, LOSS_TOLERANCE)


def test_adaptive_weight(model, reference):
    """Norms at the last kernel, critic in evaluation mode without augmentation, l1 alone."""
    images = ops.convert_to_tensor(channels_last(reference["image"]))
    features = model.decoder.features(channels_last(reference["code"]))
    reconstruction = model.decoder.last_convolution(features)
    weights = [variable.value for variable in model.critic.trainable_variables]
    states = [
        ops.convert_to_tensor(reference[f"state_dict/disc.main.{index}.running_{name}"])
        for index in (3, 6)
        for name in ("mean", "var")
    ]

    def likelihood_term(x):
        return reconstruction_loss(images, x, "l1")

    def adversarial_term(x):
        return generator_loss(model.critic.stateless_call(weights, states, x)[0])

    def objective(x):
        for_terms, for_critic = split_with_balance(x, features, ops.ones(()), 1e4)
        return likelihood_term(for_terms) + adversarial_term(for_critic)

    expected = {name: reference[f"adaptive_weight/{name}"] for name in ("nll_l1", "g_loss")}
    check_close(likelihood_term(reconstruction), expected["nll_l1"], LOSS_TOLERANCE)
    check_close(adversarial_term(reconstruction), expected["g_loss"], LOSS_TOLERANCE)
    (total,), (likelihood,), (adversarial,) = (
        gradient_of(term, reconstruction) for term in (objective, likelihood_term, adversarial_term)
    )
    weight = ((total - likelihood) * adversarial).sum() / (adversarial**2).sum()
    assert weight == pytest.approx(float(reference["adaptive_weight/d_weight"]), rel=1e-4)


@pytest.mark.once
def test_number_of_weights_at_full_size():
    """65,386,787 as published (without its `logsigma` head), less the unused shortcuts.

    Every residual block of the published code has a 1x1 shortcut convolution; where the number of
    channels stays it is never called.
    """
    model = BinaryAutoencoder((256, 256, 3), 32, critic=True)
    blocks = [*model.encoder.blocks, *model.decoder.blocks]
    residual_blocks = [block for block in blocks if isinstance(block, ResidualBlock)]
    assert len(residual_blocks) == 24
    unused = sum(
        block.channels**2 + block.channels for block in residual_blocks if block.shortcut is None
    )
    assert unused == 2_348_928
    parts = (model.encoder, model.code_logits, model.decoder)
    count = sum(math.prod(weight.shape) for part in parts for weight in part.weights)
    assert count == 65_386_787 - unused == 63_037_859
    critic_count = sum(math.prod(weight.shape) for weight in model.critic.trainable_weights)
    assert critic_count == 2_765_633
