"""The runner of a recipe: stage 1, stage 2, samples, evaluation; each stage once."""

import contextlib
import functools
import os
import time

import keras

from keras_bld.base import checks
from keras_bld.base.backend import prefers_xla
from keras_bld.base.batching import comfortable_batch_size
from keras_bld.base.fitting.resuming import finished_steps
from keras_bld.base.run_lock import only_run_in
from keras_bld.base.runs import option, say, suggest_bfloat16, warn_of_imitated_bfloat16
from keras_bld.data import (
    CodeStore,
    ColorJitter,
    image_batches,
    load_arrays,
    random_subset,
    write_code_store,
)
from keras_bld.evaluation import CardSettings, evaluate_model, open_network, write_card
from keras_bld.evaluation.card_files import TRAINING_FOLDER, say_metrics
from keras_bld.evaluation.plots import reconstruction_sheet
from keras_bld.evaluation.real_images import FEWEST
from keras_bld.presets.fingerprint import autoencoder_fingerprint
from keras_bld.text import LabelConditions
from keras_bld.training import models, pictures, scoring
from keras_bld.training.distribution import Distribution, open_distribution
from keras_bld.training.estimate import describe, memory_errors, warn_if_too_large
from keras_bld.training.fitting import fit_recipe, make_optimizer
from keras_bld.training.health import TrainingHealth
from keras_bld.training.made_data import real_or_made
from keras_bld.training.metadata import preset_metadata
from keras_bld.training.recipe import STAGES, TRAINED
from keras_bld.training.work_folder import (
    claim,
    codes_are_written,
    has_results,
    is_finished,
    need,
    own,
    record_results,
)
from keras_bld.zoo import load_preset, read_metadata, save_preset

_NUM_VALIDATION_IMAGES = 512
_LARGEST_ENCODING_BATCH = 32


