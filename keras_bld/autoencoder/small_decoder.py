"""A small decoder that imitates the autoencoder's own at a tenth of its operations."""

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder.decoder import Decoder
from keras_bld.autoencoder.decoders import count_operations, decoder_named, rebuilt
from keras_bld.autoencoder.metrics import mean_psnr
from keras_bld.base import checks
from keras_bld.base.backend.trainer import RepairedTraining
from keras_bld.base.batching import comfortable_batch_size
from keras_bld.base.fitting.row_training import averaging_adam, fit_on_rows
from keras_bld.base.images import to_uint8
from keras_bld.presets.training_parts import with_parts

_EMA_MOMENTUM = 0.99
_GROUPS = 4
_NARROW = 64  # channels


def small_decoder_options(autoencoder, share=0.1):
    """Arguments of the widest small `Decoder` within a share of the full one's operations.

    It makes 2 x 2 pixels at each position of its last level (`pixel_shuffle`), so that none of
    its layers runs at full resolution, and has one residual block a level and no attention at
    the levels.

    Args:
        autoencoder: a `CodeAutoencoder` whose f is at least 2.
        share: of the operations, above 0 and at most 1.

    Returns:
        Dictionary for `CodeAutoencoder`'s argument `small_decoder`.

    Raises:
        ValueError: a share outside its range, or one that no such decoder fits in.
    """
    checks.check_number("share", share, 0.0, exclusive=True, maximum=1.0)
    levels = len(autoencoder.width_multipliers) - 1
    if levels < 1:
        raise checks.error(
            "autoencoder",
            "one whose codes are as large as its images",
            "one with an f of at least 2",
            "keep its decoder",
        )
    allowed = share * count_operations(autoencoder.decoder, autoencoder.latent_shape)
    best = None
    widest = autoencoder.base_width * 2 ** (levels + 1)
    # Wide ones halve evenly; of narrow ones each channel counts.
    even = _GROUPS * 2 ** (levels - 1)
    narrow = range(_GROUPS, min(_NARROW, widest + 1), _GROUPS)
    for coarsest in (*narrow, *range(-(-_NARROW // even) * even, widest + 1, even)):
        options = _options(coarsest, levels)
        if _operations(options, autoencoder) > allowed:
            break
        best = options
    if best is None:
        raise checks.error(
            "share",
            f"{share} of {allowed / share:.3g} operations",
            "room for a decoder of 4 channels",
            "give more, or keep the full decoder",
        )
    return best


def distill_decoder(
    model,
    codes,
    num_steps=4000,
    batch_size=32,
    learning_rate=3e-3,
    share=0.1,
    flipped=0.02,
    seed=0,
    verbose=0,
    work_dir=None,
):
    """Return the model with a small decoder beside its own, trained to make the same images.

    `decode(codes, decoder="small")`, `generate(..., decoder="small")`, exports and presets have
    it then. The squared error to the full decoder's images is minimised with Adam, a learning
    rate that falls as a cosine, and an average of the weights. Half of the codes get some bits
    flipped, because generated codes are not encoded ones.

    Args:
        model: a `CodeAutoencoder`, or a model that owns one as `autoencoder`. It stays as it is;
            the copy has no critic and perceptual network.
        codes: of shape (number, *code_shape), as `encode` gives them for training images (5,000
            or more); their images are held in memory as uint8.
        num_steps: training steps.
        batch_size: codes in a step.
        learning_rate: at the beginning.
        share: of the full decoder's operations, see `small_decoder_options`.
        flipped: share of the bits that are flipped in half of the codes, in [0, 0.5]; no bits are
            flipped in codes that are none.
        seed: of the first weights, the flips and the order.
        verbose: as in `keras.Model.fit`.
        work_dir: None, or a folder for checkpoints and the history of the training. The same call
            goes on there after an interruption, and ends bit for bit as without one.

    Raises:
        ValueError: codes of another shape, an argument outside its range, or a `work_dir` of
            another training.

    Example:

    >>> codes = model.autoencoder.encode(images)  # doctest: +SKIP
    >>> model = distill_decoder(model, codes)  # doctest: +SKIP
    >>> model.generate(16, decoder="small")  # doctest: +SKIP
    """
    full = getattr(model, "autoencoder", model)
    num_steps = checks.check_integer("num_steps", num_steps, 1)
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    checks.check_number("learning_rate", learning_rate, 0.0, exclusive=True)
    checks.check_number("flipped", flipped, 0.0, maximum=0.5)
    codes = np.asarray(codes)
    checks.check_batch_shape("codes", codes, full.code_shape)
    keras.utils.set_random_seed(seed)
    settings = {
        "num_steps": num_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "share": share,
        "flipped": flipped,
        "seed": seed,
        "decoder": full.decoder.get_weights(),
        "codes": codes,
    }
    options = small_decoder_options(full, share)
    autoencoder = rebuilt(full, full.decoder_options or None, options)
    if full.has_binary_codes:
        codes = with_flips(codes, flipped, np.random.default_rng(seed))
    images = to_uint8(full.decode(codes, batch_size=comfortable_batch_size(full.image_shape)))
    autoencoder.small_decoder.trainable = True
    student = _Student(autoencoder.small_decoder)
    student.compile(averaging_adam(learning_rate, num_steps, _EMA_MOMENTUM), loss=_squared_error)

    def pair(rows):
        some = ops.convert_to_tensor(codes[rows].astype("float32"))
        return ops.convert_to_numpy(full.bottleneck.from_codes(some)), images[rows]

    fit_on_rows(
        student,
        pair,
        len(codes),
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
        work_dir=work_dir,
        settings=settings,
    )
    autoencoder.small_decoder.trainable = False
    return autoencoder if full is model else with_parts(model, autoencoder=autoencoder)


def small_decoder_agreement(autoencoder, codes):
    """What the small decoder costs and how near its images are to the full one's.

    Args:
        autoencoder: with a small decoder.
        codes: that it was not trained on.

    Returns:
        Dictionary: `psnr` in dB, mean over images, and `share_of_operations`.
    """
    small = decoder_named(autoencoder, "small")
    full, made = (autoencoder.decode(codes, decoder=name) for name in ("full", "small"))
    operations = [
        count_operations(decoder, autoencoder.latent_shape)
        for decoder in (small, autoencoder.decoder)
    ]
    return {
        "psnr": float(ops.convert_to_numpy(mean_psnr(full, made))),
        "share_of_operations": operations[0] / operations[1],
    }


def with_flips(codes, share, random):
    """The codes with a share of their bits flipped in every second one.

    Args:
        codes: (number, *code_shape), bits.
        share: of the bits, in [0, 0.5].
        random: `numpy.random.Generator`.
    """
    flips = random.random(codes.shape, dtype="float32") < share
    flips[::2] = False
    return np.where(flips, 1 - codes, codes).astype(codes.dtype)


def _options(coarsest, levels):
    """Each level has about half of the channels of the coarser one, in groups of 4."""
    groups = coarsest // _GROUPS
    return {
        "base_width": _GROUPS,
        "width_multipliers": [
            max(1, round(groups / 2 ** (levels - 1 - level))) for level in range(levels)
        ],
        "num_blocks": 1,
        "attention_resolutions": [],
        "embedding_width": coarsest,
        "num_groups": _GROUPS,
        "pixel_shuffle": 2,
    }


def _operations(options, autoencoder):
    decoder = Decoder(image_channels=autoencoder.image_shape[-1], **options)
    decoder.build((None, *autoencoder.latent_shape))
    return count_operations(decoder, autoencoder.latent_shape)


class _Student(RepairedTraining, keras.Model):
    """The small decoder, trained from latents."""

    def __init__(self, decoder):
        super().__init__(name="small_decoder_student")
        self.decoder = decoder
        self.built = True

    def call(self, latents):
        return self.decoder(latents)


def _squared_error(images, made):
    difference = ops.cast(images, "float32") / 255.0 - ops.cast(made, "float32")
    return ops.mean(ops.square(difference), axis=(1, 2, 3))
