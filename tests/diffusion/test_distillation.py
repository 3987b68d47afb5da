import numpy as np
import pytest
from harness import to_numpy
from small_models import (
    CODE_SHAPE,
    StubDenoiser,
    compiled_model,
    random_codes,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.base import backend, processor
from keras_bld.base.backend import backend_name
from keras_bld.diffusion.distillation import _Pair, distill
from keras_bld.diffusion.sampling import Sampling
from keras_bld.diffusion.schedule import BernoulliNoiseSchedule

CLASSES = 2


def pair_step(model, sampling, inputs, grid=(8, 4), dtype="float32"):
    return to_numpy(
        _Pair(model, sampling, np.array(grid), dtype)({"codes": inputs[0], **inputs[1]})
    )


@pytest.mark.skipif(backend_name() != "torch", reason="the others compile for longer than it takes")
def test_bits_of_one_step_fit_together():
    """All bits of a code are equal; a network draws the bits of one step each by itself."""
    codes = np.repeat(random_codes(256)[:, :1, :1, :1], 16, axis=-1).reshape(-1, *CODE_SHAPE)
    teacher = compiled_model(3e-3, denoiser=tiny_denoiser(), target="extrinsic")
    teacher.fit(codes, batch_size=64, epochs=60, verbose=0)
    student = distill(
        teacher, codes, 2, training_steps=400, learning_rate=3e-3, temperature=1.0, verbose=0
    )

    def share_of_equal(model, **options):
        made = model.generate_codes(500, seed=1, **options).reshape(500, -1)
        return np.mean(made.min(axis=1) == made.max(axis=1))

    assert share_of_equal(teacher, num_steps=2, temperature=1.0) < 0.4
    assert share_of_equal(teacher, num_steps=8, temperature=1.0) < 0.9
    assert share_of_equal(student) > 0.9
    assert 0.35 < student.generate_codes(500, seed=1).mean() < 0.65


def test_at_first_both_networks_say_what_the_teacher_says(numpy_initial_weights):
    """So nothing pulls at the student, unless temperature or guidance make the teacher another."""
    model = tiny_model(tiny_denoiser(num_classes=CLASSES), target="extrinsic", label_dropout=0.0)
    inputs = random_codes(4), {"condition": np.arange(4, dtype="int32") % CLASSES}
    plain = Sampling(temperature=1.0)
    assert np.abs(pair_step(model, plain, inputs)["gap"]).max() < 1e-6
    for changed in ({"temperature": 0.5}, {"guidance_scale": 2.0}):
        assert pair_step(model, plain.replace(**changed), inputs)["gap"].min() > 1e-4, changed


def test_a_student_is_an_ordinary_model_of_few_steps(numpy_initial_weights, tmp_path):
    sampling = Sampling(num_steps=8, temperature=0.8, guidance_scale=1.0, final="threshold")
    model = tiny_model(tiny_denoiser(num_classes=CLASSES), target="extrinsic", sampling=sampling)
    before = [to_numpy(weight) for weight in model.denoiser.weights]
    codes, labels = random_codes(6), np.arange(6) % CLASSES
    student = distill(model, codes, 2, labels, training_steps=2, batch_size=4, learning_rate=0.01)
    expected = Sampling(num_steps=2, temperature=1.0, guidance_scale=0.0)
    assert student.sampling == expected and model.sampling == sampling
    for weight, value in zip(model.denoiser.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)
    moved = [
        np.abs(to_numpy(weight) - value).max()
        for weight, value in zip(student.denoiser.weights, before, strict=True)
    ]
    assert max(moved) > 1e-4
    made = student.generate_codes(3, labels=1, seed=0)
    assert made.shape == (3, *CODE_SHAPE) and set(np.unique(made)) <= {0.0, 1.0}
    assert student.generate_codes(3, drop_condition=True, seed=0).shape == made.shape


@pytest.mark.once
def test_a_folder_of_another_teacher_is_refused(tmp_path):
    denoiser = tiny_denoiser()

    def train(schedule="linear", **options):
        model = tiny_model(denoiser, **options)
        model.schedule = BernoulliNoiseSchedule(model.num_training_steps, schedule)
        distill(model, random_codes(6), 2, training_steps=1, work_dir=tmp_path)

    train(target="extrinsic", label_dropout=0.1)
    train(target="extrinsic", label_dropout=0.1)
    for changed in ({"label_dropout": 0.2}, {"target": "z0"}, {"schedule": "cos"}):
        with pytest.raises(ValueError, match="work_dir.*other settings"):
            train(**{"target": "extrinsic", "label_dropout": 0.1, **changed})


@pytest.mark.once
def test_no_network_of_a_pair_drops_channels():
    model = tiny_model(tiny_denoiser(dropout=0.5))
    pair = _Pair(model, model.sampling, np.array([8, 4]), "float32")
    assert {pair.teacher.dropout, pair.student.dropout, pair.auxiliary.dropout} == {0.0}


@pytest.mark.once
def test_bfloat16_is_for_the_training_alone(monkeypatch, capsys):
    monkeypatch.setattr(processor, "computes_bfloat16", lambda: False)
    monkeypatch.setattr(backend, "runs_on_cpu", lambda: True)
    model = tiny_model(tiny_denoiser(), target="extrinsic")
    pair = _Pair(model, model.sampling, np.array([8, 4]), "mixed_bfloat16")
    for network in (pair.teacher, pair.student, pair.auxiliary):
        assert network.blocks[0].compute_dtype == "bfloat16"
    options = {"training_steps": 2, "learning_rate": 0.01, "batch_size": 4}
    students = [
        distill(model, random_codes(6), 2, mixed_precision=mixed, **options)
        for mixed in (False, True)
    ]
    warned = capsys.readouterr().out
    assert warned.count("WARNING: this processor has no bfloat16") == 1
    assert "leave mixed_precision=True out" in warned
    assert {student.denoiser.blocks[0].compute_dtype for student in students} == {"float32"}
    plain, mixed = (
        np.concatenate([to_numpy(weight).ravel() for weight in student.denoiser.weights])
        for student in students
    )
    assert 0 < np.abs(plain - mixed).max() < 0.05  # rounded, and the same training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 9}, "num_steps.*9"),
        ({"training_steps": 0}, "training_steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"labels": [0]}, "labels"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        distill(
            tiny_model(StubDenoiser(lambda codes, time_steps: 0 * codes)),
            **{"data": random_codes(1), **options},
        )


def test_a_model_that_skips_no_steps_has_no_student():
    model = tiny_model(tiny_denoiser(), target="previous")
    with pytest.raises(ValueError, match="skip no steps"):
        distill(model, random_codes(1))
