"""Code prior: what every distribution over codes can do: train, and make codes and images."""

import keras
import numpy as np

from keras_bld.base import checks
from keras_bld.base.description import Described
from keras_bld.diffusion.conditioning import check_class_names, condition_facts
from keras_bld.diffusion.generation import CodeGeneration
from keras_bld.diffusion.prior_training import PriorTraining
from keras_bld.diffusion.sampling import Sampling, uniform_grid
from keras_bld.presets.methods import PresetMethods


class CodePrior(CodeGeneration, PresetMethods, Described, PriorTraining, keras.Model):
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
            codes uint8 (batch, h, w, ceil(c / 8)). Or a dataset of x, (x, y) or {"image", "label"};
            {"codes": x} and {"packed_codes": x} say what x is where it could be images, too.
        y: labels (batch,), (batch, 1) or one-hot, or text embeddings, for a conditional model.
    """

    sampling_class = Sampling
    can_skip_steps = True
    can_redraw = False

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
        self._compiled_samplers, self._compiled_with, self._traces_before = {}, None, 0
        # Set by `compile_for_inference`: has `sampler(...)` and `num_traces`.
        self._inference_engine = None
        # Which of `sampling` and `class_names` nobody gave: the metadata of a preset whose config
        # is older than they are may know them.
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

    def facts(self):
        facts = []
        if self.autoencoder is not None:
            facts.append(f"images {tuple(self.autoencoder.image_shape)}")
        facts += [f"codes {tuple(self.code_shape)}", f"T = {self.num_training_steps}"]
        return facts + condition_facts(self.denoiser)

    def output_shapes(self):
        shapes = [(self.denoiser, (None, *self.code_shape))]
        if self.autoencoder is not None:
            shapes.append((self.autoencoder, (None, *self.autoencoder.image_shape)))
        return shapes

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

    def sampler_constants(self):
        """What is compiled into samplers and may change: they are compiled anew where it does."""
        return None

    def time_grid(self, sampling):
        """The falling time steps, an int array, that a `Sampling` visits in this model.

        Raises:
            ValueError: more steps than T, or fewer for a model that can skip none; corrections of
                a model that has none.
        """
        if not self.can_redraw and (sampling.kappa < 1 or sampling.corrector_steps):
            raise checks.error(
                "kappa" if sampling.kappa < 1 else "corrector_steps",
                f"{sampling.kappa if sampling.kappa < 1 else sampling.corrector_steps}",
                "kappa=1 and corrector_steps=0 for a model that does not predict z^0 in noise",
                "leave it out, or take a BinaryLatentDiffusion with another target",
            )
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

    # Saving --------------------------------------------------------------------------------

    _parts: tuple[str, ...] = ("denoiser", "autoencoder")

    def get_config(self):
        parts = {name: getattr(self, name) for name in self._parts}
        return {
            **super().get_config(),
            **{
                name: None if part is None else keras.saving.serialize_keras_object(part)
                for name, part in parts.items()
            },
            "label_dropout": self.label_dropout,
            "sampling": self.sampling.to_dict(),
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
        """Take from a preset's metadata what an older config did not say; for `load_preset`.

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
        if "sampling" in self._not_given:
            given = {
                name: settings[key] for name, key in names.items() if settings.get(key) is not None
            }
            if "num_steps" in given:
                fewest = 1 if self.can_skip_steps else self.num_training_steps
                given["num_steps"] = max(fewest, min(given["num_steps"], self.num_training_steps))
            self.sampling = self.sampling_class.of(given)
        if "class_names" in self._not_given and metadata.get("class_names"):
            self.class_names = check_class_names(metadata["class_names"], self.denoiser)


def _freeze(layer):
    # On TensorFlow an assignment of the value that an attribute has already is skipped, and an
    # autoencoder rebuilt from a file is False itself while its parts are still True.
    layer.trainable = True
    layer.trainable = False
