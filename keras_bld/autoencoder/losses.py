"""The terms of the objective (paper, Eq. 2) and the gradient balance between two of them."""

from keras import ops

from keras_bld.base import replicas

BALANCE_EPSILON = 1e-4


def mean_over(values, sample_weight=None):
    """Mean of `values` in float32, each sample's times its weight; a scalar.

    Args:
        values: (batch, ...).
        sample_weight: None, or (batch,).
    """
    values = ops.cast(values, "float32")
    if sample_weight is not None:
        ones = (1,) * (len(values.shape) - 1)
        values = values * ops.reshape(sample_weight, (-1, *ones))
    return ops.mean(values)


def reconstruction_loss(images, reconstruction, kind, sample_weight=None):
    """Mean squared ("mse") or mean absolute ("l1") difference, a scalar."""
    difference = ops.cast(reconstruction, "float32") - ops.cast(images, "float32")
    difference = ops.abs(difference) if kind == "l1" else ops.square(difference)
    return mean_over(difference, sample_weight)


def hinge_critic_loss(logits_real, logits_fake, sample_weight=None):
    """The critic's hinge loss: mean of relu(1 - real) and of relu(1 + fake), halved.

    Source: Lim & Ye 2017; the published code's `hinge_d_loss`.
    """
    real = mean_over(ops.relu(1.0 - ops.cast(logits_real, "float32")), sample_weight)
    fake = mean_over(ops.relu(1.0 + ops.cast(logits_fake, "float32")), sample_weight)
    return 0.5 * (real + fake)


def generator_loss(logits_fake, sample_weight=None):
    """What the autoencoder minimises against the critic: -mean(critic(reconstruction))."""
    return -mean_over(logits_fake, sample_weight)


def adversarial_losses(critic, real, fake, training, sample_weight=None):
    """What the autoencoder and what the critic minimise, from one graph.

    The first sees the critic with its weights stopped (a stateless call, whose changes to the
    running statistics are dropped), the second sees the images with their gradient stopped: each
    gradient reaches one network only, and one backward pass over the sum serves both.

    Args:
        critic: a built `PatchCritic`.
        real, fake: (batch, height, width, channels).
        training: whether the critic normalises with the statistics of each batch.
        sample_weight: None, or a weight of each image, (batch,).

    Returns:
        Two scalars: the generator's loss and the critic's.
    """
    weights = [ops.stop_gradient(variable.value) for variable in critic.trainable_variables]
    states = [variable.value for variable in critic.non_trainable_variables]
    logits, _ = critic.stateless_call(weights, states, fake, training=training)
    critic_loss = hinge_critic_loss(
        critic(real, training=training),
        critic(ops.stop_gradient(fake), training=training),
        sample_weight,
    )
    return generator_loss(logits, sample_weight), critic_loss


def split_with_balance(images, features, scale, maximum, loss_scale=1.0):
    """Two copies of `images`; gradients into the second are rescaled to match the first.

    The reconstruction terms use the first copy, the adversarial term the second. Going back,
    the adversarial gradient is multiplied by

        scale * clip(|reconstruction gradient| / (|adversarial gradient| + epsilon), 0, maximum),

    Esser et al. 2021 ("Taming transformers", Eq. 7), without the two extra backward passes that
    asking for the two gradients separately costs: both arrive here anyway.

    Args:
        images: float32 (batch, height, width, channels), the output of the last convolution.
        features: None to take the norms of the gradients with respect to `images`. Or the input
            of the last 3x3 convolution, to take the norms of the gradients with respect to its
            kernel, as published.
        scale: scalar tensor, the weight of the adversarial term.
        maximum: largest ratio.
        loss_scale: scalar, by which the loss is multiplied before its gradient is taken (training
            in float16); epsilon with it.

    Returns:
        The two copies. Where the norms are taken at the image, epsilon is 1e-4 / sqrt(number of
        values), so that the ratio does not depend on the size of the image: a loss that averages
        over n values has gradients of norm proportional to 1 / sqrt(n).
    """

    def balanced(images, scale, loss_scale, *features):
        def grad(*args, upstream=None):
            # torch hands `upstream` by name after the inputs, TensorFlow and JAX alone.
            gradients = args[-1] if upstream is None else upstream
            reconstruction, adversarial = gradients[0], gradients[1]
            if features:
                kernels = replicas.total(last_kernel_gradients(features[0], gradients))
                norms, epsilon = ops.sqrt(_squares(kernels)), BALANCE_EPSILON
            else:
                size = ops.cast(ops.size(images), "float32") * replicas.num_replicas()
                norms = ops.sqrt(replicas.total(_squares(gradients)))
                epsilon = BALANCE_EPSILON / ops.sqrt(size)
            ratio = norms[0] / (norms[1] + epsilon * loss_scale)
            weight = scale * ops.clip(ratio, 0.0, maximum)
            gradient = reconstruction + weight * adversarial
            others = (scale, loss_scale, *features)
            return gradient, *(ops.zeros_like(x) for x in others)

        # One stacked output: with two outputs the torch backend's custom_gradient fails.
        return ops.stack([images, images]), grad

    loss_scale = ops.convert_to_tensor(loss_scale, "float32")
    inputs = (images, scale, loss_scale, *([] if features is None else [features]))
    copies = ops.custom_gradient(balanced)(*inputs)
    return copies[0], copies[1]


def last_kernel_gradients(features, gradients):
    """Gradients with respect to the kernel of the last, 3x3 "same" convolution.

    Args:
        features: (batch, height, width, in), the convolution's input.
        gradients: (2, batch, height, width, out), two gradients with respect to its output.

    Returns:
        float32 (2, in, 9 * out), one kernel gradient for each. One matrix product does it: the
        gradients have few channels, so they are shifted nine times rather than the features.
    """
    height, width, channels = features.shape[1:]
    padded = ops.pad(ops.cast(gradients, "float32"), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [
        padded[:, :, 2 - row : 2 - row + height, 2 - column : 2 - column + width]
        for row in range(3)
        for column in range(3)
    ]
    shifted = ops.concatenate(shifted, axis=-1)
    shifted = ops.reshape(shifted, (2, -1, shifted.shape[-1]))  # (2, positions, 9 * out)
    positions = ops.reshape(ops.cast(features, "float32"), (-1, channels))  # (positions, in)
    return ops.matmul(ops.transpose(positions)[None], shifted)


def _squares(pair):
    """Squared Euclidean norm of each of the two tensors stacked in `pair`."""
    return ops.sum(ops.square(pair), axis=tuple(range(1, len(pair.shape))))
