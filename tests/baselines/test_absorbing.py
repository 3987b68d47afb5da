import numpy as np
import pytest
from baselines.priors import MAKERS, SHAPE, constant_codes, predict, sampling_of
from keras import ops


def test_absorbing_reveals_as_the_schedule_says():
    model = predict(MAKERS["absorbing"](), 0.0)
    codes = np.full((500, *SHAPE), 0.5, "float32")
    draws = np.random.default_rng(0).random((2, 500, *SHAPE), "float32")

    step = model.make_step(
        sampling_of(model, 4),
        lambda codes, _: codes * 0.0,
        lambda number: ops.convert_to_tensor(draws[number % 2]),
    )

    def next_codes(index, codes):
        return ops.convert_to_numpy(step(np.int32(index), ops.convert_to_tensor(codes)))

    first = next_codes(0, codes)  # t: 8 -> 5
    assert np.mean(first != 0.5) == pytest.approx(3 / 8, abs=0.02)
    last = next_codes(3, first)  # 1 -> 0 reveals all that is left, and keeps what was there
    assert np.all(last != 0.5)
    np.testing.assert_array_equal(last[first != 0.5], first[first != 0.5])


def test_the_bound_of_absorbing_diffusion_by_hand():
    """Logits 0 cost one bit each; T / t times t / T of the bits are masked."""
    model = predict(MAKERS["absorbing"](), 0.0)
    model.compile()
    found = model.evaluate(constant_codes(512)[0], batch_size=256, verbose=0, return_dict=True)
    assert found["bits_per_dimension"] == pytest.approx(1.0, abs=0.05)