class Runner:
    """The stages of one recipe in one work directory.

    Each stage leaves a preset or a file; a stage whose result is there is not run again. Stages
    that train resume from their last checkpoint.

    Args:
        recipe: a `Recipe`; with `smoke` it is shrunk first.
    """

    def __init__(self, recipe):
        self.recipe = recipe.shrunk() if recipe.smoke else recipe
        self.folder = self.recipe.folder
        self.distribution = Distribution()
        self._sources = {}

    def run(self):
        """Run what the recipe's `stage` asks for, or describe it (`dry_run`)."""
        recipe = self.recipe
        # Before anything is computed.
        self.distribution = open_distribution(recipe.distribution)
        if self.distribution.is_chief and self.distribution.mode != "none":
            say(self.distribution.describe())
        for stage in TRAINED:
            name = f"{stage}_batch_size"
            parts = recipe.gradient_accumulation_steps
            self.distribution.check_batch(name, getattr(recipe, name), parts)
        if recipe.dry_run:
            describe(recipe, self.build_diffusion(), self.distribution)
            return
        # Images that are not there are noticed before networks are fetched and built.
        scoring.check_evaluation_network(recipe, *map(self._source, ("train", "held_out")))
        if self.distribution.is_chief:
            with only_run_in(self.folder):
                self._run_stages()
        else:  # reads what the chief writes, and says nothing
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                self._run_stages()

    def _run_stages(self):
        recipe, started = self.recipe, time.monotonic()
        if self.distribution.is_chief:
            claim(recipe)
        self.distribution.wait()
        if recipe.mixed_precision:
            warn_of_imitated_bfloat16()
            keras.config.set_dtype_policy("mixed_bfloat16")
        elif not recipe.smoke:
            suggest_bfloat16()
        for stage in STAGES if recipe.stage == "all" else (recipe.stage,):
            begun = time.monotonic()
            if stage not in TRAINED:
                self.distribution.close()
                if not self.distribution.is_chief:
                    break
            if recipe.stage == "all" and has_results(recipe, stage):
                again = option("stage", stage)
                say(f"the results of stage {stage} are there; {again} makes them again")
                continue
            # Each stage from its own beginning: what ran before, or did not run, changes nothing.
            keras.utils.set_random_seed(recipe.seed)
            getattr(self, f"run_{stage}")()
            record_results(recipe, stage)
            say(f"stage {stage}: {time.monotonic() - begun:.0f} s")
        self.distribution.close()
        say(f"all in {self.folder} after {time.monotonic() - started:.0f} s:")
        for path in sorted(self.folder.iterdir()):
            say(f"  {path}")

    def next_step(self):
        """Where the same recipe would go on now, in words."""
        for stage, preset in (
            ("autoencoder", self.folder / "autoencoder" / "preset"),
            ("diffusion", self.folder / "preset"),
        ):
            if not (preset / "metadata.json").is_file():
                return f"step {finished_steps(self.folder / stage):,} of stage {stage}"
        return "the stages whose results are missing"

    # Stages --------------------------------------------------------------------------------

    def run_autoencoder(self):
        """Stage 1: train the autoencoder and save it as a preset."""
        recipe, folder = self.recipe, self.folder / "autoencoder"
        if recipe.autoencoder_preset is not None:
            if self.distribution.is_chief:
                models.take_autoencoder(recipe, folder / "preset")
            self.distribution.wait()
            return
        if is_finished(folder / "preset", recipe.autoencoder_steps):
            return
        training_recipe = recipe.on_crops()
        options = {
            "random_crop": recipe.autoencoder_crop_size or None,
            "augmentation": None if recipe.autoencoder_augmentation == "none" else ColorJitter(),
        }
        with self.distribution.scope():
            autoencoder = models.build_autoencoder(training_recipe)
            autoencoder.compile(self._optimizer("autoencoder"))
            logs = self._fit(
                "autoencoder",
                autoencoder,
                lambda start: self._image_batches("autoencoder", False, start, options),
                _center(self._validation_arrays()[0], training_recipe.image_size),
            )
        autoencoder = self.distribution.on_one_device(autoencoder)
        if recipe.autoencoder_crop_size:
            autoencoder = models.enlarge_autoencoder(recipe, autoencoder)
        metadata = self._metadata(recipe.autoencoder_steps, logs)
        self._save(autoencoder, folder / "preset", metadata)

    def run_diffusion(self):
        """Stage 2: train the diffusion on codes; save the whole model as preset and SavedModel."""
        recipe = self.recipe
        if is_finished(self.folder / "preset", recipe.diffusion_steps):
            return
        if recipe.autoencoder_preset is not None:  # there is no stage 1 to run first
            self.run_autoencoder()
        origins = models.describe_origins(recipe)
        with self.distribution.scope():
            model = self.build_diffusion(self._trained_autoencoder())
            model.compile(
                self._optimizer("diffusion"),
                jit_compile=self._prefers_xla(model) or "auto",
            )
        # One on this device alone: several processes need not encode in step.
        is_alone = self.distribution.mode == "none"
        autoencoder = model.autoencoder if is_alone else self._trained_autoencoder()
        images, labels = self._validation_arrays()
        codes = autoencoder.encode(images, batch_size=self._encoding_batch_size)
        batches = self._code_batches(autoencoder)
        with self.distribution.scope():
            logs = self._fit("diffusion", model, batches, self._with_conditions(codes, labels))
        model = self.distribution.on_one_device(model)
        metadata = self._metadata(recipe.diffusion_steps, logs)
        if origins:
            metadata["origins"] = origins
        self._save(model, self.folder / "preset", metadata)

    def _save(self, model, preset, metadata):
        if self.distribution.is_chief:
            save_preset(model, preset, metadata)
        self.distribution.wait()

    def _optimizer(self, stage):
        recipe = self.recipe
        return make_optimizer(
            getattr(recipe, f"{stage}_learning_rate"),
            getattr(recipe, f"{stage}_warmup_steps"),
            getattr(recipe, f"{stage}_steps"),
            recipe.learning_rate_decay,
            recipe.adam_beta_2,
            getattr(recipe, f"{stage}_ema_momentum"),
            recipe.gradient_accumulation_steps,
        )

    def _fit(self, stage, model, batches, validation_data):
        """Train a stage's compiled model, or go on with it; the logs of its last epoch."""
        recipe = self.recipe
        warn_if_too_large(recipe, stage, model, self.distribution)
        with memory_errors(recipe, stage):
            return fit_recipe(
                model,
                batches,
                self.folder / stage,
                getattr(recipe, f"{stage}_steps"),
                recipe.steps_per_epoch,
                policy=recipe.checkpoint_policy,
                parts_per_batch=recipe.gradient_accumulation_steps,
                **self.distribution.validation(validation_data),
                callbacks=[
                    TrainingHealth(
                        recipe.steps_per_epoch * getattr(recipe, f"{stage}_batch_size"),
                        -(-recipe.critic_start_step // recipe.steps_per_epoch),
                    )
                ],
            )

    def run_sample(self):
        """Pictures of the trained model, and the SavedModel that serves it."""
        recipe = self.recipe
        model = self._trained_model()
        size = 8 if recipe.smoke else 40
        images, labels = load_arrays(self._small_subset("held_out", size))
        conditions = self._conditions(model)
        pictures.sample_sheet(model, recipe, conditions, self.folder / "samples.png")
        reconstruction_sheet(
            images, model.autoencoder.reconstruct(images), self.folder / "reconstructions.png"
        )
        pictures.denoising_filmstrip(model, recipe, conditions, self.folder / "denoising.png")
        pictures.inpainting_sheet(
            model, recipe, conditions, images, labels, self.folder / "inpainting.png"
        )
        pictures.loss_curves(self.folder, self.folder / "loss_curves.png")
        if recipe.smoke and keras.backend.backend() != "tensorflow":
            say("no SavedModel: a smoke run writes one with TensorFlow alone")
            return
        model.export(
            self.folder / "saved_model",
            batch_size=recipe.export_batch_size,
            verify=not recipe.smoke,
        )

    def run_evaluate(self):
        """The evaluation card: metrics.json, and its page and pictures in evaluation/."""
        recipe, folder = self.recipe, self.folder / "evaluation"
        model = self._trained_model()
        conditions = self._conditions(model)
        train, held_out = (
            scoring.scored_images(recipe, self._source(split)) for split in ("train", "held_out")
        )
        few = scoring.too_few_for_scores(train, held_out)
        if few and recipe.stage == "all":  # asked for by its name it is an error
            say(f"{few}: no scores, which need {FEWEST}")
            return
        settings = CardSettings(
            num_images=recipe.num_evaluation_images,
            seed=recipe.seed,
            classifier_epochs=recipe.evaluation_epochs,
            **({"num_likelihood_images": 4} if recipe.smoke else {}),
        )
        name = scoring.evaluation_network(recipe, train, held_out)
        network = open_network(name, train, folder, recipe.evaluation_epochs, recipe.seed)
        card, sets = evaluate_model(
            model, train, held_out, network, settings, say, conditions, folder / TRAINING_FOLDER
        )
        preset = own(self.folder / "preset", read_metadata)
        card = {
            "preset": {"name": recipe.name, "files": preset["files"]},
            "command": f"{recipe.command} --stage evaluate",
            **card,
        }
        write_card(card, sets, folder, self.folder / "metrics.json")
        say_metrics(card, say)

    # Models --------------------------------------------------------------------------------

    def build_diffusion(self, autoencoder=None):
        """The diffusion of the recipe before training, around a trained autoencoder or none."""
        return models.build_diffusion(self.recipe, self._class_names(), self._wordings, autoencoder)

    def _trained_autoencoder(self):
        path = self.folder / "autoencoder" / "preset"
        need(path, "autoencoder")
        return own(path, load_preset)

    def _trained_model(self):
        path = self.folder / "preset"
        need(path, "diffusion")
        model = own(path, load_preset)
        model.sampling = self.recipe.sampling  # may have changed since the training
        return model

    # Conditions ----------------------------------------------------------------------------

    @functools.cached_property
    def _wordings(self):
        return self.recipe.wordings()

    def _conditions(self, model):
        return LabelConditions(model, self._wordings, self.recipe.seed)

    def _with_conditions(self, codes, labels):
        """Validation data: the codes, with what the model is conditioned on."""
        if self._wordings is not None:
            return codes, self._wordings.first(labels)
        return (codes, labels) if self.recipe.class_conditional else codes

    # Data ----------------------------------------------------------------------------------

    def _class_names(self):
        if not self.recipe.class_conditional:
            return None
        if self.recipe.dry_run and self.recipe.num_classes is not None:
            return list(map(str, range(self.recipe.num_classes)))  # their number is all it needs
        return self._source("train").class_names

    def _source(self, split):
        if split not in self._sources:
            source = real_or_made(self.recipe, split)
            if self.recipe.class_conditional and not source.class_names:
                # Now, and not when stage 1 has trained for hours.
                raise checks.error(
                    "class_conditional",
                    "True for images without classes",
                    "images in class folders, or an unconditional recipe",
                    f"pass {option('class_conditional', False)}, or sort the images into folders",
                )
            self._sources[split] = source
        return self._sources[split]

    def _small_subset(self, split, size):
        source = self._source(split)
        return random_subset(source, min(size, len(source)), seed=self.recipe.seed)

    def _validation_arrays(self):
        size = 8 if self.recipe.smoke else _NUM_VALIDATION_IMAGES
        return load_arrays(self._small_subset("held_out", size))

    def _image_batches(self, stage, labels, start_batch, options=None):
        return image_batches(
            self._training_source(stage),
            getattr(self.recipe, f"{stage}_batch_size"),
            seed=self.recipe.seed,
            labels=labels,
            random_flip=self.recipe.random_flip,
            start_batch=start_batch,
            rows=self._own_rows(stage),
            **(options or {}),
        )

    def _training_source(self, stage):
        source = self._source("train")
        return self.recipe.diffusion_source(source) if stage == "diffusion" else source

    def _own_rows(self, stage):
        """Which rows of a batch this process reads; None for all."""
        parts = self.recipe.gradient_accumulation_steps
        return self.distribution.own_rows(getattr(self.recipe, f"{stage}_batch_size"), parts)

    @property
    def _encoding_batch_size(self):
        return comfortable_batch_size(self.recipe.image_shape, _LARGEST_ENCODING_BATCH)

    def _code_batches(self, autoencoder):
        recipe = self.recipe
        condition = None if self._wordings is None else self._wordings.draw
        labels = recipe.class_conditional or condition is not None
        if recipe.codes == "on_the_fly":
            if condition is not None:
                raise checks.error(
                    "codes",
                    "'on_the_fly' for a model that is conditioned on text",
                    "'store'",
                    "leave codes at its default; a store holds both codes of mirrored images",
                )
            return lambda start: self._image_batches("diffusion", labels, start)
        batch_size = self._encoding_batch_size
        fingerprint, folder = autoencoder_fingerprint(autoencoder), self.folder / "codes"
        if self.distribution.is_chief:
            write_code_store(
                folder,
                self._training_source("diffusion"),
                lambda images: autoencoder.encode(images, batch_size=batch_size),
                autoencoder.code_shape,
                fingerprint,
                flip=recipe.random_flip,
                batch_size=batch_size,
            )
        self.distribution.wait_for(lambda: codes_are_written(folder, fingerprint))
        store = CodeStore(folder, fingerprint)
        if condition is not None and self.distribution.is_chief:
            self._wordings.keep_embeddings_in(self.folder / "text_embeddings")
        return lambda start: store.batches(
            recipe.diffusion_batch_size,
            seed=recipe.seed,
            labels=labels,
            start_batch=start,
            condition=condition,
            named=True,
            rows=self._own_rows("diffusion"),
        )

    def _prefers_xla(self, model):
        reads_codes = self.recipe.codes == "store"
        return reads_codes and prefers_xla(model.denoiser)

    def _metadata(self, num_steps, logs):
        sources = [self._source(split) for split in ("train", "held_out")]
        return preset_metadata(self.recipe, *sources, self._wordings, num_steps, logs)


def _center(images, side):
    """The centre squares of a batch of images, `side` pixels wide and high."""
    top, left = ((size - side) // 2 for size in images.shape[1:3])
    return images[:, top : top + side, left : left + side]
