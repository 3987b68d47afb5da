import keras
import numpy as np
import pytest
import scipy.special
from autoencoder.differentiation import gradient_of
from diffusion.published import MODELS, NUM_STEPS, PROBABILITY_TOLERANCE, as_grid, reference
from harness import check_eager_equals_compiled, to_numpy
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_bld.base.backend import compile_function
from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.objective import diffusion_losses
from keras_bld.diffusion.posterior import transition_tables
from keras_bld.diffusion.signal_levels import KINDS
from keras_bld.diffusion.targets import TARGETS

NAMES = ("bce", "vlb", "accuracy")
SCHEDULE = BernoulliNoiseSchedule(NUM_STEPS)


def single_steps(time_steps, kind="linear", num_steps=NUM_STEPS):
    """The transitions t -> t - 1, one row for each sample."""
    return transition_tables(BernoulliNoiseSchedule(num_steps, kind).k, time_steps, time_steps - 1)


def channel(time_steps):
    return SCHEDULE.channel_log_odds(time_steps)


def losses(logits, codes, noisy, time_steps, target="residual", posterior="exact", **schedule):
    """`diffusion_losses` of NumPy arrays, as NumPy arrays."""
    tensors = [ops.convert_to_tensor(array) for array in (logits, codes, noisy, time_steps)]
    transition = ops.convert_to_tensor(single_steps(time_steps, **schedule))
    odds = channel(time_steps)
    return to_numpy(diffusion_losses(*tensors, transition, target, posterior, odds))


def random_case(seed=0, batch=4, scale=2.0, shape=(2, 2, 3)):
    """Logits, z^0, z^t and t of `NUM_STEPS` steps; the first sample stands at t = 1."""
    generator = np.random.default_rng(seed)
    logits = scale * generator.standard_normal((batch, *shape))
    codes, noisy = generator.integers(0, 2, (2, batch, *shape))
    time_steps = generator.integers(2, NUM_STEPS + 1, batch)
    time_steps[0] = 1
    arrays = [array.astype("float32") for array in (logits, codes, noisy)]
    return (*arrays, time_steps.astype("int32"))


def true_flip(codes, noisy, time_steps):
    """P(z^{t-1} != z^t | z^t, z^0) by Bayes' rule, bit by bit, from the linear schedule."""
    result = np.empty(codes.shape)
    for index in np.ndindex(codes.shape):
        t = int(time_steps[index[0]])
        differ_s, step = (t - 1) / NUM_STEPS / 2, 1 / (NUM_STEPS - t + 1) / 2
        different = codes[index] != noisy[index]
        flipped = step * ((1 - differ_s) if different else differ_s)
        kept = (1 - step) * (differ_s if different else (1 - differ_s))
        result[index] = flipped / (flipped + kept)
    return result


# The reference also holds loss/focal=1: a focal loss is outside this project.
@pytest.mark.parametrize("name", MODELS)
def test_published_losses(name):
    published = reference(name)
    arrays = [as_grid(published[key]) for key in ("logits", "x0", "xt")]
    time_steps = published["t"].astype("int32")
    terms = losses(*arrays, time_steps, posterior="plug_in")
    # The published auxiliary term is the cross-entropy of the two posteriors, ours the KL: they
    # differ by the entropy of the true posterior, which no weight changes. At t = 1 both are the
    # cross-entropy of z^0.
    flips = true_flip(arrays[1], arrays[2], time_steps)
    entropy = (scipy.special.entr(flips) + scipy.special.entr(1 - flips)).mean(axis=(1, 2, 3))
    auxiliary = terms["vlb"] + np.where(time_steps > 1, entropy, 0.0)
    for weighting, weights in (("mean", np.ones(3)), ("weighted", 1 - (time_steps - 1) / 16)):
        for weight in (0.0, 0.1):
            received = {
                "loss": np.mean(weights * (terms["bce"] + weight * auxiliary)),
                "bce_loss": np.mean(terms["bce"]),
                "acc": np.mean(terms["accuracy"]),
            }
            if weight:
                received["aux_loss"] = np.mean(weights * auxiliary)
            for key, value in received.items():
                expected = published[f"loss/aux={weight}/{weighting}/{key}"]
                np.testing.assert_allclose(value, expected, rtol=0, atol=PROBABILITY_TOLERANCE)


