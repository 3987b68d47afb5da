import itertools

import numpy as np
import pytest
from small_models import (
    IMAGE_SHAPE,
    PixelAutoencoder,
    StubDenoiser,
    log_odds,
    random_codes,
    simple_logits,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.base.packing import pack_codes
from keras_bld.diffusion.sampling import uniform_grid
from keras_bld.diffusion.time_grid import TimeGrid, cheapest_path, fit_time_grid, step_costs

once = pytest.mark.once
PRIOR = 0.9


def informed_model(**settings):
    """Independent bits, P(1) = 0.9, and a denoiser that knows it: target "extrinsic"."""
    denoiser = StubDenoiser(lambda codes, time_steps: 0.0 * codes + float(log_odds(PRIOR)))
    return tiny_model(denoiser, target="extrinsic", label_dropout=0.0, **settings)


def biased_codes(count, seed=0):
    model = informed_model()
    draws = np.random.default_rng(seed).random((count, *model.code_shape))
    return (draws < PRIOR).astype("float32")


def cost_by_hand(k, t, s):
    """E KL(q(z^s | z^t, z^0) || p(z^s | z^t)) of one such bit in nats, all states summed up."""
    total = 0.0
    for start, noisy in itertools.product((0, 1), repeat=2):
        weight = (PRIOR if start else 1 - PRIOR) * (1 + k[t] * (1 if start == noisy else -1)) / 2

        def one(code, noisy=noisy):  # q(z^s = 1 | z^t, z^0 = code)
            by_state = [
                (1 + k[s] * (1 if state == code else -1))
                / 2
                * (1 + k[t] / k[s] * (1 if state == noisy else -1))
                / 2
                for state in (0, 1)
            ]
            return by_state[1] / sum(by_state)

        belief = np.array([1 - PRIOR, PRIOR])
        belief = belief * [(1 + k[t] * (1 if code == noisy else -1)) / 2 for code in (0, 1)]
        belief = belief / belief.sum()
        true, made = one(start), belief @ [one(0), one(1)]
        for q, p in ((true, made), (1 - true, 1 - made)):
            if q > 0:
                total += weight * q * np.log(q / p)
    return total


@once
def test_costs_by_hand():
    model = informed_model()
    steps = np.array([1, 3, 6, 8])
    costs = step_costs(model, biased_codes(3000), None, steps, seed=1, batch_size=500)
    assert costs.shape == (4, 5)
    levels = [0, *steps]
    for row, column in itertools.product(range(4), range(5)):
        if column > row:
            assert costs[row, column] == np.inf
            continue
        by_hand = cost_by_hand(model.schedule.k, steps[row], levels[column])
        assert costs[row, column] == pytest.approx(by_hand, rel=0.05)


@once
def test_the_cheapest_path_is_that_of_trying_all():
    random = np.random.default_rng(0)
    for size, num_steps in ((1, 1), (5, 1), (5, 3), (6, 6), (7, 4)):
        costs = np.where(np.tri(size, size + 1) > 0, random.random((size, size + 1)), np.inf)
        found = []
        for middle in itertools.combinations(range(size - 1), num_steps - 1):
            path = [size - 1, *reversed(middle)]
            places = [*(place + 1 for place in path[1:]), 0]
            found.append((sum(costs[pair] for pair in zip(path, places, strict=True)), path))
        assert cheapest_path(costs, num_steps).tolist() == min(found)[1]


def test_a_fitted_grid_costs_less_than_the_uniform_one():
    model, codes = informed_model(), biased_codes(256)
    for num_steps in (1, 2, 3, 8):
        grid = fit_time_grid(model, codes, num_steps, progress=False)
        assert isinstance(grid, TimeGrid) and len(grid.time_steps) == num_steps
        assert grid.time_steps[0] == 8 and (np.diff(grid.time_steps) < 0).all()
        assert grid.bits_per_dimension <= grid.uniform_bits_per_dimension
    # All steps: the uniform grid, and the bound of `likelihood`, by other noise.
    assert list(grid.time_steps) == uniform_grid(8).tolist()
    assert grid.bits_per_dimension == grid.uniform_bits_per_dimension
    bound = model.likelihood(codes, progress=False)["bits_per_dimension"].mean()
    assert grid.bits_per_dimension == pytest.approx(bound, rel=0.05)
    # It goes into the model's sampler.
    three = fit_time_grid(model, codes, 3, progress=False)
    assert three.bits_per_dimension < three.uniform_bits_per_dimension - 1e-4
    model.sampling = model.sampling.replace(time_steps=three.time_steps)
    assert tuple(model.time_grid(model.sampling)) == three.time_steps


@once
def test_images_codes_and_packed_codes_are_the_same_data():
    model = tiny_model(
        StubDenoiser(simple_logits), target="extrinsic", autoencoder=PixelAutoencoder()
    )
    images = np.random.default_rng(0).random((40, *IMAGE_SHAPE), dtype="float32")
    codes = model.autoencoder.encode(images)
    grids = {
        fit_time_grid(model, data, 3, num_codes=30, progress=False)
        for data in (images, codes, pack_codes(codes))
    }
    assert len(grids) == 1


@once
def test_conditions():
    model = tiny_model(StubDenoiser(simple_logits, num_classes=3), target="z0")
    codes, labels = random_codes(20), np.arange(20) % 3
    asked = fit_time_grid(model, codes, 4, labels, progress=False)
    assert asked != fit_time_grid(model, codes, 4, np.zeros(20, int), progress=False)
    assert asked != fit_time_grid(model, codes, 4, drop_condition=True, progress=False)
    in_parts = fit_time_grid(model, codes, 4, labels, batch_size=7, progress=False)
    assert asked.time_steps == in_parts.time_steps
    assert asked.bits_per_dimension == pytest.approx(in_parts.bits_per_dimension, rel=1e-5)


@once
def test_refuses():
    codes = random_codes(4)
    for model, given, message in (
        (tiny_model(), {"num_steps": 9}, r"`num_steps`: received 9; expected .* \[1, 8\]"),
        (tiny_model(target="previous"), {"num_steps": 8}, "`model`: received a model that can"),
        (tiny_model(tiny_denoiser(num_classes=2)), {"num_steps": 2}, "`labels`"),
        (tiny_model(), {"num_steps": 2, "num_codes": 0}, "`num_codes`: received 0"),
        (tiny_model(), {"num_steps": 2, "data": codes + 1}, "`x`"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_time_grid(model, given.pop("data", codes), **given)
