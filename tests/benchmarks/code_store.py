"""Stage 2 from the code store against encoding on the fly: seconds a training step.

    python tests/benchmarks/code_store.py --json -
    python tests/benchmarks/code_store.py --depth 24 --width 512 --num-heads 8   # the paper's

Both ways run the same `BinaryLatentDiffusion` through `train_on_batch`, each step with the reading
of its batch: packed codes from ArrayRecord shards, or JPEG files that are decoded and then encoded
by the frozen autoencoder inside the step (Algorithm 1). Steps alternate; medians. By default the
autoencoder is the paper's for 256 x 256 and the denoiser that of recipes/image_folder.py.

Weights, images and the store's bits are random: what is learned means nothing, what a step costs is
what it costs with real ones. The ratio depends on the denoiser, whose cost both ways share.
"""

import pathlib
import statistics
import tempfile

import keras
import numpy as np
from PIL import Image
from reporting import interleaved_seconds, machine, parser, report, summary

import keras_bld
from keras_bld.data import ImageFolder, ImagePreprocessing, image_batches, write_code_store

NUM_IMAGES = 64
NUM_STEPS = 64  # T


def main():
    """Measure, print."""
    arguments = _arguments()
    autoencoder = keras_bld.BinaryAutoencoder(
        (arguments.image_size, arguments.image_size, 3),
        arguments.code_channels,
        base_width=arguments.base_width,
        num_groups=min(32, arguments.base_width),
    )
    # A model for either kind of batch: one that sees both would be traced for unknown shapes.
    models = {name: _model(autoencoder, arguments) for name in ("code_store", "on_the_fly")}
    with tempfile.TemporaryDirectory() as folder:
        numbers = _measure(models, pathlib.Path(folder), arguments)
    sizes = {
        "image_size": arguments.image_size,
        "batch_size": arguments.batch_size,
        "code_shape": list(autoencoder.code_shape),
        "autoencoder_base_width": arguments.base_width,
        "encoder_weights": autoencoder.encoder.count_params(),
        "denoiser": f"{arguments.depth} x {arguments.width} x {arguments.num_heads}",
        "denoiser_weights": models["code_store"].denoiser.count_params(),
    }
    numbers = {**machine(), "sizes": sizes, **numbers}
    report("A training step of stage 2: code store or on the fly", numbers, arguments.json)


def _model(autoencoder, arguments):
    sizes = (arguments.depth, arguments.width, arguments.num_heads)
    denoiser = keras_bld.BernoulliDenoiser(autoencoder.code_shape, *sizes, NUM_STEPS)
    schedule = keras_bld.BernoulliNoiseSchedule(NUM_STEPS)
    model = keras_bld.BinaryLatentDiffusion(denoiser, schedule, autoencoder)
    model.compile(keras.optimizers.Adam(1e-4))
    model.optimizer.build(model.trainable_variables)
    return model


def _measure(models, folder, arguments):
    code_shape = models["code_store"].code_shape
    source = _photos(folder / "photos", arguments.image_size)
    generator = np.random.default_rng(0)
    store = write_code_store(
        folder / "codes",
        source,
        # How long reading takes does not depend on what the bits say.
        lambda images: generator.integers(0, 2, (len(images), *code_shape)),
        code_shape,
        "random bits",
    )
    codes = iter(store.batches(arguments.batch_size))
    images = iter(image_batches(source, arguments.batch_size, random_flip=True))

    def read(batches):
        for _ in range(arguments.num_batches):
            next(batches)

    reading = interleaved_seconds(
        {"code_store": lambda: read(codes), "on_the_fly": lambda: read(images)},
        arguments.num_repeats,
    )
    a_batch = {
        name: [seconds / arguments.num_batches for seconds in values]
        for name, values in reading.items()
    }
    steps = interleaved_seconds(
        {
            "code_store": lambda: models["code_store"].train_on_batch(next(codes)),
            "on_the_fly": lambda: models["on_the_fly"].train_on_batch(next(images)),
        },
        arguments.num_repeats,
    )
    a_batch, steps = summary(a_batch, statistics.median, 6), summary(steps, statistics.median)
    return {
        "seconds_a_step": steps,
        "seconds_to_read_a_batch": a_batch,
        "medians_of": arguments.num_repeats,
        "ratio_of_steps": round(steps["on_the_fly"] / steps["code_store"], 2),
        "ratio_of_reading": round(a_batch["on_the_fly"] / a_batch["code_store"], 1),
    }


def _photos(folder, size):
    """A folder of JPEG files with smooth content, as large as photographs of that size are."""
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(NUM_IMAGES):
        coarse = generator.integers(0, 256, (32, 32, 3), "uint8")
        picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:03d}.jpg", quality=95)
    return ImageFolder(folder, ImagePreprocessing(size))


def _arguments():
    options = parser(__doc__)
    options.add_argument("--image-size", type=int, default=256)
    options.add_argument("--code-channels", type=int, default=32)
    options.add_argument("--base-width", type=int, default=128, help="of the autoencoder")
    options.add_argument("--depth", type=int, default=6, help="of the denoiser")
    options.add_argument("--width", type=int, default=256, help="of the denoiser")
    options.add_argument("--num-heads", type=int, default=4, help="of the denoiser")
    options.add_argument("--batch-size", type=int, default=8)
    options.add_argument("--num-repeats", type=int, default=5, help="timed steps of either kind")
    options.add_argument("--num-batches", type=int, default=40, help="in one timed reading")
    return options.parse_args()


if __name__ == "__main__":
    main()