def test_values_by_hand():
    # One bit each, z^t = 0, logits 0 (f = 1/2); T = 16: t = 1 with a flip, t = 16 without.
    logits, noisy = np.zeros((2, 1, 1, 1), "float32"), np.zeros((2, 1, 1, 1), "float32")
    codes = np.array([1.0, 0.0], "float32").reshape(2, 1, 1, 1)
    terms = losses(logits, codes, noisy, np.array([1, 16], "int32"))
    np.testing.assert_allclose(terms["bce"], np.log([2, 2]), rtol=1e-6)
    # t = 16 -> 15: k_16 = 0, so z^16 says nothing: z^15 differs from z^16 = z^0 with probability
    # (1 - 1/16) / 2 = 15/32, and by the model with probability 1/2.
    p = 15 / 32
    expected = p * np.log(p / 0.5) + (1 - p) * np.log((1 - p) / 0.5)
    np.testing.assert_allclose(terms["vlb"], [np.log(2), expected], rtol=1e-4)
    # A logit of exactly 0 predicts "no flip".
    assert terms["accuracy"].tolist() == [0.0, 1.0]


def test_accuracy_counts_the_bits_predicted_right():
    logits = np.array([3.0, -3.0, 0.1, -0.1], "float32").reshape(1, 1, 1, 4)
    noisy = np.array([0, 0, 1, 1], "float32").reshape(1, 1, 1, 4)
    codes = np.array([1, 0, 1, 0], "float32").reshape(1, 1, 1, 4)  # flips 1, 0, 0, 1
    assert losses(logits, codes, noisy, np.array([3], "int32"))["accuracy"].tolist() == [0.5]


@pytest.mark.parametrize("target", TARGETS)
def test_targets_equal_numpy(target):
    logits, codes, noisy, time_steps = random_case()
    said = logits.astype("float64")
    if target == "extrinsic":
        b = time_steps[:, None, None, None] / NUM_STEPS / 2
        said = said + np.where(noisy == 1, 1, -1) * np.log((1 - b) / b)
    one = scipy.special.expit(said)  # P(target bit = 1)
    flips = true_flip(codes, noisy, time_steps)
    if target == "residual":
        flip = one
        bce = -np.log(np.where(codes != noisy, one, 1 - one))
    else:
        flip = np.where(noisy == 0, one, 1 - one)
        bce = -np.log(np.where(codes == 1, one, 1 - one))
    previous = flip
    if target != "previous":
        certain = [true_flip(z, noisy, time_steps) for z in (noisy, 1 - noisy)]
        previous = (1 - flip) * certain[0] + flip * certain[1]  # Eq. 8
    kl = scipy.special.rel_entr(flips, previous) + scipy.special.rel_entr(1 - flips, 1 - previous)
    vlb = np.where(time_steps[:, None, None, None] == 1, bce, kl)
    expected = {
        "bce": np.zeros(4) if target == "previous" else bce.mean(axis=(1, 2, 3)),
        "vlb": vlb.mean(axis=(1, 2, 3)),
        "accuracy": ((flip > 0.5) == (codes != noisy)).mean(axis=(1, 2, 3)),
    }
    received = losses(logits, codes, noisy, time_steps, target)
    for name in NAMES:
        np.testing.assert_allclose(received[name], expected[name], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def compiled_losses():
    """`diffusion_losses` for hypothesis: compiled once for each pair of options."""
    made = {}

    def run(target, posterior, *arrays):
        if (target, posterior) not in made:
            made[target, posterior] = compile_function(
                lambda *tensors: diffusion_losses(*tensors, target, posterior, channel(tensors[3])),
                list,
            )
        return to_numpy(made[target, posterior](*arrays))

    return run


@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.1, 2.0, 30.0, 1000.0]),
    kind=st.sampled_from(KINDS),
    target=st.sampled_from(tuple(TARGETS)),
    posterior=st.sampled_from(["exact", "plug_in"]),
)
def test_losses_are_never_negative_and_stay_finite(
    compiled_losses, seed, scale, kind, target, posterior
):
    *arrays, time_steps = random_case(seed, scale=scale)
    transition = single_steps(time_steps, kind=kind)
    terms = compiled_losses(target, posterior, *arrays, time_steps, transition)
    assert (terms["bce"] >= 0).all()
    assert (terms["vlb"] >= -1e-6).all()  # a difference of two float32 entropies
    assert all(np.isfinite(term).all() for term in terms.values())
    if target != "previous":  # at t = 1 the bound is -log p(z^0 | z^1), however wrong the logits
        np.testing.assert_allclose(terms["vlb"][0], terms["bce"][0], rtol=1e-6)


