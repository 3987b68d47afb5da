"""A decoder that learns on from fixed codes, so that a trained stage 2 stays what it is."""

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder.decoders import rebuilt
from keras_bld.autoencoder.objective import AutoencoderObjective
from keras_bld.autoencoder.small_decoder import with_flips
from keras_bld.base import checks
from keras_bld.base.batch_forms import unpack_batch
from keras_bld.base.fitting.row_training import averaging_adam, fit_on_rows
from keras_bld.base.images import to_uint8
from keras_bld.presets.training_parts import with_parts

_EMA_MOMENTUM = 0.99
_BETA_2 = 0.99  # the critic's gradients change as it learns
# What `AutoencoderObjective` reads, beside its parts.
_TERMS = (
    "image_shape reconstruction reconstruction_weight perceptual_weight adversarial_weight "
    "critic_start_step adaptive_weight max_adaptive_weight augment_policy"
).split()


def finetune_decoder(
    model,
    images,
    perceptual=None,
    perceptual_weight=0.01,
    critic=None,
    adversarial_weight=0.5,
    critic_start_step=0,
    num_steps=2000,
    batch_size=16,
    learning_rate=3e-4,
    flipped=0.0,
    random_flip=False,
    seed=0,
    verbose=0,
    work_dir=None,
):
    """Return the model with its decoder trained on: sharper images from the same codes.

    Encoder and codes stay as they are, so a diffusion that has learned the codes needs no training.
    The decoder sees thresholded bits, as in sampling, and no sampled ones as in stage 1; the
    objective is that of stage 1 (paper, Eq. 2). Adam, a learning rate that falls as a cosine, and
    an average of the weights.

    Args:
        model: a `CodeAutoencoder`, or a model that owns one as `autoencoder`. It stays as it is;
            the copy has no critic, no perceptual network and no small decoder.
        images: of the training, uint8 or floating point in [0, 1], (number, *image_shape); they
            are held in memory as uint8.
        perceptual: None, or a `PerceptualDistance`.
        perceptual_weight: of it, >= 0.
        critic: None, True for a new `PatchCritic`, or a `PatchCritic`.
        adversarial_weight: of the critic's term, >= 0; its gradient is balanced as in stage 1.
        critic_start_step: steps before the critic begins.
        num_steps: training steps.
        batch_size: images in a step.
        learning_rate: at the beginning.
        flipped: share of the bits that are flipped in half of the codes, in [0, 0.5]: generated
            codes are not encoded ones.
        random_flip: whether mirrored images are trained on as well.
        seed: of the critic's first weights, the flips and the order.
        verbose: as in `keras.Model.fit`.
        work_dir: None, or a folder for checkpoints and the history of the training. The same call
            goes on there after an interruption, and ends bit for bit as without one.

    Raises:
        ValueError: images of another shape, an argument outside its range, or a `work_dir` of
            another training.
        TypeError: a critic or perceptual part that is none.

    Example:

    >>> sharp = finetune_decoder(  # doctest: +SKIP
    ...     model, images, PerceptualDistance.efficientnet_lite(), critic=True)
    >>> sharp.generate(16)  # doctest: +SKIP
    """
    full = getattr(model, "autoencoder", model)
    num_steps = checks.check_integer("num_steps", num_steps, 1)
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    checks.check_number("learning_rate", learning_rate, 0.0, exclusive=True)
    checks.check_number("flipped", flipped, 0.0, maximum=0.5)
    checks.check_number("perceptual_weight", perceptual_weight, 0.0)
    checks.check_number("adversarial_weight", adversarial_weight, 0.0)
    checks.check_integer("critic_start_step", critic_start_step, 0)
    images = np.asarray(images)
    checks.check_images(images, full.image_shape)
    keras.utils.set_random_seed(seed)
    images = images if images.dtype == np.uint8 else to_uint8(images)
    if random_flip:
        images = np.concatenate([images, images[:, :, ::-1]])
    codes = full.encode(images)
    if full.has_binary_codes:
        codes = with_flips(codes, flipped, np.random.default_rng(seed)).astype("uint8")
    autoencoder = rebuilt(full, full.decoder_options or None)
    autoencoder.decoder.trainable = True
    training = _DecoderTraining(
        autoencoder,
        perceptual,
        critic,
        perceptual_weight=perceptual_weight,
        adversarial_weight=adversarial_weight,
        critic_start_step=critic_start_step,
    )
    training.compile(averaging_adam(learning_rate, num_steps, _EMA_MOMENTUM, beta_2=_BETA_2))
    settings = {
        **{name: getattr(training, name) for name in _TERMS},
        "perceptual": None if perceptual is None else perceptual.get_weights(),
        "critic": training.critic is not None,
        "num_steps": num_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "decoder": full.decoder.get_weights(),
        "codes": codes,
        "images": images,
    }
    fit_on_rows(
        training,
        lambda rows: (images[rows], codes[rows]),
        len(codes),
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
        work_dir=work_dir,
        settings=settings,
    )
    autoencoder.decoder.trainable = full.decoder.trainable
    return autoencoder if full is model else with_parts(model, autoencoder=autoencoder)


class _DecoderTraining(AutoencoderObjective):
    """The decoder of an autoencoder with the objective of stage 1; batches are (images, codes)."""

    def __init__(self, autoencoder, perceptual, critic, **terms):
        super().__init__(name="decoder_finetuning")
        self.decoder = autoencoder.decoder
        self._from_codes = autoencoder.bottleneck.from_codes
        for name in _TERMS:
            setattr(self, name, terms.get(name, getattr(autoencoder, name)))
        self._create_training_parts(perceptual, critic)
        self.built = True

    def _create_code_metrics(self):
        """None: the codes do not change."""

    def _training_images(self, data):
        """A batch (images, codes) -> what `call` and the objective need."""
        batch = unpack_batch(data)
        images = checks.check_images(ops.convert_to_tensor(batch.x), self.image_shape)
        codes = ops.cast(ops.convert_to_tensor(batch.y), "float32")
        return {"images": images, "latents": self._from_codes(codes)}, None, batch.sample_weight

    def call(self, inputs, training=False):
        features = self.decoder.features(inputs["latents"])
        return {
            "features": features,
            "reconstruction": ops.cast(self.decoder.last_convolution(features), "float32"),
            "bottleneck_loss": ops.zeros(()),
        }
