"""Cases of ours to be timed, on the backend that KERAS_BACKEND names or through an engine."""

import keras
import numpy as np

from keras_bld.autoencoder import (
    BinaryAutoencoder,
    PatchCritic,
    PerceptualDistance,
    small_decoder_options,
)
from keras_bld.autoencoder.decoders import rebuilt
from keras_bld.autoencoder.lpips import build_vgg16
from keras_bld.base import checks
from keras_bld.benchmark.models import model_sizes
from keras_bld.benchmark.settings import (
    GUIDANCE_SCALE,
    random_codes,
    random_images,
    reading,
    some_labels,
)
from keras_bld.data import CodeStore, ImageFolder, ImagePreprocessing, image_batches
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets.training_parts import with_parts


class KerasCases:
    """Cases of the paths "keras", "keras_bfloat16" (on the backend) and "openvino" (bfloat16).

    Each method whose name is that of a case takes the case's settings and returns a callable of
    `lap` (see `worker.py`) that does the work once and returns its results as NumPy arrays.
    """

    def __init__(self, path):
        self._engine = path if path == "openvino" else None
        if path == "keras_bfloat16":
            keras.config.set_dtype_policy("mixed_bfloat16")
        self._models = {}
        self.notes = {"backend": keras.config.backend()}

    def denoise(self, model, batch, num_steps, guided=False):
        """A chain of `num_steps` steps: noise, denoiser and posterior."""
        settings = _sampling(model, batch, num_steps, guided)
        built = self._model(model)
        return lambda lap: {"codes": built.generate_codes(batch, **settings)}

    def generate(self, model, batch, num_steps, guided=False, decoder="full"):
        """The same chain, then decoding, as `BinaryLatentDiffusion.generate` does it."""
        settings = _sampling(model, batch, num_steps, guided)
        built = self._model(model, decoder)

        def run(lap):
            codes = built.generate_codes(batch, **settings)
            lap("denoise")
            images = built.autoencoder.decode(codes, decoder=decoder)
            lap("decode")
            return {"codes": codes, "images": images}

        return run

    def generate_in_one_call(self, model, batch, num_steps):
        """`BinaryLatentDiffusion.generate` itself."""
        settings = _sampling(model, batch, num_steps, False)
        built = self._model(model)
        return lambda lap: {"images": built.generate(batch, **settings)}

    def encode(self, model, batch):
        """Images -> thresholded bits."""
        autoencoder = self._model(model).autoencoder
        images = random_images(autoencoder.image_shape, batch)
        return lambda lap: {"codes": autoencoder.encode(images, batch_size=batch)}

    def decode(self, model, batch):
        """Bits -> images."""
        autoencoder = self._model(model).autoencoder
        codes = random_codes(autoencoder.code_shape, batch)
        return lambda lap: {"images": autoencoder.decode(codes, batch_size=batch)}

    def train_autoencoder(self, model, batch, num_critic_layers, adaptive_weight="image"):
        """A step of stage 1: one forward and one backward pass for both networks."""
        keras.utils.set_random_seed(0)
        autoencoder = BinaryAutoencoder(
            **model_sizes(model)["autoencoder"],
            perceptual=PerceptualDistance(build_vgg16()),
            critic=PatchCritic(num_layers=num_critic_layers),
            adaptive_weight=adaptive_weight,
        )
        autoencoder.compile(keras.optimizers.Adam(1e-4))
        images = random_images(autoencoder.image_shape, batch)
        return lambda lap: {"loss": np.array(autoencoder.train_on_batch(images)[0])}

    def train_diffusion(self, model, batch):
        """A step of stage 2 on codes."""
        built = _new_model(model, autoencoder=None)
        built.compile(keras.optimizers.Adam(1e-4))
        codes = random_codes(built.code_shape, batch)
        labels = some_labels(model_sizes(model)["denoiser"], batch)
        return lambda lap: {"loss": np.array(built.train_on_batch(codes, labels)[0])}

    def read_images(self, folder, image_size, batch, num_batches):
        """Batches of JPEG files, resized and cropped."""
        return reading(_image_batches(folder, image_size, batch), num_batches)

    def read_codes(self, folder, batch, num_batches):
        """Batches of the code store."""
        return reading(iter(CodeStore(folder).batches(batch)), num_batches)

    def train_from_store(self, model, folder, batch):
        """A step of stage 2 with the reading of its batch of packed codes."""
        return self._fed_step(model, iter(CodeStore(folder).batches(batch)))

    def train_on_the_fly(self, model, folder, batch):
        """A step of stage 2 that reads images and encodes them (Algorithm 1)."""
        image_size = model_sizes(model)["autoencoder"]["image_shape"][0]
        return self._fed_step(model, _image_batches(folder, image_size, batch))

    def retraces(self, model, batch, num_steps):
        """Traces that another seed, temperature and guidance scale add to a first call."""
        built = self._model(model)
        settings = _sampling(model, batch, num_steps, False)
        changes = [{"seed": 1, "temperature": 0.7}, {"seed": 2, "temperature": 1.1}]
        if "labels" in settings:
            other = settings["labels"][::-1].copy()
            changes += [{"guidance_scale": 0.5}, {"guidance_scale": 1.5, "labels": other}]

        def run(lap):
            built.generate_codes(batch, **settings)
            before = built.num_traces
            for change in changes:
                built.generate_codes(batch, **{**settings, **change})
            return {"retraces": np.array(built.num_traces - before)}

        return run

    def _fed_step(self, model, batches):
        built = _new_model(model)
        built.compile(keras.optimizers.Adam(1e-4))
        labels = some_labels(model_sizes(model)["denoiser"], 1)

        def run(lap):
            batch = next(batches)
            y = None if labels is None else np.repeat(labels, len(batch))
            return {"loss": np.array(built.train_on_batch(batch, y)[0])}

        return run

    def _model(self, name, decoder="full"):
        key = (name, decoder)
        if key not in self._models:
            model = _new_model(name)
            if decoder == "small":
                full = model.autoencoder
                both = rebuilt(full, full.decoder_options or None, small_decoder_options(full))
                model = with_parts(model, autoencoder=both)
            if self._engine is not None:
                _compile_for(model, self._engine)
            self._models[key] = model
        return self._models[key]


