import itertools

import numpy as np
import pytest
from diffusion.published import (
    MODELS,
    NUM_STEPS,
    PROBABILITY_TOLERANCE,
    as_grid,
    condition_of,
    published_denoiser,
    reference,
)
from harness import check_eager_equals_compiled, to_numpy
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_bld.base.backend import compile_function
from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.posterior import posterior_flip, step_table, transition_tables
from keras_bld.diffusion.reverse_step import flip_predictor
from keras_bld.diffusion.sampler import guided_logits
from keras_bld.diffusion.signal_levels import KINDS


@st.composite
def schedules(draw, max_steps=6):
    """Arguments of any schedule of at most `max_steps` steps: the named ones, and custom ones."""
    num_steps = draw(st.integers(1, max_steps))
    kind = draw(st.sampled_from([*KINDS, "custom"]))
    if kind != "custom":
        return {"num_training_steps": num_steps, "kind": kind}
    last = draw(st.floats(0.0, 0.01))
    # Thousandths between 0.011 and 0.999, so that neighbours stay apart.
    size = num_steps - 1
    levels = draw(st.lists(st.integers(11, 999), min_size=size, max_size=size, unique=True))
    falling = [level / 1000 for level in sorted(levels, reverse=True)]
    return {"num_training_steps": num_steps, "k": [*falling, last]}


probabilities = st.floats(0.0, 1.0, allow_subnormal=False)


def chain(schedule, t, prior):
    """P(z^0, ..., z^t) of one bit with P(z^0 = 1) = prior: every path, one step at a time."""
    table = np.zeros((2,) * (t + 1))
    for path in itertools.product((0, 1), repeat=t + 1):
        weight = prior if path[0] else 1 - prior
        for i in range(1, t + 1):
            flip = schedule.beta[i] / 2  # Eq. 4
            weight *= flip if path[i] != path[i - 1] else 1 - flip
        table[path] = weight
    return table


def marginal(table, *axes):
    """The distribution of the states at `axes` alone, in that order."""
    rest = tuple(i for i in range(table.ndim) if i not in axes)
    ordered = sorted(axes)
    return np.transpose(table.sum(axis=rest), [ordered.index(axis) for axis in axes])


def pairs(schedule):
    """All (t, s) with 0 <= s < t <= T, and their transitions."""
    found = [(t, s) for t in range(1, schedule.num_training_steps + 1) for s in range(t)]
    times, previous = np.array(found).T
    return found, transition_tables(schedule.k, times, previous)


def reverse_flip(flip, transition, posterior):
    flip = ops.convert_to_tensor(np.asarray(flip, "float32"))
    return to_numpy(posterior_flip(flip, [float(x) for x in transition], posterior))


@given(arguments=schedules(), prior=probabilities)
def test_exact_posterior_is_bayes_over_the_whole_chain(arguments, prior):
    """With the true P(z^0 != z^t), one step t -> s gives the chain's own P(z^s | z^t)."""
    schedule = BernoulliNoiseSchedule(**arguments)
    found, transitions = pairs(schedule)
    for (t, s), transition in zip(found, transitions, strict=True):
        table = chain(schedule, t, prior)
        first_and_last = marginal(table, 0, t)
        middle_and_last = marginal(table, s, t)
        for last in (0, 1):
            evidence = first_and_last[:, last].sum()
            flip = first_and_last[1 - last, last] / evidence
            expected = middle_and_last[1 - last, last] / evidence
            received = reverse_flip(flip, transition, "exact")
            np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


@given(arguments=schedules(), flip=probabilities)
def test_exact_posterior_is_equation_8_for_any_prediction(arguments, flip):
    schedule = BernoulliNoiseSchedule(**arguments)
    found, transitions = pairs(schedule)
    for (t, s), transition in zip(found, transitions, strict=True):
        expected = 0.0
        for start, weight in ((0, 1 - flip), (1, flip)):  # with z^t = 0
            table = chain(schedule, t, float(start))
            expected += weight * marginal(table, s, t)[1, 0] / marginal(table, t)[0]
        received = reverse_flip(flip, transition, "exact")
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


@given(arguments=schedules(max_steps=40), flip=probabilities)
def test_plug_in_posterior_is_its_definition(arguments, flip):
    """k_s m + b_s in the place of q(z^s | z^0), times q(z^t | z^s), normalised once.

    At s = 0 the published code takes the prediction itself, see the test of the last step.
    """
    schedule = BernoulliNoiseSchedule(**arguments)
    found, transitions = pairs(schedule)
    for (t, s), transition in zip(found, transitions, strict=True):
        if s == 0 or (t + s) % 7:  # a part of the many pairs
            continue
        keep = schedule.k[t] / schedule.k[s]
        for last in (0, 1):
            one = flip if last == 0 else 1 - flip  # m = P(z^0 = 1)
            level = schedule.k[s] * one + schedule.b[s]
            weights = np.array([1 - level, level])
            weights *= [(1 + keep) / 2 if z == last else (1 - keep) / 2 for z in (0, 1)]
            expected = weights[1 - last] / weights.sum()
            received = reverse_flip(flip, transition, "plug_in")
            np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


