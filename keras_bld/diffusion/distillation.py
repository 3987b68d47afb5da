"""Students: few-step samplers that are trained to agree with a sampler of many steps."""

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks, replicas
from keras_bld.base.backend.trainer import RepairedTraining
from keras_bld.base.fitting.row_training import averaging_adam, fit_on_rows
from keras_bld.base.runs import warn_of_imitated_bfloat16
from keras_bld.diffusion.objective import bce_with_logits
from keras_bld.diffusion.reverse_step import flip_predictor, probability_of_one
from keras_bld.diffusion.sampler import guided_logits
from keras_bld.diffusion.sampling import check_can_skip_steps, condition_of, uniform_grid
from keras_bld.diffusion.targets import flip_logits
from keras_bld.presets.training_parts import with_parts

_EMA_MOMENTUM = 0.995
# As for a generator and its critic: each step chases the other network's last one.
_BETA_1, _BETA_2 = 0.0, 0.99


def distill(
    model,
    data,
    num_steps=4,
    labels=None,
    training_steps=4000,
    batch_size=64,
    learning_rate=3e-4,
    guidance_scale=None,
    temperature=None,
    seed=0,
    text_embeddings=None,
    verbose=0,
    work_dir=None,
    mixed_precision=False,
):
    """Return a student of the model: the same networks, which sample in `num_steps` steps.

    Given z^t, a network says of each bit how likely it is 1, and the bits of one step are drawn
    independently: in few steps they do not fit together. The student learns to draw z^0 so that
    they do, from z^t itself, whose coin flips tell one outcome from another. Its draws are diffused
    to a random z^r, r <= t, and there two networks say what z^0 is: the teacher, and an auxiliary
    one that learns from the student's draws. Where they agree, the student draws as the teacher
    would in many steps; the difference of their means is the student's gradient. This is moment
    matching (Salimans et al., "Multistep Distillation of Diffusion Models via Moment Matching",
    2024) for uniform discrete diffusion (arXiv 2603.20155).

    The teacher counts with its temperature and its guidance, so that the student samples with
    temperature 1 and without guidance: one call of the network a step.

    Args:
        model: a trained `BinaryLatentDiffusion` that can skip steps. It stays as it is; the student
            shares autoencoder and schedule with it.
        data: images or codes of the training, as of `fit`.
        num_steps: S, steps of the student, 1 ... T.
        labels: condition of a class-conditional model, one for each of `data`.
        training_steps: how long it trains. Each takes the student and the auxiliary network
            forward and back and the teacher forward, with guidance on a doubled batch.
        batch_size: codes in a step.
        learning_rate: of Adam at the beginning; it falls as a cosine.
        guidance_scale: of the teacher; None for that of `model.sampling`.
        temperature: of the teacher; None for that of `model.sampling`.
        seed: of the order and of all draws.
        text_embeddings: condition of a text-conditional model, one for each of `data`.
        verbose: as in `keras.Model.fit`; the bar shows `gap`, the mean absolute difference of
            the two networks' probabilities, and `auxiliary`, the BCE of the auxiliary one.
        work_dir: None, or a folder for checkpoints and the history of the training. The same call
            goes on there after an interruption, and ends bit for bit as without one.
        mixed_precision: train with networks that run in bfloat16; probabilities, losses and weights
            are float32. The student then runs as the teacher does.

    Returns:
        A `BinaryLatentDiffusion` whose `sampling` has these steps, ready to sample and save.

    Raises:
        ValueError: a model that can skip no steps; bad data or labels, a number out of range; a
            `work_dir` of another training.

    Example:

    >>> student = distill(model, images, num_steps=4, labels=labels)  # doctest: +SKIP
    >>> student.generate(16, labels=3)  # doctest: +SKIP
    """
    num_steps = checks.check_integer("num_steps", num_steps, 1, model.num_training_steps)
    training_steps = checks.check_integer("training_steps", training_steps, 1)
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    checks.check_number("learning_rate", learning_rate, 0.0, exclusive=True)
    check_can_skip_steps(model)
    changes = {"guidance_scale": guidance_scale, "temperature": temperature}
    sampling = model.sampling.replace(
        **{name: value for name, value in changes.items() if value is not None}
    )
    data = np.asarray(data)
    condition = condition_of(model, len(data), labels, text_embeddings, False)
    keras.utils.set_random_seed(seed)
    if mixed_precision:
        warn_of_imitated_bfloat16()
    codes = model.codes_from(data)
    dtype = "mixed_bfloat16" if mixed_precision else model.denoiser.dtype_policy.name
    pair = _Pair(model, sampling, uniform_grid(model.num_training_steps, num_steps), dtype)
    pair.compile(
        averaging_adam(learning_rate, training_steps, _EMA_MOMENTUM, beta_1=_BETA_1, beta_2=_BETA_2)
    )
    arrays = {"codes": codes} | ({} if condition is None else {"condition": condition})
    fit_on_rows(
        pair,
        lambda rows: ({name: array[rows] for name, array in arrays.items()},),
        len(codes),
        num_steps=training_steps,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
        work_dir=work_dir,
        settings={
            "num_steps": num_steps,
            "training_steps": training_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
            "dtype": dtype,
            "guidance_scale": sampling.guidance_scale,
            "temperature": sampling.temperature,
            "tempering": sampling.tempering,
            "target": model.target,
            "label_dropout": model.label_dropout,
            "signal_levels": model.schedule.k,
            "teacher": model.denoiser.get_weights(),
            **arrays,
        },
    )
    denoiser = pair.student
    if mixed_precision:
        denoiser = _copy(denoiser, denoiser.name, model.denoiser.dtype_policy.name)
    student = with_parts(model, denoiser=denoiser)
    student.sampling = sampling.replace(
        num_steps=num_steps,
        time_steps=None,
        temperature=1.0,
        guidance_scale=0.0,
        posterior="exact",
        final="sample",
        kappa=1.0,
        corrector_steps=0,
    )
    return student


