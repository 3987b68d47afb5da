"""Code prior: what every distribution over codes can do: train, and make codes and images."""

import types

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.base.backend.trainer import RepairedTraining
from keras_bld.diffusion.conditioning import check_class_names
from keras_bld.diffusion.generation_store import write_generated_codes
from keras_bld.diffusion.method_options import takes_sampling_options
from keras_bld.diffusion.prior_training import PriorTraining
from keras_bld.diffusion.sampler import guided_logits, run_chain
from keras_bld.diffusion.sampling import Sampling, plan_sampling, uniform_grid
from keras_bld.presets.methods import PresetMethods


class CodePrior(PresetMethods, PriorTraining, RepairedTraining, keras.Model):
    """A distribution over the codes of an autoencoder: `fit`, `generate`, presets.

    A subclass says how codes are corrupted (`corrupt`), what a prediction costs (`loss_terms`) and
    what a sampling step is (`start` and `make_step`). `BinaryLatentDiffusion` is one; the
    baselines are others.

    Args:
        denoiser: network (codes, time_steps, condition, condition_present) -> logits, with
            `code_shape`, `num_training_steps`, `condition_kind` and `num_classes`.
        autoencoder: optional `BinaryAutoencoder` (or any Keras model with `code_shape`,
            `image_shape`, `encode` and `decode`). It is frozen. Needed to train on images and to
            make images; codes need none.
        label_dropout: share of samples in [0, 1] that train without their condition.
        sampling: `Sampling` (or its dictionary) that `generate` takes where a call says nothing
            else; None takes the defaults.
        class_names: names of the classes, which `labels` may then use.

    Fit arguments:
        x: images (batch, H, W, C) uint8 or floating point in [0, 1] (encoded on the fly with
            Bernoulli-sampled bits, Algorithm 1), or codes {0, 1} (batch, h, w, c), or packed
            codes uint8 (batch, h, w, ceil(c / 8)).
        y: labels (batch,) or text embeddings for a conditional model; none otherwise.
    """

    sampling_class = Sampling
    can_skip_steps = True

    def __init__(
        self,
        denoiser,
        autoencoder=None,
        label_dropout=0.1,
        sampling=None,
        class_names=None,
        **kwargs,
    ):
        # Each part follows its own dtype policy: images reach the autoencoder as they are given.
        super().__init__(autocast=False, **kwargs)
        checks.check_binary_codes(autoencoder)
        if autoencoder is not None and tuple(autoencoder.code_shape) != tuple(denoiser.code_shape):
            raise checks.error(
                "autoencoder",
                f"an autoencoder with codes of shape {tuple(autoencoder.code_shape)}",
                f"the denoiser's code_shape {denoiser.code_shape}",
                "build the denoiser with code_shape=autoencoder.code_shape",
            )
        self.denoiser = denoiser
        self.autoencoder = autoencoder
        if autoencoder is not None:
            _freeze(autoencoder)
        self.label_dropout = checks.check_number("label_dropout", label_dropout, 0.0, maximum=1.0)
        self.code_shape = denoiser.code_shape
        self.num_training_steps = denoiser.num_training_steps
        self.class_names = check_class_names(class_names, denoiser)
        self.seed_generator = keras.random.SeedGenerator()
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in ("bce", "bits_per_dimension", "accuracy")
        }
        self._compiled_samplers = {}
        # Set by `compile_for_inference`: has `sampler(...)` and `num_traces`.
        self._inference_engine = None
        # Which of `sampling` and `class_names` nobody gave: a preset's metadata may know them.
        self._not_given = {
            name
            for name, value in (("sampling", sampling), ("class_names", class_names))
            if value is None
        }
        self._sampling = self.sampling_class.of(sampling)
        self.built = True  # as its parts are

    @property
    def sampling(self):
        """How this model samples where a call says nothing else; a `Sampling`."""
        return self._sampling

    @sampling.setter
    def sampling(self, value):
        value = self.sampling_class.of(value)
        self.time_grid(value)  # raises where it does not fit
        self._sampling = value
        self._not_given.discard("sampling")

    @property
    def is_conditional(self):
        """Whether samples need labels or text embeddings."""
        return self.denoiser.condition_kind is not None

    # What a subclass defines ----------------------------------------------------------------

    def corrupt(self, codes, time_steps):
        """Return a dictionary with `noisy_codes`, and what `loss_terms` needs beside it.

        Args:
            codes: z^0 in {0, 1}, (batch, h, w, c).
            time_steps: random integers in 1 ... T, (batch,).
        """
        raise NotImplementedError(f"{type(self).__name__} must define `corrupt`")

    def loss_terms(self, outputs):
        """Return `loss`, `bce`, `bits_per_dimension` and `accuracy`, each of shape (batch,).

        Args:
            outputs: dictionary of `logits`, `codes`, `time_steps` and what `corrupt` returned.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `loss_terms`")

    def start(self, draw, batch_size):
        """Return the state that sampling starts from, (batch_size, h, w, c).

        Args:
            draw: callable number -> uniforms in [0, 1) of that shape.
            batch_size: int.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `start`")

    def make_step(self, sampling, logits_of, draw, known=None):
        """Return the callable (index, codes) -> codes of a sampling step; built once, looped over.

        Args:
            sampling: the fields of the `Sampling` as attributes; those that are traced as tensors,
                `time_steps` as the whole grid.
            logits_of: callable (codes, time_steps (batch,)) -> guided logits.
            draw: callable number -> uniforms; each number once.
            known: None, or what `plan_sampling` was given.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `make_step`")

    def time_grid(self, sampling):
        """The falling time steps, an int array, that a `Sampling` visits in this model.

        Raises:
            ValueError: more steps than T, or fewer for a model that can skip none.
        """
        total = self.num_training_steps
        if sampling.time_steps is not None:
            grid = np.array(sampling.time_steps)
            if grid[0] > total:
                raise checks.error(
                    "time_steps",
                    f"{grid[0]}",
                    f"time steps of 1 ... {total}, the T of training",
                    "leave out the larger ones",
                )
        else:
            grid = uniform_grid(total, sampling.num_steps)
        if len(grid) != total and not self.can_skip_steps:
            raise checks.error(
                "num_steps",
                f"{len(grid)}",
                f"{total}, all steps of a model that can skip none",
                "leave num_steps out, or take a model that can skip steps, such as a"
                " BinaryLatentDiffusion with another target",
            )
        return grid

    # Sampling ------------------------------------------------------------------------------

    @takes_sampling_options
    def generate(self, num_images, labels=None, **options):
        """Make new images (Algorithm 2).

        Args:
            num_images: how many, >= 1.
            labels: for a class-conditional model, one class for each image, or one for all; numbers
                or, where the model has `class_names`, names.
            **options: the options below.

        Returns:
            float32 array in [0, 1] of shape (num_images, height, width, channels).

        Raises:
            ValueError: an argument outside its range, or labels that do not fit the model.
            TypeError: an option that does not exist.
        """
        return np.concatenate(list(self.generate_batches(num_images, labels, **options)))

    @takes_sampling_options
    def generate_batches(self, num_images, labels=None, **options):
        """Like `generate`, but an iterator of image batches: constant memory for any number.

        Args:
            num_images: how many.
            labels: as in `generate`.
            **options: the options below.
        """
        self._need_autoencoder("generate")
        # Planned now, so that bad arguments raise here and not at the first `next`.
        plan = plan_sampling(self, num_images, labels, **options)
        return (self.autoencoder.decode(codes) for codes in self.code_batches(plan))

    @takes_sampling_options
    def generate_codes(self, num_images, labels=None, **options):
        """Make new codes.

        Args:
            num_images: how many.
            labels: as in `generate`.
            **options: the options below.

        Returns:
            float32 array {0, 1} of shape (num_images, h, w, c).

        Raises:
            ValueError: as `generate`.
        """
        return np.concatenate(list(self.code_batches(plan_sampling(
            self, num_images, labels, **options
        ))))  # fmt: skip

    @takes_sampling_options
    def generate_to_store(
        self, directory, num_images, labels=None, num_shards=None, on_progress=None, **options
    ):
        """Make codes of any number of images straight into a sharded store on disk.

        The store holds bit-packed codes and labels: 2 KB an image at 16 x 16 x 64 bits. After an
        interruption the same call goes on behind the last finished shard, and ends with the very
        same bits. A finished store is returned as it is. Memory grows by the labels alone.

        Args:
            directory: folder of the store.
            num_images: how many.
            labels: as in `generate`.
            num_shards: number of files; by default one for each 512 images, the most that an
                interruption costs.
            on_progress: callable of (images done, images in all), called after each batch.
            **options: the options below. `seed` is 0 where none is given, or an interrupted run
                could not go on; `batch_size` may differ between the calls.

        Returns:
            The finished `keras_bld.data.CodeStore`; its method
            `decoded_batches(model.autoencoder.decode)` gives the images, batch by batch.

        Raises:
            ValueError: as `generate`; a folder with codes of another model or other settings.
            ImportError: array_record is not installed.
        """
        return write_generated_codes(
            self, directory, num_images, labels, num_shards, on_progress, {"seed": 0, **options}
        )

    def sampler_function(self, sampling, batch_size, return_trajectory=False):
        """The pure sampling function, to be compiled here or exported.

        Args:
            sampling: a `Sampling`.
            batch_size: images of a call.
            return_trajectory: return all states.

        Returns:
            Callable of tensors by name -> codes: `seed`, `first_index`, the traced fields of
            `sampling` (`temperature`, `guidance_scale`) and, where wanted, `condition`, `noise`,
            `known_codes` and `known_mask`.
        """
        fixed, traced = sampling.split()
        fixed["time_steps"] = self.time_grid(sampling)

        def sample(
            seed,
            first_index,
            condition=None,
            noise=None,
            known_codes=None,
            known_mask=None,
            **inputs,
        ):
            settings = types.SimpleNamespace(**{**fixed, **traced, **inputs})
            indices = first_index + ops.arange(batch_size, dtype="int32")

            def draw(number):
                if noise is not None:
                    return ops.take(noise, number, axis=0)
                return bld_random.uniforms(seed, indices, number, self.code_shape)

            logits_of = guided_logits(self.denoiser, settings.guidance_scale, condition)
            known = None if known_codes is None else (known_codes, known_mask)
            step = self.make_step(settings, logits_of, draw, known)
            num_steps = len(settings.time_steps)
            return run_chain(step, self.start(draw, batch_size), num_steps, return_trajectory)

        return sample

    def compiled_sampler(self, sampling, batch_size, return_trajectory=False):
        """The compiled `sampler_function`, made once, or the inference engine's."""
        if self._inference_engine is not None:
            return self._inference_engine.sampler(sampling, batch_size, return_trajectory)
        key = (tuple(sampling.split()[0].values()), batch_size, return_trajectory)
        if key not in self._compiled_samplers:
            self._compiled_samplers[key] = compile_function(
                self.sampler_function(sampling, batch_size, return_trajectory),
                lambda: self.denoiser.variables,
            )
        return self._compiled_samplers[key]

    @property
    def num_traces(self):
        """How many times sampling was traced (TensorFlow, JAX) since the model was made."""
        traces = sum(sampler.num_traces for sampler in self._compiled_samplers.values())
        return traces + getattr(self._inference_engine, "num_traces", 0)

    def code_batches(self, plan, start=0, stop=None):
        """Yield the codes of images start ... stop - 1 of a `SamplingPlan`, batch by batch.

        Code i depends on the plan and on i alone; the last batch is filled up and cut.

        Yields:
            float32 {0, 1} of shape (batch, h, w, c); (num_steps + 1, batch, h, w, c) where the plan
            returns trajectories.
        """
        sampler = self.compiled_sampler(plan.sampling, plan.batch_size, plan.return_trajectory)
        stop = plan.num_images if stop is None else stop
        traced = {name: np.float32(value) for name, value in plan.sampling.split()[1].items()}
        bar = keras.utils.Progbar(stop - start, unit_name="image") if plan.progress else None
        for first in range(start, stop, plan.batch_size):
            rows = np.minimum(np.arange(first, first + plan.batch_size), stop - 1)
            inputs = {
                name: np.take(array, rows, axis=axis) for name, (array, axis) in plan.inputs.items()
            }
            codes = sampler(
                seed=np.int32(plan.seed), first_index=np.int32(first), **traced, **inputs
            )
            count = min(plan.batch_size, stop - first)
            codes = ops.convert_to_numpy(codes)
            if bar:
                bar.add(count)
            yield codes[:, :count] if plan.return_trajectory else codes[:count]

    def _need_autoencoder(self, purpose):
        if self.autoencoder is None:
            raise checks.error(
                "autoencoder",
                f"{purpose} on a model without an autoencoder",
                "a model with one",
                "pass autoencoder=... when building the model, or call generate_codes",
            )

    def compile_for_inference(self, target="openvino", precision="bfloat16"):
        """Sample on a faster path of the processor: same calls, arguments, seeds and noise.

        `generate`, `generate_batches`, `generate_codes` and `inpaint` take it, and the
        autoencoder's `encode` and `decode` of arrays (see its own `compile_for_inference`).
        Codes differ from the plain path's where rounding moves a probability across its noise:
        docs/inference.md says how often. The weights are compiled in. Weights that change
        afterwards are noticed at the next call and compiled again. Training, `likelihood` and
        `export` stay on the backend's own path.

        Args:
            target: "openvino", or None to go back to the plain path.
            precision: "bfloat16" (probabilities and posterior are float32), or "float32".

        Returns:
            Whether the fast path is on, for the denoiser and for the autoencoder, if there is
            one. Where OpenVINO is not installed or cannot run a part, a warning says so and the
            plain path stays for it.

        Raises:
            ValueError: an unknown target or precision.
        """
        from keras_bld.serving.inference import inference_engine

        self._inference_engine = inference_engine(self, target, precision)
        fast = self._inference_engine is not None
        if hasattr(self.autoencoder, "compile_for_inference"):
            fast = self.autoencoder.compile_for_inference(target, precision) and fast
        return fast

    # Saving --------------------------------------------------------------------------------

    _parts = ("denoiser", "autoencoder")

    def get_config(self):
        parts = {name: getattr(self, name) for name in self._parts}
        return {
            **super().get_config(),
            **{
                name: None if part is None else keras.saving.serialize_keras_object(part)
                for name, part in parts.items()
            },
            "label_dropout": self.label_dropout,
            # None where nobody said: then the metadata of a preset may.
            "sampling": None if "sampling" in self._not_given else self.sampling.to_dict(),
            "class_names": None if self.class_names is None else list(self.class_names),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild a model, its parts included, from `get_config`."""
        config = dict(config)
        for name in cls._parts:
            if isinstance(config[name], dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)

    def generating_parts(self):
        """What codes are made with: (settings, layers); see `presets.generator_fingerprint`."""
        return [type(self).__name__, list(self.code_shape)], [self.denoiser]

    def use_metadata(self, metadata):
        """Take from a preset's metadata what its config did not say; called by `load_preset`.

        Args:
            metadata: dictionary: `class_names`, and `settings` of the recipe with
                `sampling_steps`, `temperature` and `guidance_scale`.
        """
        settings = metadata.get("settings") or {}
        names = {
            "num_steps": "sampling_steps",
            "temperature": "temperature",
            "guidance_scale": "guidance_scale",
        }
        given = {name: settings.get(key) for name, key in names.items()}
        if "sampling" in self._not_given and any(value is not None for value in given.values()):
            if given["num_steps"] is not None:
                fewest = 1 if self.can_skip_steps else self.num_training_steps
                given["num_steps"] = max(fewest, min(given["num_steps"], self.num_training_steps))
            self.sampling = self.sampling.replace(**given)
        if "class_names" in self._not_given and metadata.get("class_names"):
            self.class_names = check_class_names(metadata["class_names"], self.denoiser)


def _freeze(layer):
    # On TensorFlow an assignment of the value that an attribute has already is skipped, and an
    # autoencoder rebuilt from a file is False itself while its parts are still True.
    layer.trainable = True
    layer.trainable = False
