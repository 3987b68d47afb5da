"""Inputs that ours and the peer share: what they hold does not change what a step costs."""

import os

import numpy as np

GUIDANCE_SCALE = 2.0  # the authors' for ImageNet
PATHS = ("keras", "keras_bfloat16", "openvino", "peer", "peer_bfloat16")
OURS = ("keras", "keras_bfloat16", "openvino")
IN_BFLOAT16 = ("keras_bfloat16", "openvino", "peer_bfloat16")
ON_CPU = ("keras", "openvino", "peer", "peer_bfloat16")
ON_GPU = ("keras", "keras_bfloat16")  # OpenVINO and the peer run on the processor


def random_codes(code_shape, batch):
    """Fair bits, float32 {0, 1} (batch, *code_shape)."""
    return np.random.default_rng(0).integers(0, 2, (batch, *code_shape)).astype("float32")


def random_images(image_shape, batch):
    """Smooth uint8 pictures (batch, height, width, 3): a coarse grid of colours, repeated."""
    height, width, channels = image_shape
    coarse = np.random.default_rng(0).integers(0, 256, (batch, 8, 8, channels), "uint8")
    return np.repeat(np.repeat(coarse, height // 8, axis=1), width // 8, axis=2)


def some_labels(denoiser_sizes, batch):
    """int32 (batch,) in turn, or None for an unconditional denoiser."""
    num_classes = denoiser_sizes.get("num_classes")
    return None if num_classes is None else (np.arange(batch) % num_classes).astype("int32")


def reading(batches, num_batches):
    """A case that takes batches from a loader as fast as they come.

    What the loader has read ahead while the process waited is not timed: torch's two batches for
    each worker process would be most of a short run.
    """

    def run(lap):
        for _ in range(2 * (os.cpu_count() or 1)):
            next(batches)
        lap.restart()
        for _ in range(num_batches):
            next(batches)
        return {}

    return run
