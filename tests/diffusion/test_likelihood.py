import itertools

import numpy as np
import pytest
import scipy.special
from keras import ops
from small_models import StubDenoiser, log_odds, simple_logits, tiny_denoiser, tiny_model

from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.targets import TARGETS

BITS = 3
STATES = np.array(list(itertools.product((0, 1), repeat=BITS)))  # (8, 3); row n is n in binary
SHAPE = (1, 1, BITS)
# A distribution over 3 bits that no product of marginals makes.
PROBABILITIES = np.array([0.3, 0.02, 0.08, 0.1, 0.02, 0.2, 0.03, 0.25])
ENTROPY = -np.sum(PROBABILITIES * np.log2(PROBABILITIES))


def forward(k):
    """q(z^t | z^0) for all pairs of states: (8 of z^0, 8 of z^t)."""
    different = STATES[:, None] != STATES[None]
    return np.where(different, (1 - k) / 2, (1 + k) / 2).prod(axis=-1)


def optimal_flips(schedule):
    """P(z_i^0 != z_i^t | z^t) by Bayes over all codes: (T + 1, 8, BITS); row 0 is not used."""
    result = np.zeros((schedule.num_training_steps + 1, 8, BITS))
    different = STATES[:, None] != STATES[None]
    for t in range(1, schedule.num_training_steps + 1):
        joint = PROBABILITIES[:, None] * forward(schedule.k[t])
        belief = joint / joint.sum(axis=0)
        result[t] = (belief[..., None] * different).sum(axis=0)
    return result


def true_reverse_flips(schedule, t):
    """P(z^{t-1} != z^t | z^t, z^0) for z^0 equal and not equal to z^t."""
    keep, signal = schedule.k[t] / schedule.k[t - 1], schedule.k[t - 1]
    flips = []
    for differ in ((1 - signal) / 2, (1 + signal) / 2):  # P(z^{t-1} = other bit | z^0)
        flipped, kept = (1 - keep) / 2 * differ, (1 + keep) / 2 * (1 - differ)
        flips.append(flipped / (flipped + kept))
    return flips


def exact_bound(schedule, flips):
    """The bound of each code in bits, summed over every noisy code: total and (T + 1, 8)."""
    different = STATES[:, None] != STATES[None]
    terms = np.zeros((schedule.num_training_steps + 1, 8))
    last = (1 + schedule.k[-1] * np.array([1, -1])) / 2
    terms[0] = BITS * np.sum(scipy.special.xlogy(last, 2 * last))  # L_T
    for t in range(1, schedule.num_training_steps + 1):
        same, other = true_reverse_flips(schedule, t)
        truth = np.where(different, other, same)
        model = (1 - flips[t]) * same + flips[t] * other  # Eq. 8
        divergence = scipy.special.rel_entr(truth, model)
        divergence += scipy.special.rel_entr(1 - truth, 1 - model)
        terms[t] = (forward(schedule.k[t])[..., None] * divergence).sum(axis=(1, 2))
    return terms.sum(axis=0) / np.log(2), terms / np.log(2)


def table_denoiser(flips, target="residual", schedule=None):
    """Says the tabled flip probabilities, in the meaning of `target`."""
    table = log_odds(np.clip(flips, 1e-6, 1 - 1e-6))
    if target == "previous":
        steps = range(1, len(flips))
        pairs = np.array([[0, 1], *(true_reverse_flips(schedule, t) for t in steps)])
        same, other = pairs[:, 0, None, None], pairs[:, 1, None, None]
        table = log_odds(np.clip((1 - flips) * same + flips * other, 1e-6, 1 - 1e-6))
    table = table.astype("float32").reshape(-1, BITS)

    def logits(codes, time_steps):
        weights = ops.convert_to_tensor(2.0 ** np.arange(BITS)[::-1], "float32")
        state = ops.cast(ops.sum(codes[:, 0, 0] * weights, axis=-1), "int32")
        flip = ops.take(ops.convert_to_tensor(table), ops.cast(time_steps, "int32") * 8 + state, 0)
        flip = flip[:, None, None]
        if target == "extrinsic":
            flip = flip + schedule.channel_log_odds(time_steps)[:, None, None, None]
        return flip if target == "residual" else flip * (1.0 - 2.0 * codes)

    return StubDenoiser(logits, SHAPE, len(flips) - 1)


