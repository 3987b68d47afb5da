"""Encoding and decoding of arrays by OpenVINO."""

import numpy as np

from keras_bld.autoencoder.decoders import decoders_of
from keras_bld.serving.openvino_autoencoder import decoder_graph, encoder_graph
from keras_bld.serving.openvino_graph import values
from keras_bld.serving.openvino_program import Program

# Pixels in one run: bounds the memory, whatever the batch size. 16 images of 256 x 256.
_MAX_PIXELS = 2**20


class OpenVinoCodec:
    """Stands in for the networks of a `CodeAutoencoder`; the bottleneck between them stays.

    What the bottleneck gets is float32: the encoder's last, pointwise layer runs in NumPy.

    Args:
        autoencoder: a `CodeAutoencoder`.
        precision: "bfloat16" or "float32".
    """

    def __init__(self, autoencoder, precision):
        self._autoencoder = autoencoder
        height, width, _ = autoencoder.image_shape
        self._chunk_size = max(1, _MAX_PIXELS // (height * width))

        def program_of(decoder):
            return Program(
                lambda: decoder_graph(autoencoder, decoder), lambda: decoder.variables, precision
            )

        self._decoders = {
            name: program_of(decoder) for name, decoder in decoders_of(autoencoder).items()
        }
        self._encoder = Program(
            lambda: encoder_graph(autoencoder), lambda: autoencoder.encoder.variables, precision
        )

    @property
    def num_traces(self):
        """How many times a network was compiled: each once, and after a change of its weights."""
        programs = [self._encoder, *self._decoders.values()]
        return sum(program.num_compilations for program in programs)

    def decode(self, latents, decoder="full"):
        """Latents (batch, *latent_shape) -> images in [0, 1]; checked arrays in, array out."""
        program = self._decoders[decoder]
        program.refresh()
        return self._in_chunks(lambda chunk: program(latents=chunk), latents)

    def logits(self, images):
        """Images in [0, 1] -> what the bottleneck gets; checked arrays in, array out."""
        self._encoder.refresh()
        features = self._in_chunks(lambda chunk: self._encoder(images=chunk), images)
        layer = self._autoencoder.code_logits
        return features @ values(layer.kernel) + values(layer.bias)

    def _in_chunks(self, function, array):
        starts = range(0, len(array), self._chunk_size)
        return np.concatenate(
            [function(array[start : start + self._chunk_size]) for start in starts]
        )
