"""The trainer's repairs: what Keras leaves to be done on single backends."""

import contextlib

from keras import ops
from keras.config import backend as backend_name

from keras_bld.base import checks
from keras_bld.base.backend import keep_reads_before_updates, runs_on_cpu, several_workers


class RepairedTraining:
    """Mixin of built Keras models, before `keras.Model`: `fit` costs and computes what it should.

    On torch each training step begins without the gradients before it. Keras calls `zero_grad` of
    `torch.nn.Module`, which knows the parameters by their Keras paths. Layers that are built at
    once, outside the name scope of their owner, have paths like "query_key_value/kernel", the same
    in each block of a transformer: one of them is known, the others add up the gradients of all
    steps, and training drifts away. The networks of this library have a path for each weight; a
    user's own may not.

    On TensorFlow a step is traced once. Keras creates the optimizer's variables in the first trace
    of the step, which TensorFlow then throws away and makes again. And its graph keeps reads of a
    variable before its update (see `keep_reads_before_updates`).

    On JAX a failure leaves the model as it was. Keras takes the values out of the variables before
    a step; where the first one fails, they stay empty, and what is raised then may be the complaint
    of an optimizer about that (`'NoneType' object is not callable`). An optimizer with
    `use_ema=True` shares its averages with the weights after `fit`, and the next step deletes both
    (see `own_buffers`).

    (All seen with Keras 3.15.)
    """

    _run = None

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all trainable variables; called by Keras on torch alone."""
        for variable in self.trainable_variables:
            variable.value.grad = None

    def build_optimizer(self):
        """Create the optimizer's variables, if they are not there yet."""
        # Under a strategy for many devices Keras builds it itself, in the strategy's scope.
        alone = getattr(self, "_distribute_strategy", None) is None
        if alone and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def compute_metrics(self, *args, **kwargs):
        """What a step shows; of several workers of TensorFlow as rows, which Keras then averages.

        (Keras averages over the first axis, and numbers have none.)
        """
        results = super().compute_metrics(*args, **kwargs)
        if backend_name() == "tensorflow" and several_workers():
            results = {name: ops.reshape(result, (1,)) for name, result in results.items()}
        return results

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build the optimizer; what TensorFlow's trainer does first under a strategy.

        Our models are built. Keras would take a batch out of the data for it, which of a generator
        is lost, and fails to read one of several workers.
        """
        strategy = getattr(self, "_distribute_strategy", None)
        if strategy is not None and self.optimizer is not None and not self.optimizer.built:
            with strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force=False):
        """Build the optimizer, then what `fit` and `train_on_batch` call for each step."""
        self.build_optimizer()
        if self.optimizer is not None:
            keep_reads_before_updates(self.optimizer)
        self._make_watched("train_function", super().make_train_function, force)

    def make_test_function(self, force=False):
        """Make what `evaluate` and `test_on_batch` call for each step."""
        self._make_watched("test_function", super().make_test_function, force)

    def make_predict_function(self, force=False):
        """Make what `predict` calls for each step."""
        self._make_watched("predict_function", super().make_predict_function, force)

    def _make_watched(self, name, make, force):
        before = getattr(self, name)
        make(force)
        made = getattr(self, name)
        if made is not before and backend_name() == "jax":
            setattr(self, name, self._watched(made))

    def _watched(self, function):
        """`function` of a step, which leaves in `_run` how far it came and why it failed."""

        def step(*arguments):
            try:
                result = function(*arguments)
            except StopIteration:
                raise
            except Exception as failure:
                if self._run is not None:
                    self._run.failure = self._run.failure or failure
                raise
            if self._run is not None:
                self._run.values = None  # given away by now
            return result

        return step

    @contextlib.contextmanager
    def errors_as_raised(self):
        """Around Keras's loops: an error of the first step is the one that the caller sees."""
        if backend_name() != "jax":
            yield
            return
        outer, self._run = self._run, _Run(self)
        try:
            yield
        except BaseException:
            self._run.restore(self)
            if self._run.failure is not None:
                raise self._run.failure from None
            raise
        finally:
            self._run = outer


class _Run:
    """One call of `fit`, `evaluate` or `predict` on JAX."""

    def __init__(self, model):
        variables = [*model.variables, *model.metrics_variables]
        if getattr(model, "optimizer", None) is not None:
            variables += model.optimizer.variables
        self.values = [(variable, variable.value) for variable in variables]
        self.failure = None

    def restore(self, model):
        """Give the variables their values back: of before, or of the last step that was done."""
        if self.values is None:
            model.jax_state_sync()
        else:
            for variable, value in self.values:
                variable.assign(value)


def check_precision(network, has_convolutions=False):
    """Raise ValueError where the backend cannot train a network in its precision here.

    JAX multiplies no float16 matrices on a CPU; torch has no gradient there of some convolutions in
    float16. Weights in float16 (the policy `float16`) train nowhere: most updates
    are smaller than their last digit.

    Args:
        network: layer or model.
        has_convolutions: whether it, or a critic beside it, is made of them.
    """
    if any(variable.dtype == "float16" for variable in network.trainable_variables):
        raise checks.error(
            "dtype",
            f"weights in float16 ({network.dtype_policy.name})",
            "weights in float32: the policy mixed_float16, mixed_bfloat16 or float32",
            "set another policy with `keras.config.set_dtype_policy` before building the model",
        )
    name = backend_name()
    fails = name == "jax" or (name == "torch" and has_convolutions)
    if network.compute_dtype == "float16" and fails and runs_on_cpu():
        raise checks.error(
            "dtype",
            f"{network.dtype_policy.name} on the CPU with the {name} backend",
            "float32, or bfloat16 (the policy `mixed_bfloat16`)",
            "set another policy with `keras.config.set_dtype_policy` before building the model,"
            " use a GPU, or the tensorflow backend",
        )
