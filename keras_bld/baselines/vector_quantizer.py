"""Vector quantisation with a learned codebook."""

import math

import keras
from keras import ops

from keras_bld.autoencoder import Bottleneck, straight_through
from keras_bld.base import checks, replicas
from keras_bld.baselines.binary_numbers import bits_of, numbers_of


@keras.saving.register_keras_serializable("keras_bld")
class VectorQuantizer(Bottleneck):
    """The nearest of `codebook_size` vectors for each cell; the codebook is a moving average.

    A codeword whose moving count falls below `revival_threshold` is replaced by an encoder
    output of the current batch, so that no codeword stays dead.

    The code of a cell is the codeword's number in ceil(log2(codebook_size)) bits. Patterns of
    bits beyond the last codeword name the one that differs in the highest bit alone.

    Source: van den Oord et al., "Neural Discrete Representation Learning" (2017), appendix A.1
    (moving averages); revival as in Dhariwal et al., "Jukebox" (2020).

    Args:
        codebook_size: number of vectors (the paper compares with 1024).
        latent_channels: their width.
        commitment_weight: of the distance from encoder outputs to their codewords.
        momentum: of the moving averages, in [0, 1).
        revival_threshold: smallest moving count of a living codeword; 0 revives none.
        seed: of the layer's own generator.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        codebook_size=1024,
        latent_channels=16,
        commitment_weight=0.25,
        momentum=0.99,
        revival_threshold=0.1,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.codebook_size = checks.check_integer("codebook_size", codebook_size, 2)
        self.latent_channels = checks.check_integer("latent_channels", latent_channels, 1)
        self.num_inputs = self.latent_channels
        self.code_channels = (self.codebook_size - 1).bit_length()
        self.commitment_weight = checks.check_number("commitment_weight", commitment_weight, 0.0)
        self.momentum = checks.check_number("momentum", momentum, 0.0, maximum=1.0)
        self.revival_threshold = checks.check_number("revival_threshold", revival_threshold, 0.0)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        shape = (self.codebook_size, self.latent_channels)
        self.codebook = self.add_weight(
            name="codebook",
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=0.1, seed=seed),
            trainable=False,
        )
        self.counts = self.add_weight(
            name="counts", shape=shape[:1], initializer="ones", trainable=False
        )
        self.sums = self.add_weight(name="sums", shape=shape, trainable=False)
        # A copy: on JAX a shared buffer could not be donated to the training step.
        self.sums.assign(ops.copy(self.codebook))
        self.built = True

    @property
    def bits_per_cell(self):
        """log2 of the number of codewords."""
        return math.log2(self.codebook_size)

    def to_latents(self, inputs, training):
        """Nearest codewords; in training the codebook moves towards the inputs."""
        cells = ops.reshape(inputs, (-1, self.latent_channels))
        indices = self.nearest(cells)
        chosen = ops.reshape(ops.take(self.codebook, indices, axis=0), ops.shape(inputs))
        commitment = ops.mean(ops.square(inputs - ops.stop_gradient(chosen)))
        if training:
            self._move_codebook(ops.stop_gradient(cells), indices)
        return straight_through(chosen, inputs), self.commitment_weight * commitment

    def to_codes(self, inputs, noise=None):
        """Numbers of the nearest codewords, as bits."""
        _, height, width, channels = inputs.shape
        numbers = self.nearest(ops.reshape(inputs, (-1, channels)))
        return bits_of(ops.reshape(numbers, (-1, height, width, 1)), (self.code_channels,))

    def from_codes(self, codes):
        """The codewords with these numbers."""
        numbers = numbers_of(codes, (self.code_channels,))[..., 0]
        highest_bit = 2 ** (self.code_channels - 1)
        numbers = ops.where(numbers < self.codebook_size, numbers, numbers - highest_bit)
        return ops.take(self.codebook, numbers, axis=0)

    def nearest(self, cells):
        """Indices of the nearest codewords of (num_cells, latent_channels), int32."""
        codebook = ops.convert_to_tensor(self.codebook)
        # |x - c|^2 without the term of x, which is the same for all codewords.
        distances = ops.sum(ops.square(codebook), axis=1) - 2.0 * ops.matmul(
            ops.stop_gradient(cells), ops.transpose(codebook)
        )
        return ops.argmin(distances, axis=1)

    def _move_codebook(self, cells, indices):
        chosen = ops.one_hot(indices, self.codebook_size, dtype="float32")
        momentum = self.momentum
        new_counts, new_sums = ops.sum(chosen, axis=0), ops.matmul(ops.transpose(chosen), cells)
        counts = momentum * self.counts + (1.0 - momentum) * replicas.total(new_counts)
        sums = momentum * self.sums + (1.0 - momentum) * replicas.total(new_sums)
        dead = counts < self.revival_threshold
        own = replicas.row_numbers(ops.shape(cells)[0])
        num_cells = ops.shape(cells)[0] * replicas.num_replicas()
        drawn = keras.random.uniform(
            (self.codebook_size,), dtype="float32", seed=self.seed_generator
        )
        drawn = ops.cast(drawn * ops.cast(num_cells, "float32"), "int32")
        drawn = ops.minimum(drawn, num_cells - 1)
        is_own = ops.logical_and(drawn >= own[0], drawn <= own[-1])
        fresh = ops.take(cells, ops.where(is_own, drawn - own[0], 0), axis=0)
        fresh = replicas.total(fresh * ops.cast(is_own, "float32")[:, None])
        counts = ops.where(dead, 1.0, counts)
        sums = ops.where(dead[:, None], fresh, sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        self.codebook.assign(sums / counts[:, None])

    def get_config(self):
        return {
            **super().get_config(),
            "codebook_size": self.codebook_size,
            "latent_channels": self.latent_channels,
            "commitment_weight": self.commitment_weight,
            "momentum": self.momentum,
            "revival_threshold": self.revival_threshold,
            "seed": self.seed,
        }
