"""Loss scaling: what training in float16 needs, whose smallest number is 6e-8.

Gradients below that would be 0. So the loss is multiplied by a number that is as large as it can
be, and the gradients are divided by it in float32; where one of them was too large for float16, the
step is left out and the number is halved (Micikevicius et al. 2018, Section 3.2). Keras has this
optimizer, and wraps it around that of a model which is in float16 as a whole.
"""

import keras
from keras import ops


def trains_in_float16(model):
    """Whether a part of a model that learns computes in float16."""
    return any(
        layer.compute_dtype == "float16" and layer.trainable_variables
        for layer in model._flatten_layers()
    )


def with_loss_scaling(model, optimizer):
    """The optimizer that trains a model: where a part of it is in float16, with loss scaling.

    Args:
        model: built model.
        optimizer: whatever `compile` takes.
    """
    optimizer = keras.optimizers.get(optimizer)
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if optimizer is None or scales or not trains_in_float16(model):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def loss_scale(optimizer, state=None):
    """By what the loss is multiplied in a training step: a scalar tensor, or 1.0.

    Args:
        optimizer: of the model.
        state: of the step where the backend passes it (JAX): its third part are the optimizer's
            variables.
    """
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return 1.0
    if state is None:
        # A copy: on TensorFlow and torch the tensor is the variable itself.
        return ops.convert_to_tensor(optimizer.dynamic_scale) + 0
    own = [variable is optimizer.dynamic_scale for variable in optimizer.variables]
    return state[2][own.index(True)]
