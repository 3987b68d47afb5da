"""The small published models of the reference numbers, with their weights mapped onto ours."""

import functools

import numpy as np
from harness import shared_file

from keras_bld.diffusion import BernoulliDenoiser

# How the published code samples.
SAMPLER = {"posterior": "plug_in", "final": "threshold", "tempering": "logits"}
MODELS = ("denoiser_uncond", "denoiser_class")
CODE_SHAPE = (4, 4, 16)
NUM_STEPS = 16
# Tolerances that the reference's README gives for float32.
PROBABILITY_TOLERANCE = 2e-5
LOGIT_TOLERANCE = 2e-4


@functools.cache
def reference(prefix):
    """Name -> array of everything below `prefix`; skips the test where the file is absent."""
    with np.load(shared_file("reference/published_small.npz")) as file:
        names = [name for name in file.files if name.startswith(f"{prefix}/")]
        return {name.removeprefix(f"{prefix}/"): file[name] for name in names}


def as_grid(array):
    """Published codes (..., batch, height * width, c) -> ours (..., batch, height, width, c)."""
    return array.reshape(*array.shape[:-2], *CODE_SHAPE)


def condition_of(name):
    """Labels of the conditional model, None for the other."""
    labels = reference(name).get("condition")
    return None if labels is None else labels.astype("int32")


@functools.cache
def published_denoiser(name):
    """The denoiser `name` of `MODELS` with the published weights. Do not change them."""
    prefix = "state_dict/_denoise_fn."
    weights = {
        key.removeprefix(prefix): array
        for key, array in reference(name).items()
        if key.startswith(prefix)
    }
    num_classes = 10 if name == "denoiser_class" else None
    denoiser = BernoulliDenoiser(CODE_SHAPE, 2, 64, 4, NUM_STEPS, num_classes=num_classes)
    denoiser.positions.assign(weights.pop("pos_emb"))
    denoiser.token_embedding.kernel.assign(weights.pop("tok_emb.weight"))
    if num_classes:
        denoiser.condition_embedding.embeddings.assign(weights.pop("cls_embedding.weight"))

    def assign_dense(layer, key):
        layer.kernel.assign(weights.pop(f"{key}.weight").T)  # torch keeps (out, in)
        layer.bias.assign(weights.pop(f"{key}.bias"))

    def assign_norm(layer, key):
        layer.gamma.assign(weights.pop(f"{key}.weight"))
        layer.beta.assign(weights.pop(f"{key}.bias"))

    assign_dense(denoiser.time_embedding.hidden, "time_step_embedding.l0")
    assign_dense(denoiser.time_embedding.output_projection, "time_step_embedding.linear")
    for index, block in enumerate(denoiser.blocks):
        key = f"blocks.{index}"
        assign_norm(block.attention_norm, f"{key}.ln1")
        assign_dense(block.attention.query_key_value, f"{key}.attn.qkv")
        assign_dense(block.attention.projection, f"{key}.attn.proj")
        block.attention_scale.assign(weights.pop(f"{key}.gamma_1"))
        assign_norm(block.mlp_norm, f"{key}.ln2")
        assign_dense(block.mlp_hidden, f"{key}.mlp.0")
        assign_dense(block.mlp_output, f"{key}.mlp.2")
        block.mlp_scale.assign(weights.pop(f"{key}.gamma_2"))
    assign_norm(denoiser.output_norm, "ln_f")
    assign_dense(denoiser.head, "head")
    assert not weights, f"published weights without a place: {sorted(weights)}"
    return denoiser
