"""Training of an autoencoder: the objective (paper, Eq. 2), its critic and its metrics."""

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder.augmentation import DiffAugment
from keras_bld.autoencoder.critic import PatchCritic
from keras_bld.autoencoder.losses import (
    adversarial_losses,
    reconstruction_loss,
    split_with_balance,
)
from keras_bld.autoencoder.metrics import mean_psnr
from keras_bld.base import checks
from keras_bld.base.backend.trainer import RepairedTraining


class AutoencoderObjective(RepairedTraining, keras.Model):
    """A model that `fit` trains on the objective of Eq. 2, on every backend with the same code.

    It knows no network but the critic. A subclass sets the attributes that the constructor of
    `CodeAutoencoder` describes, calls `_create_training_parts`, and returns from
    `call({"images": images})` a dictionary with "reconstruction" (float32, not clipped),
    "features" (the input of the last convolution), "bottleneck_loss" (a scalar), and what
    `_update_code_metrics` reads.
    """

    def _create_training_parts(self, perceptual, critic):
        if perceptual is not None and not callable(perceptual):
            raise checks.error(
                "perceptual",
                repr(perceptual),
                "None or a layer of (images, reconstruction)",
                "pass PerceptualDistance.lpips() or PerceptualDistance(feature_model)",
                kind=TypeError,
            )
        self.perceptual = perceptual
        if critic is True:
            critic = PatchCritic(
                num_layers=PatchCritic.largest_num_layers(self.image_shape),
                dtype=self.dtype_policy,
                name="critic",
            )
        elif not (critic is None or critic is False or isinstance(critic, keras.layers.Layer)):
            raise checks.error(
                "critic",
                repr(critic),
                "None, True or a PatchCritic",
                "pass True for the default PatchCritic",
                kind=TypeError,
            )
        self.critic = critic or None
        self._reconstruction_metric = keras.metrics.Mean(name="reconstruction")
        self._psnr_metric = keras.metrics.Mean(name="psnr")
        self._create_code_metrics()
        if self.perceptual is not None:
            self._perceptual_metric = keras.metrics.Mean(name="perceptual")
        if self.critic is not None:
            if not self.critic.built:
                self.critic.build((None, *self.image_shape))
            self.augment = DiffAugment(self.augment_policy or (), name="augment")
            self._adversarial_metric = keras.metrics.Mean(name="adversarial")
            self._critic_metric = keras.metrics.Mean(name="critic")
            # The optimizer's own count cannot be read inside a JAX training step.
            self.num_training_steps = self.add_weight(
                name="num_training_steps",
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
            )

    def fit(self, x=None, *args, **kwargs):
        """`keras.Model.fit`; `x`: images, or a dataset of images or of (images, labels).

        Images are uint8, or floating point in [0, 1]. Labels are accepted and not used.
        """
        self._check_training_input(x)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """`keras.Model.evaluate`: the objective and the metrics, with thresholded bits."""
        self._check_training_input(x)
        return super().evaluate(x, *args, **kwargs)

    def _check_training_input(self, x):
        for argument in ("loss", "metrics"):
            if getattr(self, f"_compile_{argument}", None) is not None:
                raise checks.error(
                    argument,
                    f"a `{argument}` in `compile`",
                    "`compile(optimizer=...)`: the model has its own objective and metrics",
                    "leave it out; the objective is set by the arguments of the constructor",
                )
        if isinstance(x, np.ndarray):
            # The values of uint8 are right by themselves: one image shows shape and dtype.
            checks.check_images(x[:1] if x.dtype == np.uint8 else x, self.image_shape)

    def train_step(self, *args):
        """One step of all networks; written once, JAX passes its state before the data."""
        *state, data = args
        return super().train_step(*state, (self._training_images(data),))

    def test_step(self, *args):
        """The objective and the metrics without an update."""
        *state, data = args
        return super().test_step(*state, (self._training_images(data),))

    def _training_images(self, data):
        """Images, (images, labels) -> {"images": float32}; labels are not used."""
        images, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if sample_weight is not None:
            raise checks.error(
                "sample_weight",
                "weights of samples",
                "None",
                "leave it out; the objective weighs all images alike",
            )
        return {"images": checks.check_images(images, self.image_shape)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The objective (paper, Eq. 2) plus the critic's and the bottleneck's own losses.

        One backward pass serves both networks: the critic's loss sees the reconstruction with
        its gradient stopped, the generator's term sees the critic with its weights stopped.
        """
        images, reconstruction = x["images"], y_pred["reconstruction"]
        for_terms, for_critic, gate = reconstruction, reconstruction, None
        if self.critic is not None:
            gate = self._critic_gate(training)
            if self.adaptive_weight is not None:
                for_terms, for_critic = split_with_balance(
                    reconstruction,
                    y_pred["features"] if self.adaptive_weight == "last_layer" else None,
                    scale=gate * self.adversarial_weight,
                    maximum=self.max_adaptive_weight,
                )
        loss = self._reconstruction_terms(images, for_terms)
        if self.critic is not None:
            loss = loss + self._adversarial_terms(images, for_critic, gate, training)
        loss = loss + y_pred["bottleneck_loss"]
        self._psnr_metric.update_state(mean_psnr(images, ops.stop_gradient(reconstruction)))
        self._update_code_metrics(y_pred)
        return loss

    def _create_code_metrics(self):
        """Metrics of the code; a subclass creates its own."""

    def _update_code_metrics(self, y_pred):
        """Update those metrics."""

    def _reconstruction_terms(self, images, reconstruction):
        loss = reconstruction_loss(images, reconstruction, self.reconstruction)
        self._reconstruction_metric.update_state(ops.stop_gradient(loss))
        loss = self.reconstruction_weight * loss
        if self.perceptual is not None:
            distance = ops.mean(self.perceptual(images, reconstruction))
            self._perceptual_metric.update_state(ops.stop_gradient(distance))
            loss = loss + self.perceptual_weight * distance
        return loss

    def _adversarial_terms(self, images, reconstruction, gate, training):
        real, fake = images, reconstruction
        if training and self.augment_policy:
            real, fake = self.augment(real), self.augment(fake)
        adversarial, critic_loss = adversarial_losses(self.critic, real, fake, training)
        self._adversarial_metric.update_state(ops.stop_gradient(adversarial))
        self._critic_metric.update_state(ops.stop_gradient(critic_loss))
        weight = gate * self.adversarial_weight
        if self.adaptive_weight is None:
            return weight * adversarial + gate * critic_loss
        # The weight is applied to the gradient (in `split_with_balance`, which needs it raw),
        # and here to the value that is shown.
        shown = weight * ops.stop_gradient(adversarial)
        return adversarial - ops.stop_gradient(adversarial) + shown + gate * critic_loss

    def _critic_gate(self, training):
        """0.0 before `critic_start_step`, then 1.0; counts the training steps."""
        # Read before the assignment: on TensorFlow and torch the tensor is the variable itself.
        gate = ops.cast(self.num_training_steps >= self.critic_start_step, "float32")
        if training:
            self.num_training_steps.assign_add(1)
        return gate
