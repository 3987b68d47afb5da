"""The trainable model of stage 1, with any bottleneck: image <-> code."""

import functools

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder import arguments
from keras_bld.autoencoder.blocks import pointwise
from keras_bld.autoencoder.decoder import Decoder
from keras_bld.autoencoder.decoders import check_images_made, decoder_named, decoders_of
from keras_bld.autoencoder.encoder import Encoder
from keras_bld.autoencoder.objective import AutoencoderObjective
from keras_bld.base import checks, random, replicas
from keras_bld.base.backend import compile_function
from keras_bld.base.batching import BatchedFunction, comfortable_batch_size
from keras_bld.base.description import Described
from keras_bld.base.progress import progress_bar
from keras_bld.presets.methods import PresetMethods


class CodeAutoencoder(PresetMethods, Described, AutoencoderObjective):
    """Image <-> code: encoder, bottleneck, decoder, and the objective that trains them.

    Trained with `compile(optimizer=...)` and `fit(images)` alone; the objective (paper, Eq. 2) is
    reconstruction + perceptual distance + adversarial term, each with its weight, and the
    bottleneck's own loss. The critic trains in the same step, with the same optimizer, from the
    same forward pass.

    Its models are `BinaryAutoencoder`, the paper's, and `baselines.BottleneckAutoencoder` for all
    other bottlenecks.

    Source: paper, Section 3; the networks are those of the published code.

    Args:
        image_shape: (height, width, channels); height and width divisible by
            2 ** (len(width_multipliers) - 1).
        bottleneck: a `Bottleneck`.
        base_width, width_multipliers, num_blocks, attention_resolutions, embedding_width,
            num_groups: see `Encoder`.
        decoder_num_blocks: residual blocks per level of the decoder; None: `num_blocks`. (The
            published option `gen_mul` is this number divided by `num_blocks`.)
        norm_first: see `Decoder`.
        decoder_options: None, or arguments of `Decoder` in place of the shared ones.
        small_decoder: None, or arguments of `Decoder` for a second one, of fewer operations, that
            imitates the first; `distill_decoder` adds one and trains it.
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
        latent_shape: of what the decoder gets; equal to `code_shape` where that is the code.
        downsampling_factor: f.

    Raises:
        ValueError: sizes that do not fit together, unknown options, negative weights.
        TypeError: a bottleneck, critic or perceptual part that is none.
    """

    def __init__(
        self,
        image_shape,
        bottleneck,
        base_width=128,
        width_multipliers=(1, 1, 2, 2, 4),
        num_blocks=2,
        attention_resolutions=(16,),
        embedding_width=256,
        num_groups=32,
        decoder_num_blocks=None,
        norm_first=True,
        decoder_options=None,
        small_decoder=None,
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
        self.bottleneck = arguments.check_bottleneck(bottleneck)
        self.width_multipliers = arguments.check_width_multipliers(width_multipliers)
        self.image_shape = arguments.check_image_shape(image_shape, len(self.width_multipliers))
        self.base_width = checks.check_integer("base_width", base_width, 1)
        self.num_blocks = checks.check_integer("num_blocks", num_blocks, 1)
        self.attention_resolutions = tuple(attention_resolutions)
        self.embedding_width = checks.check_integer("embedding_width", embedding_width, 1)
        self.num_groups = checks.check_integer("num_groups", num_groups, 1)
        if decoder_num_blocks is not None:
            checks.check_integer("decoder_num_blocks", decoder_num_blocks, 1)
        self.decoder_num_blocks = decoder_num_blocks
        self.norm_first = norm_first
        self.decoder_options = dict(decoder_options or {})
        self.small_decoder_options = None if small_decoder is None else dict(small_decoder)
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
        cells = tuple(size // self.downsampling_factor for size in self.image_shape[:2])
        self.code_channels = bottleneck.code_channels
        self.code_shape = (*cells, self.code_channels)
        self.latent_shape = (*cells, bottleneck.latent_channels)
        self._create_networks()
        self._create_training_parts(perceptual, critic)
        self._create_batched_functions()
        self.built = True

    def _create_networks(self):
        shared = {
            "base_width": self.base_width,
            "width_multipliers": self.width_multipliers,
            "attention_resolutions": self.attention_resolutions,
            "embedding_width": self.embedding_width,
            "num_groups": self.num_groups,
            "dtype": self.dtype_policy,
        }
        self.encoder = Encoder(num_blocks=self.num_blocks, name="encoder", **shared)
        # What the bottleneck computes is float32 whatever the networks run in.
        self.code_logits = pointwise(
            self.bottleneck.num_inputs, dtype="float32", name="code_logits"
        )
        ours = {
            "image_channels": self.image_shape[-1],
            "num_blocks": self.decoder_num_blocks or self.num_blocks,
            "norm_first": self.norm_first,
            **shared,
        }
        self.decoder = Decoder(name="decoder", **{**ours, **self.decoder_options})
        cells = (None, *self.code_shape[:2])
        self.encoder.build((None, *self.image_shape))
        self.code_logits.build((*cells, self.embedding_width))
        if not self.bottleneck.built:
            self.bottleneck.build((*cells, self.bottleneck.num_inputs))
        self.decoder.build((None, *self.latent_shape))
        self.small_decoder = None
        if self.small_decoder_options is not None:
            self.small_decoder = Decoder(
                name="small_decoder", **{**ours, **self.small_decoder_options}
            )
            self.small_decoder.build((None, *self.latent_shape))
            self.small_decoder.trainable = False  # `distill_decoder` trains it
        for decoder in (self.decoder, self.small_decoder):
            if decoder is not None:
                check_images_made(decoder, self.latent_shape, self.image_shape)

    def facts(self):
        return [
            f"images {self.image_shape}",
            f"codes {self.code_shape}",
            f"f = {self.downsampling_factor}",
            *([f"{self.bits_per_image:,.0f} bits an image"] if self.has_binary_codes else []),
        ]

    def output_shapes(self):
        shapes = [(self.bottleneck, (None, *self.latent_shape))]
        if self.perceptual is not None:
            shapes.append((self.perceptual, (None,)))
        return shapes

    @property
    def has_binary_codes(self):
        """Whether codes are bits, from which stage 2 can learn."""
        return self.bottleneck.has_binary_codes

    @property
    def bits_per_image(self):
        """What a code costs to store, in bits; infinite for real numbers."""
        height, width, _ = self.code_shape
        return height * width * self.bottleneck.bits_per_cell

    # Coding --------------------------------------------------------------------------------

    def encode(self, images, deterministic=True, seed=None, batch_size=None, progress=True):
        """Images -> codes: float32 (batch, *code_shape), {0, 1} where `has_binary_codes`.

        Args:
            images: uint8, or floating point in [0, 1], of shape (batch, *image_shape). NumPy
                arrays (or lists) are checked, run in compiled batches, and give NumPy; backend
                tensors are traced as they are and give a tensor.
            deterministic: True: the likeliest code. False: a sampled one, where the bottleneck is
                stochastic; that of image i depends on `seed` and i alone, not on `batch_size`.
            seed: int in [0, 2**31), for sampling; None draws one (see `random.resolve_seed`).
                With tensors it may be an int32 scalar tensor.
            batch_size: images in one compiled batch; for arrays only. None: 32, fewer above
                256 x 256 pixels, so that memory stays bounded.
            progress: show a progress bar once it takes over 2 seconds; for arrays only.

        Raises:
            ValueError: wrong shape, empty batch, values outside [0, 1], or a bad seed.
        """
        if not (deterministic or ops.is_tensor(seed)):
            seed = random.resolve_seed(seed)
        if not ops.is_tensor(images):
            if deterministic:
                return self._batched_encode(images, batch_size, progress=progress)
            return self._batched_sample(images, batch_size, seed, progress=progress)
        logits = self._logits(self._check_images(images))
        if deterministic:
            return self._codes(logits)
        return self._codes(logits, seed, replicas.row_numbers(ops.shape(logits)[0]))

    def decode(self, codes, batch_size=None, progress=True, decoder="full"):
        """Codes -> images: float32 in [0, 1] of shape (batch, *image_shape).

        Args:
            codes: as `encode` gives them; arrays or tensors. Bits that name no codeword of the
                bottleneck decode as the nearest ones that do.
            batch_size: codes in one compiled batch; for arrays only.
            progress: as in `encode`.
            decoder: "full", or "small" for the quick one of a model that has it.

        Raises:
            ValueError: wrong shape, empty batch, values that are no code, or no such decoder.
        """
        network = decoder_named(self, decoder)
        if ops.is_tensor(codes):
            return self._images(self._check_codes(codes), network)
        return self._batched_decode[decoder](codes, batch_size, progress=progress)

    def check_decoder(self, name):
        """Raise ValueError where `decode` has no decoder of this name."""
        decoder_named(self, name)

    def reconstruct(self, images, batch_size=None, progress=True):
        """Decode the likeliest codes of `images`; arguments and result as in `encode`."""
        options = {"batch_size": batch_size, "progress": progress}
        return self.decode(self.encode(images, **options), **options)

    def compile_for_inference(self, target="openvino", precision="bfloat16", progress=True):
        """Encode and decode arrays on a faster path of the processor; same arguments as before.

        The weights are compiled in. Weights that change afterwards are noticed at the next call
        (see `serving.openvino_program.Program.refresh`) and compiled again. Tensors, training and
        `call` stay on the backend's own path.

        Args:
            target: "openvino", or None to go back to the plain path.
            precision: "bfloat16" (the bottleneck computes in float32), or "float32".
            progress: show that it works, once it takes over 2 seconds.

        Returns:
            Whether the fast path is on. Where OpenVINO is not installed or cannot run the model,
            a warning says so and the plain path stays.

        Raises:
            ValueError: an unknown target or precision.
        """
        from keras_bld.serving.inference import inference_engine

        with progress_bar("compile for inference", None, progress):
            engine = inference_engine(self, target, precision)
        self._inference_engine = engine
        for function, substitute in self._substitutes(engine):
            function.substitute = None if engine is None else substitute
        return engine is not None

    def call(self, images, training=False):
        """Reconstruction, not clipped; with `training=True` from the latents of training.

        `images` may be uint8. (Given the dictionary that `train_step` makes, all intermediate
        results that the objective needs are returned.)
        """
        if isinstance(images, dict):
            return self._forward(images["images"], training)
        images = self._check_images(ops.convert_to_tensor(images))
        return self._forward(images, training)["reconstruction"]

    def _forward(self, images, training):
        logits = self._logits(images)
        latents, loss = self.bottleneck(logits, training=training)
        features = self.decoder.features(latents)
        reconstruction = ops.cast(self.decoder.last_convolution(features), "float32")
        return {
            "logits": logits,
            "bottleneck_loss": loss,
            "features": features,
            "reconstruction": reconstruction,
        }

    def _logits(self, images):
        """What the bottleneck is given."""
        return self.code_logits(self.encoder(images))

    def _codes(self, logits, seed=None, indices=None):
        """The likeliest codes, or sampled ones where a seed is given."""
        noise = None if seed is None else random.uniforms(seed, indices, 0, self.code_shape)
        return self.bottleneck.to_codes(logits, noise)

    def _images(self, codes, decoder):
        images = decoder(self.bottleneck.from_codes(codes))
        return ops.clip(ops.cast(images, "float32"), 0.0, 1.0)

    # Arrays --------------------------------------------------------------------------------

    def _create_batched_functions(self):
        """What `encode` and `decode` run arrays through; compiled at the first use."""
        self._batched_encode = self._encoding(lambda _, images: self._codes(self._logits(images)))
        self._batched_sample = self._encoding(
            lambda indices, images, seed: self._codes(self._logits(images), seed, indices)
        )
        self._batched_decode = {
            name: self._decoding(network) for name, network in decoders_of(self).items()
        }
        self._inference_engine = None

    def _encoding(self, function):
        """`function` of (indices, images, *scalars) for arrays."""
        return BatchedFunction(
            function,
            lambda: [
                variable
                for layer in (self.encoder, self.code_logits, self.bottleneck)
                for variable in layer.variables
            ],
            self._check_images,
            comfortable_batch_size(self.image_shape),
            lambda images: checks.check_batch_shape("images", images, self.image_shape),
            "encode",
        )

    def _decoding(self, decoder):
        return BatchedFunction(
            lambda _, codes: self._images(codes, decoder),
            lambda: [*self.bottleneck.variables, *decoder.variables],
            self._check_codes,
            comfortable_batch_size(self.image_shape),
            lambda codes: checks.check_batch_shape("codes", codes, self.code_shape),
            "decode",
        )

    def _substitutes(self, engine):
        """Pairs of a function for arrays and what stands in for it on an inference engine."""
        sampled = compile_function(self._codes, lambda: self.bottleneck.variables)

        def codes(_, images):
            return self._codes(ops.convert_to_tensor(engine.logits(images)))

        def sampled_codes(indices, images, seed):
            return sampled(engine.logits(images), seed, indices)

        def images(decoder, _, codes):
            latents = self.bottleneck.from_codes(ops.convert_to_tensor(codes))
            return engine.decode(ops.convert_to_numpy(latents), decoder)

        return [
            (self._batched_encode, codes),
            (self._batched_sample, sampled_codes),
            *(
                (function, functools.partial(images, name))
                for name, function in self._batched_decode.items()
            ),
        ]

    def _check_images(self, images):
        return checks.check_images(images, self.image_shape)

    def _check_codes(self, codes):
        if self.has_binary_codes:
            return checks.check_codes(codes, self.code_shape)
        checks.check_batch_shape("codes", codes, self.code_shape)
        return ops.cast(codes, "float32") if ops.is_tensor(codes) else np.asarray(codes, "float32")

    # Files ---------------------------------------------------------------------------------

    def coding_parts(self):
        """What turns images into codes and back: (layers whose configs count, whose weights do).

        See `keras_bld.presets.autoencoder_fingerprint`.
        """
        described = [self.encoder, self.decoder, self.bottleneck]
        return described, [self.encoder, self.code_logits, self.decoder, self.bottleneck]

    def get_config(self):
        """Constructor arguments; `perceptual` and `critic` as serialised Keras objects.

        A subclass adds its bottleneck, or what it makes one from.
        """
        names = (
            "image_shape base_width width_multipliers num_blocks attention_resolutions "
            "embedding_width num_groups decoder_num_blocks norm_first reconstruction "
            "reconstruction_weight perceptual_weight adversarial_weight critic_start_step "
            "adaptive_weight max_adaptive_weight augment_policy"
        ).split()
        config = {name: getattr(self, name) for name in names}
        config["decoder_options"] = self.decoder_options or None
        config["small_decoder"] = self.small_decoder_options
        for name in ("perceptual", "critic"):
            part = getattr(self, name)
            config[name] = part and keras.saving.serialize_keras_object(part)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        config = dict(config)
        for name in ("bottleneck", "perceptual", "critic"):
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)

    def export(self, filepath, format="tf_saved_model", verbose=False, **options):
        """Write `encode` and `decode` for serving; see `keras_bld.serving.export_model`."""
        from keras_bld.serving import export_model

        return export_model(self, filepath, format, verbose=verbose, **options)
