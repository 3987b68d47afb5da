"""The trainer's repairs: what Keras leaves to be done on single backends."""


class RepairedTraining:
    """Mixin of built Keras models, before `keras.Model`: `fit` costs and computes what it should.

    On torch each training step begins without the gradients before it. Keras calls `zero_grad` of
    `torch.nn.Module`, which knows the parameters by their Keras paths. Layers that are built at
    once, outside the name scope of their owner, have paths like "query_key_value/kernel", the same
    in each block of a transformer: one of them is known, the others add up the gradients of all
    steps, and training drifts away. The networks of this library have a path for each weight; a
    user's own may not.

    On TensorFlow a step is traced once. Keras creates the optimizer's variables in the first trace
    of the step, which TensorFlow then throws away and makes again. (Both seen with Keras 3.15.)
    """

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all trainable variables; called by Keras on torch alone."""
        for variable in self.trainable_variables:
            variable.value.grad = None

    def make_train_function(self, force=False):
        """Build the optimizer, then what `fit` and `train_on_batch` call for each step."""
        # Under a strategy for many devices Keras builds it itself, in the strategy's scope.
        alone = getattr(self, "_distribute_strategy", None) is None
        if alone and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)
