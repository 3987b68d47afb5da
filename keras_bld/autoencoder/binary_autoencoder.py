"""Stage 1: the trainable model that turns images into bits and bits into images."""

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder.blocks import pointwise
from keras_bld.autoencoder.decoder import Decoder
from keras_bld.autoencoder.encoder import Encoder
from keras_bld.autoencoder.objective import AutoencoderObjective
from keras_bld.autoencoder.straight_through import BernoulliStraightThrough
from keras_bld.base import checks, random
from keras_bld.base.backend import compile_function
from keras_bld.base.batching import BatchedFunction, comfortable_batch_size
from keras_bld.presets.methods import PresetMethods


@keras.saving.register_keras_serializable("keras_bld")
class BinaryAutoencoder(PresetMethods, AutoencoderObjective):
    """Image <-> grid of bits: encoder, Bernoulli bits with straight-through gradient, decoder.

    Trained with `compile(optimizer=...)` and `fit(images)` alone; the objective (paper, Eq. 2) is
    reconstruction + perceptual distance + adversarial term, each with its weight. The critic
    trains in the same step, with the same optimizer, from the same forward pass.

    Source: paper, Section 3; the networks are those of the published code.

    Args:
        image_shape: (height, width, channels); height and width divisible by
            2 ** (len(width_multipliers) - 1).
        code_channels: bits for each cell of the grid.
        base_width, width_multipliers, num_blocks, attention_resolutions, embedding_width,
            num_groups: see `Encoder`.
        decoder_num_blocks: residual blocks per level of the decoder; None: `num_blocks`. (The
            published option `gen_mul` is this number divided by `num_blocks`.)
        norm_first: see `Decoder`.
        reconstruction: "mse" or "l1".
        reconstruction_weight, perceptual_weight, adversarial_weight: weights of the terms, >= 0.
        perceptual: None, or a layer called with (images, reconstruction) that returns distances
            of shape (batch,), e.g. a `PerceptualDistance`.
        critic: None, True for a `PatchCritic` of the published size (with fewer layers for images
            below 24 pixels), or a `PatchCritic`.
        critic_start_step: number of training steps before the critic and the adversarial term
            begin.
        adaptive_weight: how the adversarial gradient is scaled, before `adversarial_weight`:
            "image" to the norm of the other terms' gradient at the image, "last_layer" to their
            norm at the last convolution's kernel (as published), None not at all.
        max_adaptive_weight: largest such scale. (Published default: 1.)
        augment_policy: what `DiffAugment` does to all images that the critic sees, or None.

    Attributes:
        code_shape: (height / f, width / f, code_channels).
        downsampling_factor: f.

    Raises:
        ValueError: sizes that do not fit together, unknown options, negative weights.

    Example:
        >>> import numpy as np
        >>> model = BinaryAutoencoder((16, 16, 1), 8, base_width=8, width_multipliers=(1, 2),
        ...                           num_blocks=1, embedding_width=8, num_groups=4)
        >>> codes = model.encode(np.zeros((3, 16, 16, 1), "float32"))
        >>> codes.shape, model.decode(codes).shape
        ((3, 8, 8, 8), (3, 16, 16, 1))
    """

    def __init__(
        self,
        image_shape,
        code_channels,
        base_width=128,
        width_multipliers=(1, 1, 2, 2, 4),
        num_blocks=2,
        attention_resolutions=(16,),
        embedding_width=256,
        num_groups=32,
        decoder_num_blocks=None,
        norm_first=True,
        reconstruction="mse",
        reconstruction_weight=1.0,
        perceptual=None,
        perceptual_weight=1.0,
        critic=None,
        adversarial_weight=1.0,
        critic_start_step=0,
        adaptive_weight="image",
        max_adaptive_weight=1e4,
        augment_policy=("color", "translation"),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width_multipliers = _check_width_multipliers(width_multipliers)
        self.image_shape = _check_image_shape(image_shape, len(self.width_multipliers))
        self.code_channels = checks.check_integer("code_channels", code_channels, 1)
        self.base_width = checks.check_integer("base_width", base_width, 1)
        self.num_blocks = checks.check_integer("num_blocks", num_blocks, 1)
        self.attention_resolutions = tuple(attention_resolutions)
        self.embedding_width = checks.check_integer("embedding_width", embedding_width, 1)
        self.num_groups = checks.check_integer("num_groups", num_groups, 1)
        if decoder_num_blocks is not None:
            checks.check_integer("decoder_num_blocks", decoder_num_blocks, 1)
        self.decoder_num_blocks = decoder_num_blocks
        self.norm_first = norm_first
        checks.check_choice("reconstruction", reconstruction, ("mse", "l1"))
        checks.check_choice("adaptive_weight", adaptive_weight, ("image", "last_layer", None))
        self.reconstruction = reconstruction
        self.reconstruction_weight = checks.check_number(
            "reconstruction_weight", reconstruction_weight, 0.0
        )
        self.perceptual_weight = checks.check_number("perceptual_weight", perceptual_weight, 0.0)
        self.adversarial_weight = checks.check_number("adversarial_weight", adversarial_weight, 0.0)
        self.critic_start_step = checks.check_integer("critic_start_step", critic_start_step, 0)
        self.adaptive_weight = adaptive_weight
        self.max_adaptive_weight = checks.check_number(
            "max_adaptive_weight", max_adaptive_weight, 0.0
        )
        self.augment_policy = None if augment_policy is None else tuple(augment_policy)
        self.downsampling_factor = 2 ** (len(self.width_multipliers) - 1)
        height, width, image_channels = self.image_shape
        self.code_shape = (
            height // self.downsampling_factor,
            width // self.downsampling_factor,
            self.code_channels,
        )
        self._create_networks(image_channels)
        self._create_training_parts(perceptual, critic)
        self._create_batched_functions()
        self.built = True

    def _create_networks(self, image_channels):
        shared = {
            "base_width": self.base_width,
            "width_multipliers": self.width_multipliers,
            "attention_resolutions": self.attention_resolutions,
            "embedding_width": self.embedding_width,
            "num_groups": self.num_groups,
            "dtype": self.dtype_policy,
        }
        self.encoder = Encoder(num_blocks=self.num_blocks, name="encoder", **shared)
        # Probabilities are float32 whatever the networks run in.
        self.code_logits = pointwise(self._num_logits(), dtype="float32")
        self.bernoulli = BernoulliStraightThrough(name="bernoulli")
        self.decoder = Decoder(
            image_channels,
            num_blocks=self.decoder_num_blocks or self.num_blocks,
            norm_first=self.norm_first,
            name="decoder",
            **shared,
        )
        self.encoder.build((None, *self.image_shape))
        self.code_logits.build((None, *self.code_shape[:2], self.embedding_width))
        self.decoder.build((None, *self.code_shape))

    def _num_logits(self):
        """Channels between encoder and code."""
        return self.code_channels

    def _create_batched_functions(self):
        """What `encode` and `decode` run arrays through; compiled at the first use."""

        def encoder_variables():
            return [*self.encoder.variables, *self.code_logits.variables]

        def encoding(function):
            return BatchedFunction(
                function,
                encoder_variables,
                self._check_images,
                comfortable_batch_size(self.image_shape),
                self._check_shape_of_images,
            )

        self._batched_probabilities = encoding(lambda indices, images: self._probabilities(images))
        self._batched_threshold = encoding(
            lambda indices, images: self._bits(self._probabilities(images))
        )
        self._batched_sample = encoding(
            lambda indices, images, seed: self._bits(self._probabilities(images), seed, indices)
        )
        self._batched_decode = BatchedFunction(
            lambda indices, codes: self._decode_clipped(codes),
            lambda: self.decoder.variables,
            self._check_codes,
            comfortable_batch_size(self.image_shape),
            lambda codes: checks.check_batch_shape("codes", codes, self.code_shape),
        )
        self._inference_engine = None

    def _batched_functions(self):
        return (
            self._batched_probabilities,
            self._batched_threshold,
            self._batched_sample,
            self._batched_decode,
        )

    def encode_probabilities(self, images, batch_size=None):
        """P(bit = 1) for every bit: float32 (batch, *code_shape).

        Args:
            images: uint8, or floating point in [0, 1], of shape (batch, *image_shape). NumPy
                arrays (or lists) are checked, run in compiled batches, and give NumPy; backend
                tensors are traced as they are and give a tensor.
            batch_size: images in one compiled batch; for arrays only. None: 32, fewer above
                256 x 256 pixels, so that memory stays bounded.

        Raises:
            ValueError: wrong shape, empty batch, or values outside [0, 1].
        """
        if ops.is_tensor(images):
            return self._probabilities(self._check_images(images))
        return self._batched_probabilities(images, batch_size)

    def encode(self, images, deterministic=True, seed=None, batch_size=None):
        """Images -> codes: float32 {0, 1} of shape (batch, *code_shape).

        Args:
            images: as for `encode_probabilities`.
            deterministic: True: a bit is set where its probability is above 0.5. False: bits are
                sampled; those of image i depend on `seed` and i alone, not on `batch_size`.
            seed: int in [0, 2**31), for sampling; None draws one (see `random.resolve_seed`).
                With tensors it may be an int32 scalar tensor.
            batch_size: images in one compiled batch; for arrays only.

        Raises:
            ValueError: as for `encode_probabilities`, or a bad seed.
        """
        if deterministic:
            if ops.is_tensor(images):
                return self._bits(self.encode_probabilities(images))
            return self._batched_threshold(images, batch_size)
        if not ops.is_tensor(seed):
            seed = random.resolve_seed(seed)
        if ops.is_tensor(images):
            probabilities = self.encode_probabilities(images)
            indices = ops.arange(ops.shape(probabilities)[0], dtype="int32")
            return self._bits(probabilities, seed, indices)
        return self._batched_sample(images, batch_size, seed)

    def decode(self, codes, batch_size=None):
        """Codes -> images: float32 in [0, 1] of shape (batch, *image_shape).

        Args:
            codes: {0, 1} of shape (batch, *code_shape); arrays or tensors, see
                `encode_probabilities`.
            batch_size: codes in one compiled batch; for arrays only.

        Raises:
            ValueError: wrong shape, empty batch, or values other than 0 and 1.
        """
        if ops.is_tensor(codes):
            return self._decode_clipped(self._check_codes(codes))
        return self._batched_decode(codes, batch_size)

    def reconstruct(self, images, batch_size=None):
        """Decode the thresholded codes of `images`; arguments and result as in `encode`."""
        return self.decode(self.encode(images, batch_size=batch_size), batch_size=batch_size)

    def compile_for_inference(self, target="openvino", precision="bfloat16"):
        """Encode and decode arrays on a faster path of the processor; same arguments as before.

        The weights are compiled in. Weights that change afterwards are noticed at the next call
        (see `serving.openvino_program.Program.refresh`) and compiled again. Tensors, training and
        `call` stay on the backend's own path.

        Args:
            target: "openvino", or None to go back to the plain path.
            precision: "bfloat16" (probabilities are float32), or "float32".

        Returns:
            Whether the fast path is on. Where OpenVINO is not installed or cannot run the model,
            a warning says so and the plain path stays.

        Raises:
            ValueError: an unknown target or precision.
        """
        from keras_bld.serving.inference import inference_engine

        engine = inference_engine(self, target, precision)
        self._inference_engine = engine
        functions = self._batched_functions()
        if engine is None:
            substitutes = (None,) * len(functions)
        else:
            sampled = compile_function(self._bits, list)
            substitutes = (
                lambda indices, images: engine.probabilities(images),
                lambda indices, images: self._bits(engine.probabilities(images)),
                lambda indices, images, seed: sampled(engine.probabilities(images), seed, indices),
                lambda indices, codes: engine.decode(codes),
            )
        for function, substitute in zip(functions, substitutes, strict=True):
            function.substitute = substitute
        return engine is not None

    def call(self, images, training=False):
        """Reconstruction, not clipped; with `training=True` from sampled bits.

        `images` may be uint8. (Given the dictionary that `train_step` makes, all intermediate
        results that the objective needs are returned.)
        """
        if isinstance(images, dict):
            return self._forward(images["images"], training)
        images = self._check_images(ops.convert_to_tensor(images))
        return self._forward(images, training)["reconstruction"]

    def _forward(self, images, training):
        probabilities = self._probabilities(images)
        features = self.decoder.features(self.bernoulli(probabilities, training=training))
        reconstruction = ops.cast(self.decoder.last_convolution(features), "float32")
        return {
            "probabilities": probabilities,
            "features": features,
            "reconstruction": reconstruction,
        }

    def _probabilities(self, images):
        return ops.sigmoid(self.code_logits(self.encoder(images)))

    def _bits(self, probabilities, seed=None, indices=None):
        """Thresholded bits, or sampled ones where a seed is given."""
        if seed is None:
            return self.bernoulli(probabilities, deterministic=True)
        noise = random.uniforms(seed, indices, 0, self.code_shape)
        return self.bernoulli(probabilities, deterministic=False, noise=noise)

    def _decode_clipped(self, codes):
        return ops.clip(ops.cast(self.decoder(codes), "float32"), 0.0, 1.0)

    def _check_images(self, images):
        return checks.check_images(images, self.image_shape)

    def _check_shape_of_images(self, images):
        checks.check_batch_shape("images", images, self.image_shape)

    def _check_codes(self, codes):
        return checks.check_codes(codes, self.code_shape)

    def coding_parts(self):
        """What turns images into codes and back: (layers whose configs count, whose weights do).

        See `keras_bld.presets.autoencoder_fingerprint`.
        """
        return [self.encoder, self.decoder], [self.encoder, self.code_logits, self.decoder]

    def get_config(self):
        """Constructor arguments; `perceptual` and `critic` as serialised Keras objects."""
        names = (
            "image_shape code_channels base_width width_multipliers num_blocks "
            "attention_resolutions embedding_width num_groups decoder_num_blocks norm_first "
            "reconstruction reconstruction_weight perceptual_weight adversarial_weight "
            "critic_start_step adaptive_weight max_adaptive_weight augment_policy"
        ).split()
        config = {name: getattr(self, name) for name in names}
        for name in ("perceptual", "critic"):
            part = getattr(self, name)
            config[name] = part and keras.saving.serialize_keras_object(part)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        config = dict(config)
        for name in ("perceptual", "critic"):
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)

    def export(self, filepath, format="tf_saved_model", verbose=False):
        """Write a SavedModel with `encode` and `decode`; see `serving.export_saved_model`."""
        from keras_bld.serving import export_saved_model

        checks.check_choice("format", format, ("tf_saved_model",))
        return export_saved_model(self, filepath, verbose=verbose)


def _check_width_multipliers(width_multipliers):
    if len(tuple(width_multipliers)) == 0:
        raise checks.error(
            "width_multipliers",
            repr(width_multipliers),
            "an integer >= 1 for each level",
            "pass e.g. (1, 1, 2, 2, 4), or (1,) for codes as large as the image",
        )
    return tuple(checks.check_integer("width_multipliers", m, 1) for m in width_multipliers)


def _check_image_shape(image_shape, num_levels):
    shape = tuple(image_shape)
    factor = 2 ** (num_levels - 1)
    whole = len(shape) == 3 and all(isinstance(size, (int, np.integer)) for size in shape)
    if not whole or min(shape) < 1 or shape[0] % factor or shape[1] % factor:
        raise checks.error(
            "image_shape",
            repr(image_shape),
            f"(height, width, channels), height and width divisible by {factor} "
            f"(2 ** (len(width_multipliers) - 1))",
            "crop or resize the images, or use fewer levels",
        )
    return tuple(int(size) for size in shape)
