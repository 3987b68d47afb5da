"""Many generated images as a store of codes on disk: sharded, resumable, in constant memory."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.base.bulk import run_here
from keras_bld.base.packing import pack_codes
from keras_bld.base.progress import progress_bar
from keras_bld.data.code_shards import store_header, write_code_shards
from keras_bld.diffusion.sampling import LATER_FIELDS, check_batch_size, plan_sampling
from keras_bld.presets.fingerprint import autoencoder_fingerprint, generator_fingerprint

IMAGES_PER_SHARD = 512
_NO_LABEL = -1


def write_generated_codes(
    model, directory, num_images, labels, num_shards, on_progress, options, engine=run_here
):
    """Write the store; see `CodePrior.generate_to_store`, whose `options` are a dictionary."""
    num_images = checks.check_integer("num_images", num_images, 1)
    default_num_shards = -(-num_images // IMAGES_PER_SHARD)
    if options.get("batch_size") is None:
        # All shards share one compiled program, and little of each shard's last batch is padding.
        largest_shard = -(-num_images // (num_shards or default_num_shards))
        options = {**options, "batch_size": check_batch_size(None, largest_shard)}
    checks.check_integer("seed", options["seed"], 0, bld_random.MAX_SEED)
    plan = plan_sampling(model, num_images, labels, **options)
    labels = np.full(num_images, _NO_LABEL, "int32")
    class_names = ()
    if plan.condition is not None and model.denoiser.condition_kind == "class":
        labels = plan.condition
        class_names = model.class_names or map(str, range(model.denoiser.num_classes))
    header = store_header(
        code_shape=model.code_shape,
        num_images=num_images,
        num_shards=default_num_shards if num_shards is None else num_shards,
        class_names=list(class_names),
        has_flips=False,
        **_what_decides_the_codes(model, plan),
    )

    with progress_bar("generate", num_images, plan.progress) as show:

        def report(done, total):
            show(done)
            if on_progress is not None:
                on_progress(done, total)

        work = _LabelledCodes(PlannedCodes(model, plan), labels)
        return write_code_shards(
            directory,
            header,
            work,
            num_shards is None,
            report,
            plan.batch_size,
            engine,
            LATER_FIELDS,
        )


@dataclasses.dataclass
class PlannedCodes:
    """Bulk work: codes of a `SamplingPlan`, float32 {0, 1} (batch, h, w, c).

    Pickled, the model goes with its weights; a fast path (`compile_for_inference`) is compiled
    again where it arrives.
    """

    model: Any
    plan: Any

    def __call__(self, start, stop):
        return self.model.code_batches(self.plan, start, stop)

    def __reduce__(self):
        precision = getattr(self.model._inference_engine, "precision", None)
        return _planned_codes, (self.model, self.plan, precision)


def _planned_codes(model, plan, precision):
    if precision is not None:
        model.compile_for_inference(precision=precision, progress=False)
    return PlannedCodes(model, plan)


@dataclasses.dataclass
class _LabelledCodes:
    """Bulk work: labels and packed codes."""

    codes: PlannedCodes
    labels: np.ndarray

    def __call__(self, start, stop):
        for codes in self.codes(start, stop):
            yield self.labels[start : start + len(codes)], [pack_codes(codes)]
            start += len(codes)


def _what_decides_the_codes(model, plan):
    """Entries of the header; where one differs, a store is not gone on with."""
    condition = plan.condition
    has_autoencoder = model.autoencoder is not None
    engine = model._inference_engine
    return {
        "autoencoder_fingerprint": (
            autoencoder_fingerprint(model.autoencoder) if has_autoencoder else None
        ),
        "generator_fingerprint": generator_fingerprint(model),
        "computed_in": model.denoiser.dtype_policy.name if engine is None else _name_of(engine),
        "seed": plan.seed,
        **plan.sampling.to_dict(),
        "condition_sha256": None if condition is None else _sha256(condition),
    }


def _name_of(engine):
    return " ".join([type(engine).__name__, getattr(engine, "precision", "")]).strip()


def _sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