@given(arguments=schedules(max_steps=40))
def test_steps_chain_and_posteriors_average_to_the_forward_process(arguments):
    schedule = BernoulliNoiseSchedule(**arguments)
    found, transitions = pairs(schedule)
    for (t, _), transition in zip(found, transitions.astype("float64"), strict=True):
        keep, signal, flip_if_same, flip_if_different = transition
        differ_s, differ_t = (1 - signal) / 2, (1 - schedule.k[t]) / 2
        step = (1 - keep) / 2
        # Sum over z^s of q(z^t | z^s) q(z^s | z^0) = q(z^t | z^0).
        chained = differ_s * (1 - step) + (1 - differ_s) * step
        np.testing.assert_allclose(chained, differ_t, rtol=0, atol=1e-6)
        # Sum over z^t of q(z^s | z^t, z^0) q(z^t | z^0) = q(z^s | z^0).
        averaged = differ_t * (1 - flip_if_different) + (1 - differ_t) * flip_if_same
        np.testing.assert_allclose(averaged, differ_s, rtol=0, atol=1e-6)


def test_values_by_hand():
    # T = 4, t = 2, s = 1: k_t = 1/2, k_s = 3/4, k_t / k_s = 2/3.
    transition = transition_tables(BernoulliNoiseSchedule(4).k, np.array([2]), np.array([1]))[0]
    assert transition.dtype == np.float32
    np.testing.assert_allclose(transition, [2 / 3, 3 / 4, 1 / 36, 7 / 12], rtol=1e-6)
    exact = reverse_flip([0.0, 0.5, 1.0], transition, "exact")
    np.testing.assert_allclose(exact, [1 / 36, 11 / 36, 7 / 12], rtol=1e-6)
    # The two posteriors differ between certain predictions and agree at them.
    plug_in = reverse_flip([0.0, 0.5, 1.0], transition, "plug_in")
    np.testing.assert_allclose(plug_in, [1 / 36, 1 / 6, 7 / 12], rtol=1e-6)


@pytest.mark.parametrize("posterior", ["exact", "plug_in"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_step_is_the_prediction_itself(kind, posterior):
    schedule = BernoulliNoiseSchedule(64, kind)
    flip = np.array([0.0, 1e-6, 0.3, 0.5, 1.0], "float32")
    for t in (1, 2, 40, 64):
        transition = transition_tables(schedule.k, np.array([t]), np.array([0]))[0]
        received = reverse_flip(flip, transition, posterior)
        np.testing.assert_allclose(received, flip, rtol=1e-6, atol=0)
        # Certainty is exact: known bits of an inpainting depend on it.
        assert received[0] == 0.0 and received[-1] == 1.0


@pytest.mark.parametrize("posterior", ["exact", "plug_in"])
def test_coefficients_may_be_tensors_and_eager_equals_compiled(posterior):
    steps = np.array([1, 5, 8])
    tables = transition_tables(BernoulliNoiseSchedule(8).k, steps, steps - 1)
    flip = np.random.default_rng(0).random((3, 4), "float32")

    def function(flip, tables):
        return posterior_flip(flip, ops.split(tables, 4, axis=-1), posterior)

    received = check_eager_equals_compiled(function, flip, tables)
    by_row = [reverse_flip(flip[i], tables[i], posterior) for i in range(3)]
    np.testing.assert_allclose(received, by_row, rtol=1e-6)


def reverse_steps(name):
    """(t, s, temperature, omega) of the reference's reverse steps and their arrays."""
    for key, array in reference(f"{name}/reverse").items():
        setting, _, what = key.rpartition("/")
        if what == "x0_prob":
            values = dict(part.split("=") for part in setting.split(","))
            omega = 0.0 if values["omega"] == "None" else float(values["omega"])
            posterior = reference(f"{name}/reverse")[f"{setting}/posterior"]
            expected = as_grid(array), as_grid(posterior)
            yield int(values["t"]), int(values["s"]), float(values["temperature"]), omega, expected


@pytest.mark.parametrize("name", MODELS)
def test_published_reverse_steps(name):
    denoiser, condition = published_denoiser(name), condition_of(name)
    schedule = BernoulliNoiseSchedule(NUM_STEPS)

    def probabilities(codes, time_steps, transition, temperature, omega):
        """P(z^0 = 1) and P(z^s = 1) as the sampler computes them."""
        labels = None if condition is None else ops.convert_to_tensor(condition)
        logits_of = guided_logits(denoiser, omega, labels)
        predict = flip_predictor(logits_of, "residual", schedule, temperature)
        flip = predict(codes, time_steps)
        reverse = posterior_flip(flip, [transition[i] for i in range(4)], "plug_in")
        return [codes * (1.0 - r) + (1.0 - codes) * r for r in (flip, reverse)]

    compiled = compile_function(probabilities, lambda: denoiser.variables)
    codes = as_grid(reference(name)["xt"])
    steps = list(reverse_steps(name))
    assert len(steps) == 4
    for t, s, temperature, omega, expected in steps:
        transition = transition_tables(schedule.k, np.array([t]), np.array([s]))[0]
        scalars = np.float32(temperature), np.float32(omega)
        received = compiled(codes, np.full(3, t, "int32"), transition, *scalars)
        np.testing.assert_allclose(to_numpy(received), expected, rtol=0, atol=PROBABILITY_TOLERANCE)


ATOMS = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1]])
SHARES = np.array([0.45, 0.3, 0.2, 0.05])
STATES = np.array(list(itertools.product((0, 1), repeat=3)))


