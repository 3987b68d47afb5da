"""What the rival priors of Table 5 share with `BinaryLatentDiffusion`."""

import keras
from keras import ops

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.diffusion import BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.diffusion.objective import NATS_PER_BIT, bce_with_logits
from keras_bld.diffusion.sampler import guided_logits

UNKNOWN = 0.5
"""A bit that is not known yet; (2z - 1) E of the denoiser makes it a token of nothing."""


class RivalPrior(BinaryLatentDiffusion):
    """Another distribution over the same codes, with the same methods.

    `fit`, `generate`, `generate_codes`, `generate_to_store`, labels, guidance, temperature, seeds
    and presets are those of `BinaryLatentDiffusion`. A subclass defines `corrupt` and
    `next_codes`. What belongs to the Bernoulli diffusion alone (`inpaint`, `likelihood`,
    explicit noise, trajectories, posterior, final) is refused.

    Args:
        denoiser: network (codes, time_steps, condition, condition_present) -> logits of bits,
            where unknown bits come as 0.5; e.g. a `BernoulliDenoiser`.
        autoencoder: as in `BinaryLatentDiffusion`.
        label_dropout: as there.
    """

    num_draws_per_step = 2

    def __init__(self, denoiser, autoencoder=None, label_dropout=0.1, **kwargs):
        super().__init__(
            denoiser,
            BernoulliNoiseSchedule(denoiser.num_steps),
            autoencoder,
            target="z0",
            label_dropout=label_dropout,
            **kwargs,
        )

    # What a subclass defines ----------------------------------------------------------------

    def corrupt(self, codes, time_steps):
        """Return (corrupted codes, weights of the bits in the loss) for training.

        Args:
            codes: z^0, (batch, h, w, c).
            time_steps: 1 ... T, (batch,).
        """
        raise NotImplementedError(f"{type(self).__name__} must define `corrupt`")

    def next_codes(self, index, codes, logits_of, noise, temperature, num_steps):
        """Return the codes after sampling step `index` of `num_steps`.

        Args:
            index: int32 scalar, from 0.
            codes: the state, unknown bits 0.5.
            logits_of: callable (codes, time_steps) -> guided logits.
            noise: callable draw -> uniforms of the codes' shape, draw 0 ...
                num_draws_per_step - 1, fresh in every step.
            temperature: float32 scalar.
            num_steps: int.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `next_codes`")

    # Training ------------------------------------------------------------------------------

    def call(self, inputs, training=False):
        """Corrupt and predict, as in `BinaryLatentDiffusion`."""
        codes, time_steps, condition = self._codes_at_times(inputs)
        corrupted, weights = self.corrupt(codes, time_steps)
        present = self._condition_present(condition, time_steps, training)
        logits = self.denoiser(corrupted, time_steps, condition, present)
        return {"logits": logits, "codes": codes, "weights": weights}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Weighted cross-entropy of the bits in nats; updates the metrics."""
        logits, codes = ops.cast(y_pred["logits"], "float32"), y_pred["codes"]
        axes = (1, 2, 3)
        loss = ops.mean(y_pred["weights"] * bce_with_logits(codes, logits), axis=axes)
        is_right = ops.cast(ops.equal(logits > 0.0, codes > 0.5), "float32")
        self._trackers["bce"].update_state(loss)
        self._trackers["bits_per_dimension"].update_state(loss / NATS_PER_BIT)
        self._trackers["accuracy"].update_state(ops.mean(is_right, axis=axes))
        if sample_weight is not None:
            loss = loss * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return ops.mean(loss)

    # Sampling ------------------------------------------------------------------------------

    def sampler_function(self, settings):
        """The sampling loop, as in `BinaryLatentDiffusion`."""
        for name, given in (
            ("noise", settings.explicit_noise),
            ("return_trajectory", settings.return_trajectory),
            ("inpaint", settings.inpaints),
            ("posterior", settings.posterior != "exact"),
            ("final", settings.final != "threshold"),
        ):
            if given:
                raise checks.error(
                    name,
                    f"{name} for a {type(self).__name__}",
                    "a BinaryLatentDiffusion",
                    f"leave {name} out",
                )

        def sample(seed, first_index, temperature, guidance_scale, *rest):
            condition = rest[0] if settings.conditional else None
            logits_of = guided_logits(self.denoiser, guidance_scale, condition)
            indices = first_index + ops.arange(settings.batch_size, dtype="int32")

            def step(index, codes):
                def noise(draw):
                    number = self.num_draws_per_step * index + draw
                    return bld_random.uniforms(seed, indices, number, self.code_shape)

                return self.next_codes(
                    index, codes, logits_of, noise, temperature, settings.num_steps
                )

            start = ops.full((settings.batch_size, *self.code_shape), UNKNOWN, "float32")
            return ops.fori_loop(0, settings.num_steps, step, start)

        return sample

    def likelihood(self, *args, **kwargs):
        """Raise ValueError: `evaluate` estimates `bits_per_dimension`."""
        raise checks.error(
            "likelihood",
            f"a {type(self).__name__}",
            "a BinaryLatentDiffusion",
            "read `bits_per_dimension` of `evaluate(codes)`",
        )

    def get_config(self):
        config = super().get_config()
        names = ("name", "trainable", "dtype", "denoiser", "autoencoder", "label_dropout")
        return {name: config[name] for name in names if name in config}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild a model, its parts included, from `get_config`."""
        config = dict(config)
        for part in ("denoiser", "autoencoder"):
            if isinstance(config[part], dict):
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)
