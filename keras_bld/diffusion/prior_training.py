"""Training of a code prior: what `fit` takes, turned into codes, and the forward pass."""

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.backend import own_buffers, prefers_xla
from keras_bld.base.packing import packed_shape, unpack_bits
from keras_bld.diffusion.conditioning import check_condition


class PriorTraining:
    """Mixin of `CodePrior`: trains on images, codes or packed codes, with their conditions."""

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
        """Corrupt codes at random time steps and predict (Algorithm 1, lines 5-8).

        Args:
            inputs: dictionary of `x` (images, codes or packed codes) and, for a conditional
                model, `condition`; or `x` alone.
            training: drops conditions at random where True.

        Returns:
            Dictionary of `logits`, `codes`, `time_steps`, `noisy_codes` and more of `corrupt`.
        """
        if not isinstance(inputs, dict):
            inputs = {"x": inputs}
        codes = ops.stop_gradient(self._codes_of(inputs["x"]))
        time_steps = keras.random.randint(
            (ops.shape(codes)[0],),
            1,
            self.num_training_steps + 1,
            dtype="int32",
            seed=self.seed_generator,
        )
        corrupted = self.corrupt(codes, time_steps)
        condition = inputs.get("condition")
        present = self._condition_present(condition, time_steps, training)
        logits = self.denoiser(corrupted["noisy_codes"], time_steps, condition, present)
        return {"logits": logits, "codes": codes, "time_steps": time_steps, **corrupted}

    def _condition_present(self, condition, time_steps, training):
        """Which samples keep their condition; None for all."""
        if condition is None or not training or self.label_dropout == 0:
            return None
        shape = ops.shape(time_steps)
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return draws >= self.label_dropout

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean of `loss_terms` over the batch; updates the metrics."""
        found = self.loss_terms(y_pred)
        for name, tracker in self._trackers.items():
            tracker.update_state(found[name])
        loss = found["loss"]
        if sample_weight is not None:
            loss = loss * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return ops.mean(loss)

    # Input ----------------------------------------------------------------------------------

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