@pytest.mark.parametrize("posterior", ["exact", "plug_in"])
def test_bound_is_zero_where_the_prediction_is_certain_and_right(posterior):
    _, codes, noisy, time_steps = random_case(batch=8)
    logits = np.where(codes != noisy, 40.0, -40.0).astype("float32")
    terms = losses(logits, codes, noisy, time_steps, posterior=posterior)
    np.testing.assert_allclose(terms["bce"], 0.0, atol=1e-12)
    np.testing.assert_allclose(terms["vlb"], 0.0, atol=1e-6)
    assert terms["accuracy"].tolist() == [1.0] * 8


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_are_finite_at_extreme_logits_and_point_the_right_way(target):
    _, codes, noisy, time_steps = random_case(batch=5)
    time_steps[:] = [1, 2, 8, 15, 16]
    transition = ops.convert_to_tensor(single_steps(time_steps))

    def loss(logits):
        terms = diffusion_losses(
            logits,
            ops.convert_to_tensor(codes),
            ops.convert_to_tensor(noisy),
            ops.convert_to_tensor(time_steps),
            transition,
            target,
            channel=channel(time_steps),
        )
        return ops.sum(terms["bce"] + terms["vlb"])

    for size in (0.0, 30.0, 120.0, 1e4):
        signs = np.random.default_rng(0).choice([-1.0, 1.0], codes.shape)
        (gradient,) = gradient_of(loss, (size * signs).astype("float32"))
        assert np.isfinite(gradient).all(), f"logits of {size}"
    # At logits of 0 every step of descent moves towards the true bit of t = 1.
    (gradient,) = gradient_of(loss, np.zeros_like(codes))
    wanted = codes != noisy if target == "residual" else codes == 1
    np.testing.assert_array_equal(np.sign(gradient[0]), np.where(wanted[0], -1.0, 1.0))


def test_eager_equals_compiled_and_half_precision_logits_are_computed_in_float32():
    *arrays, time_steps = random_case()
    transition = single_steps(time_steps)
    compiled = check_eager_equals_compiled(diffusion_losses, *arrays, time_steps, transition)
    half = ops.cast(arrays[0], "bfloat16")
    rounded = to_numpy(ops.cast(half, "float32"))
    terms = diffusion_losses(
        half, *(ops.convert_to_tensor(array) for array in (*arrays[1:], time_steps, transition))
    )
    for name in NAMES:
        assert keras.backend.standardize_dtype(terms[name].dtype) == "float32"
        assert compiled[name].shape == (4,)
    expected = losses(rounded, *arrays[1:], time_steps)
    np.testing.assert_allclose(to_numpy(terms["vlb"]), expected["vlb"], rtol=1e-6)
