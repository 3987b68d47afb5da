"""Stage 2: the trainable Bernoulli diffusion over codes."""

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.backend import own_buffers, prefers_xla
from keras_bld.base.backend.trainer import RepairedTraining
from keras_bld.base.packing import packed_shape, unpack_bits
from keras_bld.diffusion.conditioning import check_condition
from keras_bld.diffusion.generation import Generation
from keras_bld.diffusion.objective import NATS_PER_BIT, TARGETS, diffusion_losses
from keras_bld.diffusion.posterior import transition_tables
from keras_bld.presets.methods import PresetMethods

LOSS_WEIGHTINGS = ("uniform", "time")


@keras.saving.register_keras_serializable("keras_bld")
class BinaryLatentDiffusion(PresetMethods, Generation, RepairedTraining, keras.Model):
    """A generative model: a Bernoulli diffusion over the binary codes of an autoencoder.

    Trains with `compile(optimizer)` and `fit`; the loss is BCE on `target` plus `vlb_weight` times
    the exact variational bound (paper, Eq. 12-13, Algorithm 1). Samples with `generate`
    (Algorithm 2), fills holes with `inpaint`, measures with `likelihood`. For an exponential
    moving average of the weights pass an optimizer with `use_ema=True`: Keras keeps the average
    and puts it in place at the end of `fit`.

    Source: Wang et al., "Binary Latent Diffusion" (CVPR 2023), Sec. 4.

    Args:
        denoiser: a `BernoulliDenoiser`.
        schedule: a `BernoulliNoiseSchedule` with the denoiser's `num_steps`.
        autoencoder: optional `BinaryAutoencoder` (or any Keras model with `code_shape`,
            `image_shape`, `encode` and `decode`). It is frozen. Needed to train on images and to
            make images; codes need none.
        target: what the denoiser's logits mean: "residual" (z^t XOR z^0, the paper's), "z0",
            "extrinsic" (z^0 as the rest of z^t has it; what a bit's own z^t says is added exactly,
            see `flip_logits`; learns faster), or "previous" (z^{t-1}; trained by the bound alone
            and sampled with all T steps).
        vlb_weight: lambda of Eq. 13, >= 0.
        label_dropout: share of samples in [0, 1] that train without their condition.
        loss_weighting: "uniform", or "time": each sample weighs 1 - (t - 1) / T (published).

    Fit arguments:
        x: images (batch, H, W, C) uint8 or floating point in [0, 1] (encoded on the fly with
            Bernoulli-sampled bits, Algorithm 1), or codes {0, 1} (batch, h, w, c), or packed
            codes uint8 (batch, h, w, ceil(c / 8)).
        y: labels (batch,) or text embeddings for a conditional model; none otherwise.

    Raises:
        ValueError: parts that do not fit together; bad images, codes or labels.

    Example:

    >>> import keras, keras_bld, numpy as np
    >>> model = keras_bld.BinaryLatentDiffusion(
    ...     keras_bld.BernoulliDenoiser((4, 4, 8), depth=1, width=32, num_heads=2, num_steps=8),
    ...     keras_bld.BernoulliNoiseSchedule(8),
    ... )
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> codes = np.random.default_rng(0).integers(0, 2, (16, 4, 4, 8))
    >>> history = model.fit(codes, epochs=1, verbose=0)
    >>> model.generate_codes(2, num_steps=4, seed=0).shape
    (2, 4, 4, 8)
    """

    def __init__(
        self,
        denoiser,
        schedule,
        autoencoder=None,
        target="residual",
        vlb_weight=0.1,
        label_dropout=0.1,
        loss_weighting="uniform",
        **kwargs,
    ):
        # Each part follows its own dtype policy: images reach the autoencoder as they are given.
        super().__init__(autocast=False, **kwargs)
        if schedule.num_steps != denoiser.num_steps:
            raise checks.error(
                "schedule",
                f"a schedule of {schedule.num_steps} steps and a denoiser of {denoiser.num_steps}",
                "the same num_steps in both",
                "build both with the same num_steps (sampling may still use fewer)",
            )
        if autoencoder is not None and tuple(autoencoder.code_shape) != denoiser.code_shape:
            raise checks.error(
                "autoencoder",
                f"an autoencoder with codes of shape {tuple(autoencoder.code_shape)}",
                f"the denoiser's code_shape {denoiser.code_shape}",
                "build the denoiser with code_shape=autoencoder.code_shape",
            )
        checks.check_choice("target", target, TARGETS)
        checks.check_choice("loss_weighting", loss_weighting, LOSS_WEIGHTINGS)
        self.denoiser = denoiser
        self.schedule = schedule
        self.autoencoder = autoencoder
        if autoencoder is not None:
            _freeze(autoencoder)
        self.target = target
        self.vlb_weight = checks.check_number("vlb_weight", vlb_weight, 0.0)
        self.label_dropout = checks.check_number("label_dropout", label_dropout, 0.0, maximum=1.0)
        self.loss_weighting = loss_weighting
        self.num_steps = schedule.num_steps
        self.code_shape = denoiser.code_shape
        self.seed_generator = keras.random.SeedGenerator()
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in ("bce", "bits_per_dimension", "accuracy")
        }
        self._prepare_generation()
        self.built = True

    @property
    def is_conditional(self):
        """Whether samples need labels or text embeddings."""
        return self.denoiser.condition_kind is not None

    # Training ------------------------------------------------------------------------------

    def compile(self, optimizer="rmsprop", *args, jit_compile="auto", **kwargs):
        """`keras.Model.compile`; the objective is built in.

        `jit_compile="auto"` takes XLA where that is faster for a large denoiser that trains on
        codes (`backend.prefers_xla`). A model with an autoencoder may train on images, whose
        encoding XLA slows down on a CPU: pass True if it trains on codes.
        """
        if jit_compile == "auto" and self.autoencoder is None:
            jit_compile = prefers_xla(self.denoiser) or "auto"
        super().compile(optimizer, *args, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        """Compile as the saved model was; Keras asks for it where `compile` is ours."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, **kwargs):
        """`keras.Model.fit`, after a check of images, codes and labels given as arrays."""
        x, y = self._check_arrays(x, y, kwargs)
        history = super().fit(x, y, **kwargs)
        own_buffers(self.trainable_variables)
        return history

    def evaluate(self, x=None, y=None, **kwargs):
        """`keras.Model.evaluate`, after a check of images, codes and labels given as arrays."""
        x, y = self._check_arrays(x, y, kwargs)
        return super().evaluate(x, y, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """`keras.Model.train_on_batch`, after the same check."""
        kwargs["sample_weight"] = sample_weight
        x, y = self._check_arrays(x, y, kwargs)
        return super().train_on_batch(x, y, **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """`keras.Model.test_on_batch`, after the same check."""
        kwargs["sample_weight"] = sample_weight
        x, y = self._check_arrays(x, y, kwargs)
        return super().test_on_batch(x, y, **kwargs)

    def train_step(self, *args):
        """One step of Algorithm 1. JAX passes its state before the data, the others data alone."""
        *state, data = args
        return super().train_step(*state, self._with_condition_as_input(data))

    def test_step(self, *args):
        """One evaluation step; the arguments are those of `train_step`."""
        *state, data = args
        return super().test_step(*state, self._with_condition_as_input(data))

    def call(self, inputs, training=False):
        """Diffuse to a random time step and predict (Algorithm 1, lines 5-8).

        Args:
            inputs: dictionary of `x` (images, codes or packed codes) and, for a conditional
                model, `condition`; or `x` alone.
            training: drops conditions at random where True.

        Returns:
            Dictionary of `logits`, `codes`, `noisy_codes` and `time_steps`.
        """
        codes, time_steps, condition = self._codes_at_times(inputs)
        uniforms = keras.random.uniform(ops.shape(codes), dtype="float32", seed=self.seed_generator)
        noisy_codes = self.schedule(codes, time_steps, uniforms)
        present = self._condition_present(condition, time_steps, training)
        logits = self.denoiser(noisy_codes, time_steps, condition, present)
        return {
            "logits": logits,
            "codes": codes,
            "noisy_codes": noisy_codes,
            "time_steps": time_steps,
        }

    def _codes_at_times(self, inputs):
        """(codes, random time steps, condition or None) of what `call` was given."""
        if not isinstance(inputs, dict):
            inputs = {"x": inputs}
        codes = ops.stop_gradient(self._codes_of(inputs["x"]))
        time_steps = keras.random.randint(
            (ops.shape(codes)[0],), 1, self.num_steps + 1, dtype="int32", seed=self.seed_generator
        )
        return codes, time_steps, inputs.get("condition")

    def _condition_present(self, condition, time_steps, training):
        """Which samples keep their condition; None for all."""
        if condition is None or not training or self.label_dropout == 0:
            return None
        shape = ops.shape(time_steps)
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return draws >= self.label_dropout

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """BCE + vlb_weight * bound (Eq. 13), the mean over the batch; updates the metrics."""
        steps = np.arange(1, self.num_steps + 1)
        tables = ops.convert_to_tensor(transition_tables(self.schedule.k, steps, steps - 1))
        time_steps = y_pred["time_steps"]
        terms = diffusion_losses(
            y_pred["logits"],
            y_pred["codes"],
            y_pred["noisy_codes"],
            time_steps,
            ops.take(tables, time_steps - 1, axis=0),
            self.target,
            channel=self.schedule.channel_log_odds(time_steps),
        )
        # The mean over random t of the bound's terms, times T, estimates the whole bound.
        bits = terms["vlb"] * (self.num_steps / NATS_PER_BIT)
        self._trackers["bce"].update_state(terms["bce"])
        self._trackers["bits_per_dimension"].update_state(bits)
        self._trackers["accuracy"].update_state(terms["accuracy"])
        vlb_weight = 1.0 if self.target == "previous" else self.vlb_weight
        loss = terms["bce"] + vlb_weight * terms["vlb"]
        if self.loss_weighting == "time":
            loss = loss * (1.0 - (ops.cast(time_steps, "float32") - 1.0) / self.num_steps)
        if sample_weight is not None:
            loss = loss * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return ops.mean(loss)

    def _kind_of(self, x):
        """What a batch holds, by its shape and dtype."""
        shape = tuple(x.shape[1:])
        if shape == self._packed_shape and "uint8" in str(x.dtype):
            return "packed_codes"
        if shape == self.code_shape:
            return "codes"
        if self.autoencoder is not None and shape == tuple(self.autoencoder.image_shape):
            return "images"
        raise self._unknown_input(tuple(x.shape))

    @property
    def _packed_shape(self):
        return packed_shape(self.code_shape)

    def _codes_of(self, x):
        kind = self._kind_of(x)
        if kind == "packed_codes":
            return unpack_bits(x, self.code_shape[-1])
        if kind == "codes":
            return ops.cast(x, "float32")
        seed = keras.random.randint((), 0, 2**31 - 1, dtype="int32", seed=self.seed_generator)
        return self.autoencoder.encode(x, deterministic=False, seed=seed)

    def _with_condition_as_input(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, dict):  # made by `_check_arrays`
            sample_weight = x.get("sample_weight", sample_weight)
            (x,) = (part for name, part in x.items() if name != "sample_weight")
        self._check_presence(y)
        if y is not None and self.denoiser.condition_kind == "class" and len(y.shape) == 2:
            y = y[:, 0]  # labels as a column, as some datasets give them
        inputs = {"x": x} if y is None else {"x": x, "condition": y}
        return inputs, None, sample_weight

    def _check_presence(self, y):
        if self.is_conditional and y is None:
            raise checks.error(
                "y",
                "no labels",
                f"a {self.denoiser.condition_kind} condition for each sample",
                "call fit(x, labels), or give a dataset of (x, labels)",
            )
        if not self.is_conditional and y is not None:
            raise checks.error(
                "y",
                "labels",
                "no labels, the denoiser is unconditional",
                "build the denoiser with num_classes, or leave the labels out",
            )

    def _check_arrays(self, x, y, settings):
        """Check arrays and lists before Keras sees them; datasets pass as they are.

        Images, codes and packed codes come back in dictionaries with different keys: to TensorFlow
        they are different inputs, for each of which a step is traced. Arrays that differ in shape
        alone would share a step in which that shape is unknown. A sample weight joins them where
        there is no y, because Keras would drop it.
        """
        x, y = (np.asarray(part) if isinstance(part, list) else part for part in (x, y))
        if isinstance(x, np.ndarray):
            self._check_presence(y)
            kind = self._kind_of(x)
            if kind == "images":
                shape = self.autoencoder.image_shape
                checks.check_images(x[:1] if x.dtype == np.uint8 else x, shape, "x")
            elif kind == "codes":
                checks.check_codes(x, self.code_shape, "x")
            else:
                checks.check_batch_shape("x", x, self._packed_shape)
        if isinstance(y, np.ndarray) and self.is_conditional:
            check_condition(self.denoiser, y, len(y))
        if isinstance(x, np.ndarray) or ops.is_tensor(x):
            x = {self._kind_of(x): x}
        if y is None and settings.get("sample_weight") is not None:
            parts = x if isinstance(x, dict) else {"x": x}
            x = {**parts, "sample_weight": settings.pop("sample_weight")}
        return x, y

    def _unknown_input(self, shape):
        height, width, channels = self.code_shape
        accepted = [
            f"codes (batch, {height}, {width}, {channels})",
            f"packed codes uint8 (batch, {height}, {width}, {self._packed_shape[-1]})",
        ]
        if self.autoencoder is not None:
            accepted.append(f"images (batch, {', '.join(map(str, self.autoencoder.image_shape))})")
        fix = "reshape or resize the input, or build the model with an autoencoder for such images"
        if None in shape[1:]:
            fix = (
                "call `make_train_function(force=True)` or `make_test_function(force=True)` "
                "between data sets of different kinds, or make their batches of known shape"
            )
        return checks.error("x", f"shape {shape}", " or ".join(accepted), fix)

    # Saving --------------------------------------------------------------------------------

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "denoiser": serialize(self.denoiser),
            "schedule": serialize(self.schedule),
            "autoencoder": None if self.autoencoder is None else serialize(self.autoencoder),
            "target": self.target,
            "vlb_weight": self.vlb_weight,
            "label_dropout": self.label_dropout,
            "loss_weighting": self.loss_weighting,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild a model, its parts included, from `get_config`."""
        config = dict(config)
        for part in ("denoiser", "schedule", "autoencoder"):
            if isinstance(config[part], dict):
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)

    def compile_for_inference(self, target="openvino", precision="bfloat16"):
        """Sample on a faster path of the processor: same calls, arguments, seeds and noise.

        `generate`, `generate_batches`, `generate_codes` and `inpaint` take it, and the
        autoencoder's `encode` and `decode` of arrays (see its own `compile_for_inference`).
        Codes differ from the plain path's where rounding moves a probability across its noise:
        docs/inference.md says how often. The weights are compiled in. Weights that change
        afterwards are noticed at the next call and compiled again. Training, `likelihood` and
        `export` stay on the backend's own path.

        Args:
            target: "openvino", or None to go back to the plain path.
            precision: "bfloat16" (probabilities and posterior are float32), or "float32".

        Returns:
            Whether the fast path is on, for the denoiser and for the autoencoder, if there is
            one. Where OpenVINO is not installed or cannot run a part, a warning says so and the
            plain path stays for it.

        Raises:
            ValueError: an unknown target or precision.
        """
        from keras_bld.serving.inference import inference_engine

        self._inference_engine = inference_engine(self, target, precision)
        fast = self._inference_engine is not None
        if hasattr(self.autoencoder, "compile_for_inference"):
            fast = self.autoencoder.compile_for_inference(target, precision) and fast
        return fast

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=False,
        num_steps=None,
        batch_size=1,
        posterior="exact",
        final="threshold",
        text_length=None,
    ):
        """Write a SavedModel with the functions `generate`, `inpaint`, `encode` and `decode`.

        See `keras_bld.serving.export_saved_model`, which names the inputs and outputs.

        Args:
            filepath: directory to write.
            format: "tf_saved_model".
            verbose: print the signatures.
            num_steps: denoising steps of `generate` and `inpaint`, 1 ... T; None takes all T.
            batch_size: images for each call of `generate` and `inpaint`.
            posterior: as in `generate`.
            final: as in `generate`.
            text_length: number of text tokens, for a model with cross-attention.
        """
        from keras_bld.serving import export_saved_model

        checks.check_choice("format", format, ("tf_saved_model",))
        return export_saved_model(
            self, filepath, num_steps, batch_size, posterior, final, text_length, verbose
        )


def _freeze(layer):
    # On TensorFlow an assignment of the value that an attribute has already is skipped, and an
    # autoencoder rebuilt from a file is False itself while its parts are still True.
    layer.trainable = True
    layer.trainable = False
