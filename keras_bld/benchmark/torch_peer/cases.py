"""Cases of the peer to be timed; the counterpart of `keras_bld.benchmark.keras_cases`."""

import numpy as np
import torch

from keras_bld.benchmark.layers import AutoencoderSizes
from keras_bld.benchmark.models import model_sizes
from keras_bld.benchmark.settings import (
    GUIDANCE_SCALE,
    random_codes,
    random_images,
    reading,
    some_labels,
)
from keras_bld.benchmark.torch_peer.autoencoder import Autoencoder
from keras_bld.benchmark.torch_peer.critic import Critic, PerceptualDistance
from keras_bld.benchmark.torch_peer.denoiser import Denoiser
from keras_bld.benchmark.torch_peer.diffusion import sample_codes
from keras_bld.benchmark.torch_peer.inference import Inference, fastest_num_threads
from keras_bld.benchmark.torch_peer.loading import loader_batches
from keras_bld.benchmark.torch_peer.training import AutoencoderTraining, DiffusionTraining


class PeerCases:
    """Cases of the path "peer" (float32) or "peer_bfloat16".

    Each method whose name is that of a case takes the case's settings and returns a callable of
    `lap` (see `worker.py`) that does the work once and returns its results as NumPy arrays.
    """

    def __init__(self, path):
        self._bfloat16 = path == "peer_bfloat16"
        self._chosen = {}
        self.notes = {}

    def denoise(self, model, batch, num_steps, guided=False):
        """A chain of `num_steps` steps."""
        network, labels = self._denoiser(model, batch)
        scale = GUIDANCE_SCALE if guided else 0.0

        def run(lap):
            codes = network(
                lambda denoiser: sample_codes(
                    denoiser, batch, num_steps, guidance_scale=scale, labels=labels
                )
            )
            return {"codes": codes.numpy()}

        return run

    def generate(self, model, batch, num_steps, guided=False):
        """The same chain, then decoding."""
        denoise = self.denoise(model, batch, num_steps, guided)
        height, width, channels = model_sizes(model)["denoiser"]["code_shape"]
        network = self._autoencoder(model, "decode", batch)

        def run(lap):
            codes = denoise(lap)["codes"]
            lap("denoise")
            grid = codes.reshape(batch, height, width, channels)
            images = _decoded(network, grid)
            lap("decode")
            return {"codes": grid, "images": images}

        return run

    def encode(self, model, batch):
        """Images -> thresholded bits."""
        network = self._autoencoder(model, "encode", batch)
        images = random_images(model_sizes(model)["autoencoder"]["image_shape"], batch)

        def run(lap):
            # uint8 comes in, as with ours.
            tensor = _channels_first(images.astype("float32") / 255.0)
            codes = network(lambda autoencoder: autoencoder.encode(tensor) > 0.5)
            return {"codes": _channels_last(codes)}

        return run

    def decode(self, model, batch):
        """Bits -> images."""
        network = self._autoencoder(model, "decode", batch)
        codes = random_codes(model_sizes(model)["denoiser"]["code_shape"], batch)
        return lambda lap: {"images": _decoded(network, codes)}

    def train_autoencoder(self, model, batch, num_critic_layers):
        """A step of stage 1."""
        torch.manual_seed(0)
        autoencoder = Autoencoder(_autoencoder_sizes(model)).train()
        critic = Critic(num_layers=num_critic_layers).train()
        training = AutoencoderTraining(autoencoder, critic, PerceptualDistance())
        images = random_images(model_sizes(model)["autoencoder"]["image_shape"], batch)
        tensor = _channels_first(images.astype("float32") / 255.0)
        return self._training_at_best_threads(lambda: training.step(tensor), "stage 1")

    def train_diffusion(self, model, batch):
        """A step of stage 2 on codes."""
        torch.manual_seed(0)
        sizes = model_sizes(model)["denoiser"]
        training = DiffusionTraining(Denoiser(**sizes).train())
        codes = torch.from_numpy(random_codes(sizes["code_shape"], batch)).flatten(1, 2)
        labels = _labels(sizes, batch)
        return self._training_at_best_threads(lambda: training.step(codes, labels), "stage 2")

    def read_images(self, folder, image_size, batch, num_batches):
        """Batches of JPEG files, resized and cropped."""
        return reading(loader_batches(folder, image_size, batch), num_batches)

    def _training_at_best_threads(self, step, name):
        step()  # makes the optimizer's state
        num_threads = fastest_num_threads(step)
        self.notes[name] = f"float32, {num_threads} threads"
        torch.set_num_threads(num_threads)
        return lambda lap: {"loss": np.array(step())}

    def _denoiser(self, model, batch):
        sizes = model_sizes(model)["denoiser"]
        labels = _labels(sizes, batch)
        codes = torch.from_numpy(random_codes(sizes["code_shape"], batch)).flatten(1, 2)
        time_steps = torch.ones(batch, dtype=torch.int64)
        network = self._network(
            ("denoiser", model, batch),
            lambda: Denoiser(**sizes),
            lambda denoiser: denoiser(codes, time_steps, labels),
        )
        return network, labels

    def _autoencoder(self, model, way, batch):
        sizes = model_sizes(model)
        codes = _channels_first(random_codes(sizes["denoiser"]["code_shape"], batch))
        shape = sizes["autoencoder"]["image_shape"]
        images = _channels_first(random_images(shape, batch).astype("float32") / 255.0)
        probes = {"encode": lambda a: a.encode(images), "decode": lambda a: a.decode(codes)}
        return self._network(
            (way, model, batch), lambda: Autoencoder(_autoencoder_sizes(model)), probes[way]
        )

    def _network(self, key, build, probe):
        if key not in self._chosen:
            torch.manual_seed(0)
            self._chosen[key] = Inference(build().eval(), self._bfloat16, probe)
            self.notes[" ".join(map(str, key))] = self._chosen[key].setting
        return self._chosen[key]


def _autoencoder_sizes(model):
    return AutoencoderSizes(**model_sizes(model)["autoencoder"])


def _labels(sizes, batch):
    labels = some_labels(sizes, batch)
    return None if labels is None else torch.from_numpy(labels).long()


def _decoded(network, codes):
    tensor = _channels_first(codes)
    images = network(lambda autoencoder: autoencoder.decode(tensor))
    return _channels_last(images.clamp(0.0, 1.0))


def _channels_first(array):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def _channels_last(tensor):
    return np.ascontiguousarray(np.moveaxis(tensor.float().numpy(), 1, -1))