def _new_model(name, **parts):
    keras.utils.set_random_seed(0)  # the same weights in every process
    sizes = model_sizes(name)
    denoiser = BernoulliDenoiser(**sizes["denoiser"])
    schedule = BernoulliNoiseSchedule(denoiser.num_training_steps)
    autoencoder = parts.get("autoencoder", BinaryAutoencoder) and BinaryAutoencoder(
        **sizes["autoencoder"]
    )
    return BinaryLatentDiffusion(denoiser, schedule, autoencoder)


def _compile_for(model, engine):
    if not hasattr(model, "compile_for_inference"):
        raise checks.error(
            "path",
            engine,
            "a library whose models have `compile_for_inference`",
            "update keras_bld",
        )
    if not model.compile_for_inference(target=engine, precision="bfloat16"):
        # It falls back to the backend with a warning: that would be the path "keras" again.
        raise checks.error(
            "path", engine, "an engine that runs the whole model", "read the warning above"
        )


def _sampling(model, batch, num_steps, guided):
    labels = some_labels(model_sizes(model)["denoiser"], batch)
    settings = {"num_steps": num_steps, "seed": 0, "batch_size": batch}
    if labels is not None:
        settings["labels"] = labels
    if guided:
        settings["guidance_scale"] = GUIDANCE_SCALE
    return settings


def _image_batches(folder, image_size, batch):
    source = ImageFolder(folder, ImagePreprocessing(image_size))
    return iter(image_batches(source, batch, random_flip=True))
