"""What `fit` and its relatives do before Keras's own, in the models of either stage."""

import contextlib
import inspect

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.backend import own_buffers
from keras_bld.base.backend.trainer import RepairedTraining
from keras_bld.base.batch_forms import as_array, pack_batch, unpack_batch
from keras_bld.base.fitting.datasets import FirstLook, is_dataset, looked_at
from keras_bld.base.fitting.finite import FiniteOrNothing, check_logs
from keras_bld.base.fitting.loss_scaling import with_loss_scaling

_OPTIMIZER_IS_BUILT = "optimizer_is_built"


class Trainable(RepairedTraining):
    """Mixin of built Keras models, before `keras.Model`: nothing goes wrong in silence.

    Arrays are checked before Keras sees them, and so is the first batch of every dataset where it
    passes: one that the model cannot take is refused with the same message. Training ends at the
    first loss that is not finite. Where the optimizer keeps averages of the weights
    (`use_ema=True`), which are what `fit` leaves, validation in `fit` measures those.
    """

    @property
    def takes_labels(self):
        """Whether labels that stand in a dictionary beside x are looked at, or left out."""
        return True

    def check_training(self):
        """Raise ValueError where the model cannot be trained or evaluated at all."""

    def look_at_x(self, x, kind=None):
        """Raise ValueError where x is none for this model.

        Args:
            x: NumPy array; of a tensor the shape alone is looked at.
            kind: "images", "codes" or "packed_codes" where a dictionary said so.

        Returns:
            The kind.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `look_at_x`")

    def look_at_y(self, y, num_samples):
        """Raise ValueError where y, an array or None, is none for this model."""

    def look_at(self, batch):
        """Raise ValueError where a `Batch` is none to train on.

        Returns:
            The kind of x.
        """
        kind = self.look_at_x(batch.x, batch.kind)
        self.look_at_y(batch.y, len(batch.x))
        check_sample_weight(batch.sample_weight, len(batch.x))
        return kind

    def check_class_weight(self, y):
        """Raise ValueError where there are no classes to be weighted; `y` may be None."""
        if y is None:
            raise checks.error(
                "class_weight",
                "weights of classes without labels",
                "labels (y) beside them, or None",
                "pass the labels as y, or the weights of the images as sample_weight",
            )

    def explain_not_finite(self, names):
        """In words, why the losses `names` are not finite; None where that is not known."""

    # Keras's methods ------------------------------------------------------------------------

    def compile(self, optimizer="rmsprop", *args, auto_scale_loss=True, **kwargs):
        """`keras.Model.compile`; the loss is scaled where any part of the model is in float16."""
        if auto_scale_loss:
            optimizer = with_loss_scaling(self, optimizer)
        super().compile(optimizer, *args, auto_scale_loss=False, **kwargs)

    def get_compile_config(self):
        """How the model is compiled, and whether the optimizer has variables yet."""
        config = super().get_compile_config()
        return config and {**config, _OPTIMIZER_IS_BUILT: self.optimizer.built}

    def compile_from_config(self, config):
        """Compile as the saved model was; Keras asks for it where `compile` is ours.

        An optimizer that had no variables gets none: Keras would warn that they are not loaded.
        """
        config = dict(config)
        is_built = config.pop(_OPTIMIZER_IS_BUILT, True)
        self.compile(**keras.saving.deserialize_keras_object(config))
        if is_built:
            self.build_optimizer()

    def fit(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.fit`, after a look at the data; it ends at a loss that is not finite."""
        given = _arguments(keras.Model.fit, self, x, (y, *args), kwargs)
        self.check_training()
        looks = [self._look_at_data(given)]
        if given.get("validation_data") is not None:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
            validation = {"x": x, "y": y, "sample_weight": sample_weight}
            looks.append(self._look_at_data(validation))
            given["validation_data"] = tuple(validation.values())
        given["callbacks"] = _with_first(FiniteOrNothing, given.get("callbacks"))
        self.build_optimizer()
        try:
            return self._guarded(super().fit, given, looks)
        finally:
            own_buffers(self.trainable_variables)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.evaluate`, after a look at the data."""
        if kwargs.get("_use_cached_eval_dataset"):  # called by `fit`, which has looked
            with self._averages_in_place(kwargs["callbacks"]):
                return self._guarded(super().evaluate, {"x": x, "y": y, **kwargs})
        given = _arguments(keras.Model.evaluate, self, x, (y, *args), kwargs)
        self.check_training()
        look = self._look_at_data(given)
        return self._guarded(super().evaluate, given, [look])

    def predict(self, x, *args, **kwargs):
        """`keras.Model.predict`, after a look at the data."""
        given = _arguments(keras.Model.predict, self, x, args, kwargs)
        if not is_dataset(x):
            batch = unpack_batch((x,))
            self.look_at_x(as_array(batch.x), batch.kind)
            return self._guarded(super().predict, given)
        look = FirstLook(lambda batch: self.look_at_x(batch.x, batch.kind))
        given["x"] = looked_at(x, look)
        return self._guarded(super().predict, given, [look])

    def predict_step(self, *args):
        """One step of `predict`: what batches hold beside x is left out."""
        *state, data = args
        return super().predict_step(*state, (unpack_batch(data).x,))

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """`keras.Model.train_on_batch`, after the same look; a loss must be finite."""
        given = {"x": x, "y": y, "sample_weight": sample_weight, "class_weight": class_weight}
        self.check_training()
        self._look_at_data(given, tensors=False)
        result = self._guarded(super().train_on_batch, {**given, "return_dict": return_dict})
        logs = result if return_dict else zip(self.metrics_names, result, strict=True)
        check_logs(dict(logs), "this step", self.explain_not_finite)
        return result

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """`keras.Model.test_on_batch`, after the same look."""
        given = {"x": x, "y": y, "sample_weight": sample_weight}
        self.check_training()
        self._look_at_data(given, tensors=False)
        return self._guarded(super().test_on_batch, {**given, "return_dict": return_dict})

    # ----------------------------------------------------------------------------------------

    def _guarded(self, function, given, looks=()):
        """Call `function`; what a look refused goes before what Keras made of it."""
        try:
            with self.errors_as_raised():
                return function(**given)
        except Exception:
            for look in looks:
                if look is not None and look.refusal is not None:
                    raise look.refusal from None
            raise

    def _look_at_data(self, given, tensors=True):
        """Check arrays, or have a dataset looked at; `given` becomes what Keras gets.

        Args:
            given: dictionary of `x`, and more arguments of `fit`.
            tensors: whether the values of tensors are looked at; else their shapes alone.

        Returns:
            The `FirstLook` of a dataset, or None.
        """
        x, y, sample_weight = (given.get(name) for name in ("x", "y", "sample_weight"))
        if x is None:
            raise checks.error("x", "None", "arrays or a dataset", "pass the data to train on")
        if is_dataset(x):
            look = FirstLook(self.look_at, self.takes_labels)
            if y is None and sample_weight is None:  # else refused by Keras
                given["x"] = looked_at(x, look)
            return look
        batch = unpack_batch((x, y, sample_weight), self.takes_labels)
        lists = {
            name: np.asarray(part)
            for name, part in batch._asdict().items()
            if isinstance(part, (list, tuple))
        }
        batch = batch._replace(**lists)
        kind = self.look_at(batch.as_arrays() if tensors else batch)
        if given.get("class_weight") is not None:
            self.check_class_weight(batch.y)
        packed = (*pack_batch(batch._replace(kind=kind)), None, None)[:3]
        given.update(zip(("x", "y", "sample_weight"), packed, strict=True))
        return None

    @contextlib.contextmanager
    def _averages_in_place(self, callbacks):
        """The weights are the optimizer's averages of them, as at the end of `fit`."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        swap = keras.callbacks.SwapEMAWeights
        swapped = any(isinstance(callback, swap) for callback in callbacks.callbacks)
        if swapped or not getattr(optimizer, "use_ema", False):
            yield
            return
        values = [ops.stop_gradient(ops.copy(variable)) for variable in self.trainable_variables]
        optimizer.finalize_variable_values(self.trainable_variables)
        own_buffers(self.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.trainable_variables, values, strict=True):
                variable.assign(value)


def check_sample_weight(sample_weight, num_samples):
    """Raise ValueError unless a weight is one finite number >= 0 for each sample, or None."""
    if sample_weight is None or ops.is_tensor(sample_weight):
        return
    shape = np.shape(sample_weight)
    weights = np.asarray(sample_weight, "float32")
    if (
        shape in ((num_samples,), (num_samples, 1))
        and weights.min() >= 0
        and weights.max() < np.inf
    ):
        return
    raise checks.error(
        "sample_weight",
        f"shape {shape}, values from {weights.min()} to {weights.max()}",
        f"{num_samples} finite numbers >= 0",
        "pass one weight for each sample",
    )


def _arguments(function, model, x, args, kwargs):
    """The arguments of a call of `function` by their names."""
    given = inspect.signature(function).bind(model, x, *args, **kwargs).arguments
    given.pop("self")
    given.update(given.pop("kwargs", {}))
    if is_dataset(x) and "shuffle" in inspect.signature(function).parameters:
        given.setdefault("shuffle", False)  # Keras would warn of its own default
    return given


def _with_first(callback, callbacks):
    """A list of Keras callbacks that begins with one of the class `callback`."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    callbacks = keras.tree.flatten(callbacks or [])
    if any(isinstance(each, callback) for each in callbacks):
        return callbacks
    return [callback(), *callbacks]
