"""What Keras's training step leaves to be done on torch."""


class ForgetsGradients:
    """Mixin of Keras models: each training step on torch begins without the gradients before it.

    Keras calls `zero_grad` of `torch.nn.Module`, which knows the parameters by their Keras paths.
    Layers that are built at once have paths like "query_key_value/kernel", the same in each block
    of a transformer: one of them was known, the others added up the gradients of all steps, and
    training drifted away (seen with Keras 3.15).
    """

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all trainable variables; called by Keras on torch alone."""
        for variable in self.trainable_variables:
            variable.value.grad = None