def table_model(schedule, flips, target="residual"):
    return tiny_model(table_denoiser(flips, target, schedule), schedule, target=target)


@pytest.mark.once
def test_exact_bound_is_at_least_the_entropy_and_tight_in_the_limit_of_many_steps():
    """The reverse steps treat bits as independent, which costs less the smaller the steps are."""
    gaps = []
    for num_steps in (1, 4, 16, 64, 256):
        schedule = BernoulliNoiseSchedule(num_steps)
        bound, _ = exact_bound(schedule, optimal_flips(schedule))
        gaps.append(PROBABILITIES @ bound - ENTROPY)
    assert min(gaps) > 0
    # With one step the model is a product of marginals, and the gap their dependence.
    marginals = PROBABILITIES @ STATES
    total = -(
        scipy.special.xlogy(marginals, marginals) + scipy.special.xlog1py(1 - marginals, -marginals)
    )
    assert gaps[0] == pytest.approx(total.sum() / np.log(2) - ENTROPY)
    # Four times the steps leave about a quarter of the gap.
    ratios = np.array(gaps[2:]) / gaps[1:-1]
    assert (ratios < 0.5).all() and ratios[-1] == pytest.approx(0.25, abs=0.03)
    assert gaps[-1] < 0.01


def test_bound_of_the_optimal_denoiser_equals_its_enumeration():
    schedule = BernoulliNoiseSchedule(5)
    flips = optimal_flips(schedule)
    exact, terms = exact_bound(schedule, flips)
    copies = 1000
    codes = np.repeat(STATES, copies, axis=0).reshape(-1, *SHAPE)
    model = table_model(schedule, flips)
    received = model.likelihood(codes, num_samples=4, seed=1, batch_size=len(codes))
    bits = received["bits_per_image"].reshape(8, copies)
    errors = bits.std(axis=1, ddof=1) / copies**0.5
    assert (abs(bits.mean(axis=1) - exact) < 4 * errors).all()
    assert errors.max() < 0.1  # the test has power
    mean = PROBABILITIES @ bits.mean(axis=1)
    assert mean > ENTROPY
    # The profile is the mean over the codes given, per dimension.
    np.testing.assert_allclose(received["profile"], terms.mean(axis=1) / BITS, atol=0.02)
    np.testing.assert_allclose(received["bits_per_image"], BITS * received["bits_per_dimension"])


def test_profile_sums_to_the_total_and_includes_the_last_state():
    schedule = BernoulliNoiseSchedule(4, k=[0.7, 0.4, 0.2, 0.01])
    flips = optimal_flips(schedule)
    codes = STATES.reshape(-1, *SHAPE)
    received = table_model(schedule, flips).likelihood(codes)
    assert received["profile"].shape == (5,) and received["bits_per_dimension"].shape == (8,)
    total = received["bits_per_dimension"].mean()
    assert received["profile"].sum() == pytest.approx(total, rel=1e-5)
    # KL of Bernoulli(0.505) from a fair coin, in bits.
    expected = 0.505 * np.log2(1.01) + 0.495 * np.log2(0.99)
    assert received["profile"][0] == pytest.approx(expected, rel=1e-6)


def test_a_worse_denoiser_has_a_larger_bound():
    schedule = BernoulliNoiseSchedule(5)
    flips = optimal_flips(schedule)
    blurred = 0.5 * flips + 0.5 * flips.mean(axis=1, keepdims=True)
    # Each code as often as its probability says.
    codes = np.repeat(STATES, np.round(2000 * PROBABILITIES).astype(int), axis=0)
    codes = codes.reshape(-1, *SHAPE)
    best, worse = (
        table_model(schedule, table).likelihood(codes, num_samples=4, batch_size=len(codes))
        for table in (flips, blurred)
    )
    # The same noise for both, so that the difference has little of it.
    gain = worse["bits_per_image"] - best["bits_per_image"]
    assert len(gain) == 2000 and gain.mean() > 5 * gain.std() / 2000**0.5
    expected = [PROBABILITIES @ exact_bound(schedule, table)[0] for table in (flips, blurred)]
    assert gain.mean() == pytest.approx(expected[1] - expected[0], rel=0.2)


