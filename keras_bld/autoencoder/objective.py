"""Training of an autoencoder: the objective (paper, Eq. 2), its critic and its metrics."""

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder.augmentation import DiffAugment
from keras_bld.autoencoder.critic import PatchCritic
from keras_bld.autoencoder.critic_steps import CriticSteps
from keras_bld.autoencoder.losses import (
    adversarial_losses,
    mean_over,
    reconstruction_loss,
    split_with_balance,
)
from keras_bld.autoencoder.metrics import MeanOfBatches, mean_psnr
from keras_bld.base import checks, replicas
from keras_bld.base.backend.trainer import check_precision
from keras_bld.base.batch_forms import unpack_batch
from keras_bld.base.fitting.loss_scaling import loss_scale
from keras_bld.base.fitting.trainable import Trainable


class AutoencoderObjective(Trainable, keras.Model):
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
        self._reconstruction_metric = MeanOfBatches(name="reconstruction")
        self._psnr_metric = MeanOfBatches(name="psnr")
        self._create_code_metrics()
        if self.perceptual is not None:
            self._perceptual_metric = MeanOfBatches(name="perceptual")
        if self.critic is not None:
            if not self.critic.built:
                self.critic.build((None, *self.image_shape))
            self.augment = DiffAugment(self.augment_policy or (), name="augment")
            self._adversarial_metric = MeanOfBatches(name="adversarial")
            self._critic_metric = MeanOfBatches(name="critic")
            # The optimizer's own count cannot be read inside a JAX training step.
            self.num_steps_taken = self.add_weight(
                name="num_steps_taken",
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
            )
            self._critic_steps = CriticSteps(
                lambda: self.critic.trainable_variables, self.critic_start_step
            )

    def compile(self, *args, **kwargs):
        """`keras.Model.compile`; the objective is built in."""
        super().compile(*args, **kwargs)
        if self.critic is not None:
            self._critic_steps.attach_to(self.optimizer)

    # Input ---------------------------------------------------------------------------------

    _loss_scale = 1.0  # of a training step

    def check_training(self):
        """Raise ValueError for a loss or metrics, or a precision that cannot train here."""
        for argument in ("loss", "metrics"):
            if getattr(self, f"_compile_{argument}", None) is not None:
                raise checks.error(
                    argument,
                    f"a `{argument}` in `compile`",
                    "`compile(optimizer=...)`: the model has its own objective and metrics",
                    "leave it out; the objective is set by the arguments of the constructor",
                )
        check_precision(self, has_convolutions=True)

    def look_at_x(self, x, kind=None):
        """Raise ValueError unless x is images: uint8, or floating point in [0, 1].

        (Labels are accepted and not used.)
        """
        # The values of uint8 are right by themselves: one image shows shape and dtype.
        is_bytes = isinstance(x, np.ndarray) and x.dtype == np.uint8
        checks.check_images(x[:1] if is_bytes else x, self.image_shape)
        return "images"

    def train_step(self, *args):
        """One step of all networks; written once, JAX passes its state before the data."""
        *state, data = args
        if self.critic is not None:
            self._critic_steps.num_steps = self._num_steps_before(*state)
            self._loss_scale = loss_scale(self.optimizer, *state)
        return super().train_step(*state, self._training_images(data))

    def test_step(self, *args):
        """The objective and the metrics without an update."""
        *state, data = args
        return super().test_step(*state, self._training_images(data))

    def _num_steps_before(self, state=None):
        """How many steps the model has taken before this one, a tensor."""
        if state is None:
            # A copy: on TensorFlow and torch the tensor is the variable itself.
            return ops.convert_to_tensor(self.num_steps_taken) + 0
        _, non_trainable_variables, *_ = state
        paths = [variable.path for variable in self.non_trainable_variables]
        return non_trainable_variables[paths.index(self.num_steps_taken.path)]

    def _training_images(self, data):
        """A batch of any form -> {"images": float32} and the weights; labels are not used."""
        batch = unpack_batch(data)
        images = checks.check_images(ops.convert_to_tensor(batch.x), self.image_shape)
        return {"images": images}, None, batch.sample_weight

    # Objective -----------------------------------------------------------------------------

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The objective (paper, Eq. 2) plus the critic's and the bottleneck's own losses.

        One backward pass serves both networks: the critic's loss sees the reconstruction with
        its gradient stopped, the generator's term sees the critic with its weights stopped.
        Every term is the mean of each image's times its weight; the bottleneck's own loss, which
        is one number for a batch, weighs as much as its images do in the mean.
        """
        if sample_weight is not None:
            sample_weight = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
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
                    loss_scale=self._loss_scale if training else 1.0,
                )
        loss = self._reconstruction_terms(images, for_terms, sample_weight)
        if self.critic is not None:
            loss = loss + self._adversarial_terms(images, for_critic, gate, training, sample_weight)
        bottleneck_loss = y_pred["bottleneck_loss"]
        if sample_weight is not None:
            bottleneck_loss = bottleneck_loss * ops.mean(sample_weight)
        loss = loss + bottleneck_loss
        psnr = mean_psnr(images, ops.stop_gradient(reconstruction), sample_weight)
        self._psnr_metric.update_state(psnr, sample_weight)
        self._update_code_metrics(y_pred, sample_weight)
        return replicas.part_of_loss(loss)

    def _create_code_metrics(self):
        """Metrics of the code; a subclass creates its own."""

    def _update_code_metrics(self, y_pred, sample_weight):
        """Update those metrics; `sample_weight`: None, or (batch,)."""

    def _reconstruction_terms(self, images, reconstruction, sample_weight):
        loss = reconstruction_loss(images, reconstruction, self.reconstruction, sample_weight)
        self._reconstruction_metric.update_state(loss, sample_weight)
        loss = self.reconstruction_weight * loss
        if self.perceptual is not None:
            distance = mean_over(self.perceptual(images, reconstruction), sample_weight)
            self._perceptual_metric.update_state(distance, sample_weight)
            loss = loss + self.perceptual_weight * distance
        return loss

    def _adversarial_terms(self, images, reconstruction, gate, training, sample_weight):
        real, fake = images, reconstruction
        if training and self.augment_policy:
            real, fake = self.augment(real), self.augment(fake)
        adversarial, critic_loss = adversarial_losses(
            self.critic, real, fake, training, sample_weight
        )
        self._adversarial_metric.update_state(adversarial, sample_weight)
        self._critic_metric.update_state(critic_loss, sample_weight)
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
        gate = ops.cast(self.num_steps_taken >= self.critic_start_step, "float32")
        if training:
            self.num_steps_taken.assign_add(1)
        return gate
