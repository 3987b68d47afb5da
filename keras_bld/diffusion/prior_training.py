"""Training of a code prior: what `fit` takes, turned into codes, and the forward pass."""

import inspect

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks, replicas
from keras_bld.base.backend import prefers_xla
from keras_bld.base.backend.trainer import check_precision
from keras_bld.base.batch_forms import unpack_batch
from keras_bld.base.fitting.trainable import Trainable
from keras_bld.base.packing import packed_shape, unpack_bits, unpack_codes
from keras_bld.diffusion.conditioning import check_condition, label_error


class PriorTraining(Trainable):
    """Mixin of `CodePrior`: trains on images, codes or packed codes, with their conditions."""

    def compile(self, optimizer="rmsprop", *args, jit_compile="auto", **kwargs):
        """`keras.Model.compile`; the objective is built in.

        `jit_compile="auto"` takes XLA where that is faster for a large denoiser that trains on
        codes (`backend.prefers_xla`). A model with an autoencoder may train on images, whose
        encoding XLA slows down on a CPU: pass True if it trains on codes.
        """
        if replicas.will_be_replicated():  # where TensorFlow has no XLA
            jit_compile = False
        elif jit_compile == "auto" and self.autoencoder is None:
            jit_compile = prefers_xla(self.denoiser) or "auto"
        super().compile(optimizer, *args, jit_compile=jit_compile, **kwargs)

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
            inputs: dictionary of `x` (images, codes or packed codes; or one of these words) and,
                for a conditional model, `condition`; or `x` alone.
            training: drops conditions, and channels of the denoiser, at random where True.

        Returns:
            Dictionary of `logits`, `codes`, `time_steps`, `noisy_codes` and more of `corrupt`.
        """
        if not isinstance(inputs, dict):
            inputs = {"x": inputs}
        name = next(name for name in ("x", "images", "codes", "packed_codes") if name in inputs)
        codes = self._codes_of(inputs[name], None if name == "x" else name)
        codes = ops.stop_gradient(codes)
        time_steps = replicas.integers(
            (ops.shape(codes)[0],), 1, self.num_training_steps + 1, self.seed_generator
        )
        corrupted = self.corrupt(codes, time_steps)
        condition = inputs.get("condition")
        present = self._condition_present(condition, time_steps, training)
        # JAX's trainer calls `call` itself, and then Keras does not hand `training` on.
        drops = training and "training" in inspect.signature(self.denoiser.call).parameters
        mode = {"training": True} if drops else {}
        logits = self.denoiser(corrupted["noisy_codes"], time_steps, condition, present, **mode)
        return {"logits": logits, "codes": codes, "time_steps": time_steps, **corrupted}

    def _condition_present(self, condition, time_steps, training):
        """Which samples keep their condition; None for all."""
        if condition is None or not training or self.label_dropout == 0:
            return None
        draws = replicas.uniform(ops.shape(time_steps), self.seed_generator)
        return draws >= self.label_dropout

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean of `loss_terms` over the batch; updates the metrics.

        NaN where a label is no class: that ends training, on every backend alike.
        """
        found = self.loss_terms(y_pred)
        if sample_weight is not None:
            sample_weight = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        for name, tracker in self._trackers.items():
            tracker.update_state(found[name], sample_weight=sample_weight)
        if training:
            self.learn_from(y_pred, found)
        loss = found["loss"]
        if sample_weight is not None:
            loss = loss * sample_weight
        if isinstance(x, dict) and "is_class" in x:
            loss = ops.where(x["is_class"], loss, float("nan"))
        return replicas.part_of_loss(ops.mean(loss))

    def learn_from(self, outputs, found):
        """What a training step changes beside the weights of the networks; here nothing.

        Args:
            outputs: as of `loss_terms`.
            found: what that returned.
        """

    # Input ----------------------------------------------------------------------------------

    @property
    def takes_labels(self):
        """An unconditional model leaves the labels of a dictionary out."""
        return self.is_conditional

    def check_training(self):
        """Raise ValueError where the backend cannot train in the precision of the networks."""
        check_precision(self.denoiser)

    def look_at_x(self, x, kind=None):
        """Raise ValueError where x is neither images nor codes nor packed codes of this model."""
        kind = kind or self._kind_of(x)
        if kind == "images":
            is_array = isinstance(x, np.ndarray)
            one = x[:1] if is_array and x.dtype == np.uint8 else x
            checks.check_images(one, self.autoencoder.image_shape, "x")
        elif kind == "codes":
            checks.check_codes(x, self.code_shape, "x")
        else:
            checks.check_batch_shape("x", x, self._packed_shape)
        return kind

    def codes_from(self, x):
        """The codes of what `fit` takes as x: float32 {0, 1}, an array (batch, h, w, c).

        Raises:
            ValueError: x is neither images nor codes nor packed codes of this model.
        """
        kind = self.look_at_x(x)
        if kind == "images":
            return self.autoencoder.encode(x)
        if kind == "packed_codes":
            return unpack_codes(x, self.code_shape[-1]).astype("float32")
        return x.astype("float32")

    def look_at_y(self, y, num_samples):
        """Raise ValueError where labels or text embeddings do not fit the denoiser."""
        self._check_presence(y)
        if isinstance(y, np.ndarray):
            check_condition(self.denoiser, y, num_samples)

    def check_class_weight(self, y):
        """Raise ValueError unless the condition is a class."""
        super().check_class_weight(y if self.denoiser.condition_kind == "class" else None)

    def explain_not_finite(self, names):
        """Labels out of range make the loss NaN, and nothing else."""
        if names == ["loss"] and self.denoiser.condition_kind == "class":
            last = self.denoiser.num_classes - 1
            return (
                f"a batch has labels outside [0, {last}] (or, of one-hot vectors, some that are "
                "none): of a dataset only the first batch is checked. Number the classes from 0"
            )
        return None

    def _kind_of(self, x):
        """What a batch holds, by its shape and dtype.

        With an autoencoder of f = 1, uint8 images and packed codes can look alike: then it is
        images. A dictionary, {"packed_codes": x}, says what is meant.
        """
        shape = tuple(x.shape[1:])
        is_bytes = "uint8" in str(x.dtype)
        may_be_images = self.autoencoder is not None and shape == tuple(
            self.autoencoder.image_shape
        )
        if shape == self._packed_shape and is_bytes and not may_be_images:
            return "packed_codes"
        if shape == self.code_shape and not (may_be_images and is_bytes):
            return "codes"
        if may_be_images:
            return "images"
        raise self._unknown_input(tuple(x.shape))

    @property
    def _packed_shape(self):
        return packed_shape(self.code_shape)

    def _codes_of(self, x, kind=None):
        kind = kind or self._kind_of(x)
        if kind == "packed_codes":
            return unpack_bits(x, self.code_shape[-1])
        if kind == "codes":
            return ops.cast(x, "float32")
        seed = keras.random.randint((), 0, 2**31 - 1, dtype="int32", seed=self.seed_generator)
        return self.autoencoder.encode(x, deterministic=False, seed=seed)

    def _with_condition_as_input(self, data):
        x, y, sample_weight, kind = unpack_batch(data, self.takes_labels)
        self._check_presence(y)
        inputs = {kind or "x": x}
        if y is not None:
            inputs["condition"] = y
            if self.denoiser.condition_kind == "class":
                inputs["condition"], inputs["is_class"] = self._classes(y)
        return inputs, None, sample_weight

    def _classes(self, y):
        """Labels of any accepted form -> int32 (batch,), and whether each is a class."""
        num_classes = self.denoiser.num_classes
        y = ops.convert_to_tensor(y)
        if len(y.shape) == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if len(y.shape) == 2 and y.shape[1] == num_classes:
            y = ops.cast(y, "int32")
            is_class = ops.logical_and(ops.sum(y, axis=1) == 1, ops.max(y, axis=1) == 1)
            return ops.cast(ops.argmax(y, axis=1), "int32"), is_class
        if len(y.shape) != 1:
            raise label_error(f"shape {tuple(y.shape)}", num_classes, y.shape[0])
        y = ops.cast(y, "int32")
        is_class = ops.logical_and(y >= 0, y < num_classes)
        return ops.clip(y, 0, num_classes - 1), is_class

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
