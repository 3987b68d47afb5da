"""What the tests of `compile_for_inference` share."""

import numpy as np

NUM_STEPS = 4


CONDITIONS = {
    None: {},
    "class": {"num_classes": 5},
    "token": {"text_width": 6, "patch_size": 2},
    "cross_attention": {"text_width": 6, "text_conditioning": "cross_attention"},
}


# Share of bits that may differ: ties in float32; in bfloat16 also what follows from them.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.03}


def larger_weights(*networks, seed=0):
    """Weights as a trained network's may be: no scale is 1, no offset is 0."""
    random = np.random.default_rng(seed)
    for network in networks:
        for variable in network.trainable_variables:
            variable.assign(variable + 0.1 * random.normal(size=variable.shape))


def conditions_of(kind, count):
    random = np.random.default_rng(1)
    return {
        None: {},
        "class": {"labels": np.arange(count) % 5},
        "token": {"text_embeddings": random.normal(size=(count, 6))},
        "cross_attention": {"text_embeddings": random.normal(size=(count, 3, 6))},
    }[kind]


def on_both_paths(model, function, precisions=("float32",)):
    """What `function` returns on the plain path, and on the fast one for each precision.

    The fast path, in the last precision, stays on.
    """
    model.compile_for_inference(None)
    made = [function()]
    for precision in precisions:
        assert model.compile_for_inference("openvino", precision)
        made.append(function())
    return made


def differing(first, second):
    assert first.shape == second.shape and first.dtype == second.dtype
    return np.mean(first != second)
