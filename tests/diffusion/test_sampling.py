from fractions import Fraction
from math import floor

import numpy as np
import pytest
from diffusion.published import reference
from hypothesis import given
from hypothesis import strategies as st
from small_models import LinearDenoiser, tiny_denoiser, tiny_model

from keras_bld.diffusion.sampling import Sampling, uniform_grid


@pytest.mark.once
@given(st.integers(1, 400).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T))))
def test_the_uniform_grid_is_the_stated_one(total_and_steps):
    total, num_steps = total_and_steps
    grid = uniform_grid(total, num_steps)
    if num_steps == 1:
        assert grid.tolist() == [total]  # the chain starts from coin flips
        return
    stated = [floor(Fraction(i, num_steps - 1) * (total - 1)) + 1 for i in range(num_steps)]
    assert grid.tolist() == stated[::-1]
    assert grid[0] == total and grid[-1] == 1 and (np.diff(grid) < 0).all()


@pytest.mark.once
def test_the_uniform_grid_by_hand():
    assert uniform_grid(16).tolist() == list(range(16, 0, -1))
    assert uniform_grid(16, 4).tolist() == [16, 11, 6, 1]
    assert uniform_grid(16, 2).tolist() == [16, 1]
    published = reference("denoiser_uncond")["trajectory/steps"]
    assert uniform_grid(16, 16).tolist() == published.tolist()
    for bad in (0, 17, -1, 2.0, True):
        with pytest.raises(ValueError, match=r"`num_steps`: .* an integer in \[1, 16\]"):
            uniform_grid(16, bad)


@pytest.mark.once
def test_a_call_says_what_differs_from_the_models_own():
    own = Sampling(num_steps=4, temperature=1.5, guidance_scale=2.0, posterior="plug_in")
    model = tiny_model(LinearDenoiser(num_classes=3), sampling=own)
    codes = model.generate_codes(6, labels=1, seed=0)
    said = model.generate_codes(
        6, labels=1, seed=0, num_steps=4, temperature=1.5, guidance_scale=2.0, posterior="plug_in"
    )
    np.testing.assert_array_equal(codes, said)
    other = model.generate_codes(6, labels=1, seed=0, sampling=Sampling(4))
    plain = tiny_model(model.denoiser, sampling=Sampling(4)).generate_codes(6, labels=1, seed=0)
    np.testing.assert_array_equal(other, plain)
    assert np.any(other != codes)
    # The model's own guidance does not stand in the way of images without a condition.
    assert model.generate_codes(2, drop_condition=True, seed=0).shape == (2, *model.code_shape)


@pytest.mark.once
def test_explicit_time_steps_replay_a_grid():
    model = tiny_model(LinearDenoiser())
    by_number = model.generate_codes(4, num_steps=3, seed=1)
    steps = uniform_grid(8, 3).tolist()
    np.testing.assert_array_equal(model.generate_codes(4, time_steps=steps, seed=1), by_number)
    assert np.any(model.generate_codes(4, time_steps=[8, 7, 6], seed=1) != by_number)
    # They take the place of the number of steps, and the other way round.
    model.sampling = Sampling(time_steps=(8, 2))
    assert len(model.generate_codes(1, return_trajectory=True)) == 3
    assert len(model.generate_codes(1, num_steps=4, return_trajectory=True)) == 5


@pytest.mark.once
def test_it_is_part_of_the_config():
    sampling = Sampling(
        time_steps=(8, 3),
        temperature=0.7,
        final="sample",
        kappa=0.9,
        corrector_steps=2,
        corrector_share=0.1,
        known_bits="noised",
    )
    model = tiny_model(sampling=sampling)
    assert type(model).from_config(model.get_config()).sampling == sampling
    assert Sampling.of(sampling.to_dict()) == sampling and Sampling.of(None) == Sampling()
    with pytest.raises(TypeError, match="`sampling`: received 16"):
        tiny_model(sampling=16)


