"""The critic's own count of steps, for an optimizer that has counted the autoencoder's."""

import keras
from keras import ops


class CriticSteps:
    """Lets one optimizer start a critic that joins late as a fresh optimizer would.

    Adam divides its moments, which begin at 0, by 1 - beta ** steps. At the critic's first step
    its moments are 0, but the optimizer has counted to `critic_start_step`, and its update would
    be (1 - beta_1) / sqrt(1 - beta_2) times that of a fresh one: 3.2 times as large with the usual
    betas. So the critic's weights are updated with the number of steps that they have learned.

    Source: Kingma and Ba 2015, Section 3.

    Args:
        variables: callable without arguments that returns the critic's trainable variables.
        start: step at which the critic starts.

    Attributes:
        num_steps: set in each training step: how many the model has taken before it, a tensor.
    """

    def __init__(self, variables, start):
        self._variables = variables
        self._start = start
        self.num_steps = None

    def attach_to(self, optimizer):
        """Make `optimizer` count for the critic alone where it updates it.

        Optimizers without bias correction stay as they are; so does Nadam, whose correction is
        one for all weights.
        """
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        corrects = hasattr(optimizer, "beta_1") and not isinstance(
            optimizer, keras.optimizers.Nadam
        )
        if self._start == 0 or not corrects:
            return
        update = type(optimizer)._backend_update_step

        def update_each(gradients, variables, learning_rate):
            own = {id(variable) for variable in self._variables()}
            pairs = list(zip(gradients, variables, strict=True))
            for_critic = [pair for pair in pairs if id(pair[1]) in own]
            others = [pair for pair in pairs if id(pair[1]) not in own]
            update(optimizer, *_columns(others), learning_rate)
            if for_critic:
                # Not `iterations`, which where gradients accumulate is no variable.
                iterations = optimizer._iterations
                counted = ops.convert_to_tensor(iterations) + 0
                learned = ops.cast(self.num_steps, counted.dtype) - self._start
                # A new optimizer of a model that has trained before has counted less.
                iterations.assign(ops.clip(learned, 0, counted))
                update(optimizer, *_columns(for_critic), learning_rate)
                iterations.assign(counted)

        optimizer._backend_update_step = update_each


def _columns(pairs):
    return [gradient for gradient, _ in pairs], [variable for _, variable in pairs]