class _Pair(RepairedTraining, keras.Model):
    """A student and the auxiliary network, which train together; the teacher stays as it is.

    The two share no weights, so one loss, the sum of theirs, and one Adam train each by its own.
    """

    def __init__(self, model, sampling, grid, dtype):
        super().__init__(name="distillation")
        self.teacher = _copy(model.denoiser, "teacher", dtype)
        self.teacher.trainable = False
        self.student = _copy(model.denoiser, model.denoiser.name, dtype)
        self.auxiliary = _copy(model.denoiser, "auxiliary", dtype)
        self.schedule, self.target = model.schedule, model.target
        self.label_dropout = model.label_dropout if model.is_conditional else 0.0
        self.seed_generator = keras.random.SeedGenerator()
        self._sampling, self._grid = sampling, np.asarray(grid, "int32")
        self._trackers = [keras.metrics.Mean(name=name) for name in ("gap", "auxiliary_bce")]
        self.built = True

    def call(self, inputs):
        codes, condition = inputs["codes"], inputs.get("condition")
        codes = ops.cast(codes, "float32")
        batch = ops.shape(codes)[0]
        place = replicas.integers((batch,), 0, len(self._grid), self.seed_generator)
        time_steps = ops.take(ops.convert_to_tensor(self._grid), place)
        present = None
        if condition is not None and self.label_dropout:
            present = replicas.uniform((batch,), self.seed_generator) >= self.label_dropout
        noisy = self.schedule(codes, time_steps, self._uniforms(codes))
        logits = self.student(noisy, time_steps, condition, present)
        flip = ops.sigmoid(self._flip_logits(logits, noisy, time_steps))
        probability = probability_of_one(noisy, flip)
        drawn = ops.stop_gradient(ops.cast(self._uniforms(codes) < probability, "float32"))
        # z^r, r in 1 ... t.
        share = replicas.uniform((batch,), self.seed_generator)
        earlier = 1 + ops.cast(share * ops.cast(time_steps, "float32"), "int32")
        earlier = ops.minimum(earlier, time_steps)
        before = self.schedule(drawn, earlier, self._uniforms(codes))
        believed = self._flip_logits(
            self.auxiliary(before, earlier, condition, present), before, earlier
        )
        auxiliary_bce = bce_with_logits(ops.abs(drawn - before), believed)
        gap = probability_of_one(before, ops.sigmoid(believed)) - self._taught(
            before, earlier, condition, present
        )
        axes = (1, 2, 3)
        gap = ops.stop_gradient(gap)
        return {
            "matching": ops.mean(gap * probability, axis=axes),
            "auxiliary_bce": ops.mean(auxiliary_bce, axis=axes),
            "gap": ops.mean(ops.abs(gap), axis=axes),
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The student's loss, whose gradient is that of the moments, and the auxiliary one's."""
        for tracker in self._trackers:
            tracker.update_state(y_pred[tracker.name])
        return replicas.part_of_loss(ops.mean(y_pred["matching"] + y_pred["auxiliary_bce"]))

    @property
    def metrics(self):
        return list(self._trackers)

    def _uniforms(self, codes):
        return replicas.uniform(ops.shape(codes), self.seed_generator)

    def _flip_logits(self, logits, codes, time_steps):
        channel = self.schedule.channel_log_odds(time_steps)[:, None, None, None]
        return flip_logits(logits, codes, self.target, channel)

    def _taught(self, codes, time_steps, condition, present):
        """P(z^0 = 1) as the teacher samples, with its guidance and temperature."""
        scale = ops.convert_to_tensor(self._sampling.guidance_scale, "float32")
        predict = flip_predictor(
            guided_logits(self.teacher, scale, condition, present),
            self.target,
            self.schedule,
            self._sampling.temperature,
            self._sampling.tempering,
        )
        return probability_of_one(codes, predict(codes, time_steps))


def _copy(denoiser, name, dtype):
    """A denoiser with the same weights; without dropout, for its probabilities are what counts."""
    changes = {"name": name, "dtype": dtype, "dropout": 0.0}
    copy = type(denoiser).from_config({**denoiser.get_config(), **changes})
    copy.set_weights(denoiser.get_weights())
    return copy