@pytest.mark.once
@pytest.mark.parametrize(
    "values, message",
    [
        ({"num_steps": 0}, "`num_steps`: received 0"),
        ({"temperature": 0}, "`temperature`: received 0"),
        ({"guidance_scale": -1.0}, "`guidance_scale`: received -1.0"),
        ({"posterior": "other"}, "`posterior`: received 'other'"),
        ({"final": "round"}, "`final`: received 'round'"),
        ({"kappa": 0.0}, "`kappa`: received 0.0; expected a finite number > 0.0 and <= 1.0"),
        ({"kappa": 1.1}, "`kappa`: received 1.1"),
        ({"corrector_steps": -1}, "`corrector_steps`: received -1"),
        ({"corrector_share": 2}, "`corrector_share`: received 2"),
        ({"known_bits": "none"}, "`known_bits`: received 'none'"),
        ({"kappa": 0.9, "posterior": "plug_in"}, "`posterior`: received 'plug_in' with kappa=0.9"),
        ({"corrector_steps": 1, "posterior": "plug_in"}, "`posterior`: received 'plug_in' with"),
        ({"time_steps": ()}, "`time_steps`: received"),
        ({"time_steps": (3, 3)}, "expected one or more time steps, falling"),
        ({"time_steps": (3, 5)}, "expected one or more time steps, falling"),
        ({"time_steps": (5, 0)}, "`time_steps`: received 0"),
        ({"time_steps": (5, 3), "num_steps": 3}, "`num_steps`: received 3 with 2 time_steps"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**values)


@pytest.mark.once
def test_what_does_not_fit_the_model_is_refused_when_it_is_built():
    with pytest.raises(ValueError, match=r"`num_steps`: received 9; expected .* \[1, 8\]"):
        tiny_model(sampling=Sampling(num_steps=9))
    with pytest.raises(ValueError, match="`time_steps`: received 9"):
        tiny_model(sampling=Sampling(time_steps=(9, 1)))
    with pytest.raises(ValueError, match="`num_steps`: received 4; expected 8, all steps"):
        tiny_model(target="previous", sampling=Sampling(num_steps=4))
    with pytest.raises(ValueError, match="`corrector_steps`: received 1; expected kappa=1 and"):
        tiny_model(target="previous", sampling=Sampling(corrector_steps=1))
    with pytest.raises(ValueError, match="`kappa`: received 0.5"):
        tiny_model(target="previous").generate_codes(1, kappa=0.5)
    with pytest.raises(TypeError, match="`temprature`: received an option .* mean temperature"):
        tiny_model().generate_codes(1, temprature=1.0)


@pytest.mark.once
def test_class_names_stand_for_labels():
    model = tiny_model(tiny_denoiser(num_classes=2), class_names=["apple", "cat"])
    np.testing.assert_array_equal(
        model.generate_codes(2, labels=["cat", "apple"], seed=0),
        model.generate_codes(2, labels=[1, 0], seed=0),
    )
    with pytest.raises(ValueError, match="'apple'"):
        model.generate_codes(1, labels="aple")
    with pytest.raises(ValueError, match="`class_names`: received 3 names"):
        tiny_model(tiny_denoiser(num_classes=2), class_names="abc")


@pytest.mark.once
def test_metadata_says_what_the_config_does_not():
    metadata = {
        "settings": {"sampling_steps": 16, "temperature": 1.75, "guidance_scale": 0.25},
        "class_names": ["a", "b"],
    }
    model = tiny_model(tiny_denoiser(num_classes=2))
    model.use_metadata(metadata)
    before = {"final": "threshold", "tempering": "logits"}  # of presets that name neither
    assert model.sampling == Sampling(8, temperature=1.75, guidance_scale=0.25, **before)  # T is 8
    assert model.class_names == ("a", "b")
    model = tiny_model(sampling=Sampling(num_steps=2))
    model.use_metadata(metadata)
    assert model.sampling == Sampling(num_steps=2)
    assert Sampling.of({"num_steps": 2}) == Sampling(num_steps=2, **before)
