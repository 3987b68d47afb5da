"""A study: trains what a table needs, measures it, writes the table; what is done is not redone."""

import dataclasses
import functools
import json
import pathlib

import keras
import numpy as np

from keras_bld.ablations.experiments import EXPERIMENTS, FIGURE_7_STEPS, RECONSTRUCTIONS
from keras_bld.ablations.tables import write_table
from keras_bld.base import checks
from keras_bld.base.files import write_json
from keras_bld.base.json_files import RECORD, read_json
from keras_bld.base.run_lock import only_run_in
from keras_bld.base.runs import claim_folder, say
from keras_bld.baselines import autoencoder_with
from keras_bld.data import (
    find_data_set,
    image_batches,
    load_arrays,
    random_subset,
    write_code_store,
)
from keras_bld.data.splits import SPLITS
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.diffusion.sampling import Sampling
from keras_bld.evaluation import (
    CardSettings,
    domain_network,
    measures,
    sweep_samplers,
    write_sweep,
)
from keras_bld.evaluation.samples import real_features, score_reconstructions, score_samples
from keras_bld.presets.fingerprint import autoencoder_fingerprint
from keras_bld.training.fitting import fit_recipe, make_optimizer

_FEATURE_SEED = 0  # which real images are compared, the same ones for every seed of a row
# Settings on which a result depends, but no training.
_ONLY_MEASURED = ("num_images", "num_steps", "temperature", "network_epochs")


def run_study(table, study):
    """Make one table; run again after an interruption, it goes on.

    Args:
        table: "table4", "table5", "table7", "schedules" or "figure7".
        study: `Study`.

    Returns:
        Path of the Markdown table (for figure7 of the sweep's folder).

    Raises:
        ValueError: an unknown table or row, or data without classes.
    """
    checks.check_choice("table", table, tuple(EXPERIMENTS))
    runner = _Runner(study.shrunk() if study.smoke else study, study.smoke)
    with only_run_in(runner.folder):
        return runner.run(table)