def joint(k):
    """P(z^0 = atom, z^t = state) of a code of three bits that depend on each other."""
    same = ATOMS[:, None] == STATES[None]
    return SHARES[:, None] * np.where(same, (1 + k) / 2, (1 - k) / 2).prod(axis=-1)


@pytest.mark.once
@given(
    arguments=schedules(),
    kappa=st.floats(0.01, 1.0),
    corrector_share=st.floats(0.01, 1.0),
    corrector_steps=st.integers(0, 2),
)
def test_every_row_of_a_step_table_keeps_the_marginals_of_a_code_that_can_be_enumerated(
    arguments, kappa, corrector_share, corrector_steps
):
    """From states that are right, with the true f, every bit of the next state is right."""
    schedule = BernoulliNoiseSchedule(**arguments)
    total = schedule.num_training_steps
    grid = np.unique([1, (total + 1) // 2, total])[::-1]
    table = step_table(schedule.k, grid, kappa, corrector_steps, corrector_share)
    assert len(table) == len(grid) + corrector_steps * (len(grid) - 1)
    levels = [*np.repeat(grid, corrector_steps + 1)[corrector_steps:], 0]
    assert table.time_steps.tolist() == levels[:-1]
    for row, t, s in zip(table.transitions, levels[:-1], levels[1:], strict=True):
        before = joint(schedule.k[t])
        differ = np.einsum("as,asb->sb", before, ATOMS[:, None] != STATES[None])
        flip = posterior_flip(differ / before.sum(axis=0)[:, None], row.astype("float64"))
        one = np.where(STATES == 1, 1 - flip, flip)
        found = before.sum(axis=0) @ one
        wanted = joint(schedule.k[s]).sum(axis=0) @ STATES
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.once
def test_a_redraw_of_all_bits_asks_the_others_alone():
    """k_s P(z^0 = 1 | the other bits) + (1 - k_s) / 2, whatever the bit itself was."""
    schedule = BernoulliNoiseSchedule(4)
    table = step_table(schedule.k, [4, 2], corrector_steps=1, corrector_share=1.0)
    assert table.time_steps.tolist() == [4, 2, 2]
    k = schedule.k[2]
    before = joint(k)
    differ = np.einsum("as,asb->sb", before, ATOMS[:, None] != STATES[None])
    flip = posterior_flip(differ / before.sum(axis=0)[:, None], table.transitions[1])
    one = np.where(STATES == 1, 1 - flip, flip)
    for bit in range(3):
        others = [i for i in range(3) if i != bit]
        same = ATOMS[:, None, others] == STATES[None, :, others]
        weight = SHARES[:, None] * np.where(same, (1 + k) / 2, (1 - k) / 2).prod(axis=-1)
        by_hand = (weight * ATOMS[:, None, bit]).sum(axis=0) / weight.sum(axis=0)
        np.testing.assert_allclose(one[:, bit], k * by_hand + (1 - k) / 2, atol=1e-6)


@pytest.mark.once
def test_the_table_by_default_is_that_of_the_exact_steps():
    schedule = BernoulliNoiseSchedule(8)
    plain = transition_tables(schedule.k, np.array([8, 3]), np.array([3, 0]))
    np.testing.assert_array_equal(step_table(schedule.k, [8, 3]).transitions, plain)
    redrawn = step_table(schedule.k, [8, 3], corrector_steps=2, corrector_share=0.5)
    np.testing.assert_array_equal(redrawn.transitions[[0, 3], :4], plain)
    np.testing.assert_array_equal(redrawn.transitions[[0, 3], 4], 1.0)