@pytest.mark.parametrize("target", TARGETS)
def test_targets_that_say_the_same_have_the_same_bound(target):
    schedule = BernoulliNoiseSchedule(3, "cos")
    flips = optimal_flips(schedule)
    codes = STATES.reshape(-1, *SHAPE)
    received = table_model(schedule, flips, target).likelihood(codes, seed=2)
    expected = table_model(schedule, flips).likelihood(codes, seed=2)
    np.testing.assert_allclose(
        received["bits_per_dimension"], expected["bits_per_dimension"], rtol=1e-4
    )


def test_the_batch_does_not_matter_and_the_seed_does():
    schedule = BernoulliNoiseSchedule(3)
    model = table_model(schedule, optimal_flips(schedule))
    codes = STATES.reshape(-1, *SHAPE)
    whole = model.likelihood(codes, seed=3)
    parts = model.likelihood(codes, seed=3, batch_size=3)
    np.testing.assert_allclose(parts["bits_per_image"], whole["bits_per_image"], rtol=1e-6)
    np.testing.assert_allclose(parts["profile"], whole["profile"], rtol=1e-6)
    np.testing.assert_allclose(model.likelihood(codes, seed=3)["profile"], whole["profile"])
    assert abs(model.likelihood(codes, seed=4)["profile"] - whole["profile"]).max() > 1e-3
    spread = [
        np.std([model.likelihood(codes, num_samples=n, seed=s)["bits_per_image"] for s in range(9)])
        for n in (1, 9)
    ]
    assert spread[1] < spread[0]


def test_every_time_step_has_its_own_noise():
    schedule = BernoulliNoiseSchedule(4)
    model = table_model(schedule, optimal_flips(schedule))
    code = STATES[5].reshape(1, *SHAPE)
    profiles = np.array([model.likelihood(code, seed=seed)["profile"] for seed in range(100)])
    between = np.corrcoef(profiles[:, 2], profiles[:, 3])[0, 1]
    assert abs(between) < 0.3  # three standard errors


def test_the_condition_counts():
    model = tiny_model(StubDenoiser(simple_logits, num_training_steps=3, num_classes=3))
    codes = np.random.default_rng(0).integers(0, 2, (4, *model.code_shape))
    first = model.likelihood(codes, labels=[1, 1, 2, 1])["bits_per_dimension"]
    second = model.likelihood(codes, labels=[1, 1, 2, 2])["bits_per_dimension"]
    np.testing.assert_allclose(first[:3], second[:3], rtol=1e-5)
    assert abs(first[3] - second[3]) > 1e-4
    without = model.likelihood(codes, drop_condition=True)["bits_per_dimension"]
    assert (abs(without - first) > 1e-5).all()


@pytest.mark.once
def test_refuses():
    model = tiny_model(tiny_denoiser(num_classes=3))
    codes = np.zeros((2, *model.code_shape))
    for arguments, message in (
        ({"codes": codes + 0.5}, "`codes`: received values such as 0.5; expected only 0 and 1"),
        ({"codes": codes[0]}, r"`codes`: received shape \(2, 2, 4\)"),
        ({"codes": codes[:0]}, "`codes`: received an empty batch"),
        ({"labels": None}, "`labels`: received none"),
        ({"labels": [0, 3]}, "`labels`: received 3"),
        ({"num_samples": 0}, "`num_samples`: received 0"),
        ({"seed": -3}, "`seed`: received -3"),
        ({"batch_size": 0}, "`batch_size`: received 0"),
    ):
        with pytest.raises(ValueError, match=message):
            model.likelihood(**{"codes": codes, "labels": 0, **arguments})
    with pytest.raises(ValueError, match="`labels`: .* the model is unconditional"):
        tiny_model().likelihood(codes, labels=0)