class _Runner:
    """One study in its folder."""

    def __init__(self, study, smoke):
        self.study = study
        self.many_steps = 8 if smoke else max(FIGURE_7_STEPS)
        self.folder = pathlib.Path(study.work_dir)
        shape = (study.image_size, study.image_size, study.image_channels)
        data_set = find_data_set(study.data)
        self.train, self.held_out = (
            data_set.open(split, shape, work_dir=self.folder) for split in SPLITS
        )
        if smoke:
            self.train = random_subset(self.train, 64)

    @functools.cached_property
    def network(self):
        """Of the distances of stage 2, trained at its first use."""
        return domain_network(self.train, self.folder, self.study.network_epochs)

    def run(self, table):
        stage, rows = EXPERIMENTS[table]
        for name in self.study.rows:
            checks.check_choice("rows", name, tuple(row.name for row in rows))
        if stage == "steps":
            return self._steps(rows[0])
        rows = [row for row in rows if row.name in self.study.rows or not self.study.rows]
        if stage == "diffusion":
            rows.insert(0, RECONSTRUCTIONS)
        found = []
        for row in rows:
            results = [self._result(stage, row, seed) for seed in self.study.seeds]
            found.append((row, results))
            say(f"{table}, {row.name}: {results[-1]}")
            network = None if stage == "autoencoder" else self.network
            write_table(self.folder, table, self.study, network, found)
        return self.folder / f"{table}.md"

    def _result(self, stage, row, seed):
        path = self.folder / stage / f"{row.same_as or row.name}-{seed}" / "result.json"
        key = {"study": self._key(stage)}
        if stage != "autoencoder":
            key["network"] = self.network.weights_sha256
        if path.is_file():
            fields = {"key": RECORD, "result": RECORD}
            earlier = read_json(path, "work_dir", "a result of this study", "delete it", fields)
            if earlier["key"] == json.loads(json.dumps(key)):
                return earlier["result"]
        if row is RECONSTRUCTIONS:
            result = self._measure_reconstructions(seed)
        elif stage == "autoencoder":
            result = self._measure_autoencoder(row, seed)
        else:
            result = self._measure_prior(row, seed)
        write_json(path, {"key": key, "result": result})
        return result

    def _key(self, stage):
        """The settings that a result depends on."""
        left_out = {"work_dir", "smoke", "rows", "seeds", "data"}
        if stage == "autoencoder":
            left_out |= {"depth", "width", "num_heads", "num_steps", "temperature"}
            left_out |= {"num_training_steps", "network_epochs"}
            left_out |= {name for name in dataclasses.asdict(self.study) if "diffusion" in name}
        settings = dataclasses.asdict(self.study)
        kept = {name: value for name, value in settings.items() if name not in left_out}
        return {**kept, "train": self.train.fingerprint(), "held_out": self.held_out.fingerprint()}

    # Stage 1 -------------------------------------------------------------------------------

    def _autoencoder(self, row, seed):
        """Train, or load, the autoencoder of a row."""
        study = self.study
        keras.utils.set_random_seed(seed)
        options = {
            "base_width": study.base_width,
            "width_multipliers": study.width_multipliers,
            "num_blocks": 1,
            "attention_resolutions": (),
            "embedding_width": study.embedding_width,
            "num_groups": study.num_groups,
            **row.options,
        }
        shape = self.train.image_shape
        model = autoencoder_with(row.bottleneck, shape, study.code_channels, **options)
        self._fit(
            model,
            self.folder / "autoencoder" / f"{row.same_as or row.name}-{seed}",
            lambda start: image_batches(
                self.train, study.autoencoder_batch_size, seed=seed, start_batch=start
            ),
            study.autoencoder_steps,
            study.autoencoder_learning_rate,
        )
        return model

    def _measure_autoencoder(self, row, seed):
        model = self._autoencoder(row, seed)
        images, _ = load_arrays(random_subset(self.held_out, self.study.num_images))
        values = measures.image_similarity(images, model.reconstruct(images))
        bits = model.bits_per_image
        return {
            "bits": bits if np.isfinite(bits) else None,
            **{name: float(np.mean(each)) for name, each in values.items()},
            **{f"{name}_spread": float(np.std(each)) for name, each in values.items()},
        }

    # Stage 2 -------------------------------------------------------------------------------

    def _shared(self, seed):
        """The binary autoencoder that all priors share, and the store of its codes."""
        autoencoder = self._autoencoder(EXPERIMENTS["table4"][1][0], seed)
        store = write_code_store(
            self.folder / f"codes-{seed}",
            self.train,
            autoencoder.encode,
            autoencoder.code_shape,
            autoencoder_fingerprint(autoencoder),
            flip=False,
        )
        return autoencoder, store

    def _prior(self, row, seed, num_training_steps):
        study = self.study
        autoencoder, store = self._shared(seed)
        keras.utils.set_random_seed(seed)
        sizes = {
            "code_shape": autoencoder.code_shape,
            "depth": study.depth,
            "width": study.width,
            "num_heads": study.num_heads,
            "num_training_steps": num_training_steps,
            "num_classes": self.train.num_classes,
        }
        if row.build is not None:
            model = row.build(sizes, autoencoder)
        else:
            options = dict(row.options)
            schedule = BernoulliNoiseSchedule(num_training_steps, options.pop("schedule", "linear"))
            model = BinaryLatentDiffusion(
                BernoulliDenoiser(**sizes), schedule, autoencoder, **options
            )
        self._fit(
            model,
            self.folder / "diffusion" / f"{row.same_as or row.name}-{seed}",
            lambda start: store.batches(
                study.diffusion_batch_size, seed=seed, labels=True, start_batch=start
            ),
            study.diffusion_steps,
            study.diffusion_learning_rate,
        )
        return model

    def _measure_prior(self, row, seed):
        study = self.study
        model = self._prior(row, seed, study.num_training_steps)
        num_steps = study.num_steps if model.can_skip_steps else None
        sampling = Sampling(num_steps, temperature=study.temperature)
        metrics, _ = score_samples(
            model, self.network, study.num_images, sampling, seed, *self._features
        )
        return {"steps": len(model.time_grid(sampling)), **_values(metrics)}

    def _measure_reconstructions(self, seed):
        autoencoder, _ = self._shared(seed)
        sizes = (self.study.num_images, _FEATURE_SEED)
        metrics = score_reconstructions(
            autoencoder, self.network, self.train, *sizes, *self._features
        )
        return {"steps": None, **_values(metrics)}

    def _steps(self, row):
        """Figure 7: one model with T = 256, sampled with fewer steps under both posteriors."""
        seed = self.study.seeds[0]
        model = self._prior(row, seed, self.many_steps)
        settings = CardSettings(
            num_images=self.study.num_images,
            sampling=Sampling(temperature=self.study.temperature),
            seed=seed,
        )
        folder = self.folder / "figure7"
        rows = sweep_samplers(
            model,
            self.train,
            self.held_out,
            self.network,
            settings,
            num_steps=[steps for steps in FIGURE_7_STEPS if steps <= self.many_steps],
            posterior=("exact", "plug_in"),
            folder=folder,
            say=say,
        )
        write_sweep(rows, folder)
        return folder

    @functools.cached_property
    def _features(self):
        """Of held-out and of training images, the same ones for every seed of a row."""
        return [
            real_features(source, self.network, self.study.num_images, _FEATURE_SEED)
            for source in (self.held_out, self.train)
        ]

    def _fit(self, model, folder, batches, num_steps, learning_rate):
        settings = self._key(folder.parent.name)
        kept = {name: value for name, value in settings.items() if name not in _ONLY_MEASURED}
        claim_folder(folder / "settings.json", kept)
        model.compile(make_optimizer(learning_rate, 100, num_steps, "cosine", 0.999, 0.0))
        fit_recipe(model, batches, folder, num_steps, self.study.steps_per_epoch)


def _values(metrics):
    names = ("frechet_distance", "frechet_distance_floor", "precision", "recall")
    return {name: metrics[name]["value"] for name in (*names, "recognised_as_asked")}
