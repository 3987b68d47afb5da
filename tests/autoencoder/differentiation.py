"""Gradients on whatever backend the tests run on."""

import keras
from keras import ops


def gradient_of(function, *arrays):
    """Gradients of a scalar function of float arrays, as NumPy arrays.

    Args:
        function: tensors -> scalar tensor.
        arrays: NumPy arrays or tensors, one for each argument.
    """
    backend = keras.config.backend()
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    if backend == "jax":
        import jax

        # One compilation is faster than one for each operation.
        gradients = jax.jit(jax.grad(function, argnums=tuple(range(len(tensors)))))(*tensors)
    elif backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        gradients = tape.gradient(value, tensors)
    else:
        import torch

        tensors = [tensor.detach().requires_grad_() for tensor in tensors]
        gradients = torch.autograd.grad(function(*tensors), tensors)
    return [ops.convert_to_numpy(gradient) for gradient in gradients]
