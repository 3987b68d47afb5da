import numpy as np
import pytest
from serving.fast_path import NUM_STEPS, TOLERANCE, differing, larger_weights, on_both_paths
from small_models import IMAGE_SHAPE, PixelAutoencoder, tiny_denoiser, tiny_model

from keras_bld.base import random as bld_random

pytest.importorskip("openvino")


@pytest.mark.parametrize(
    "target, posterior, final",
    [
        ("residual", "exact", "sample"),
        ("z0", "plug_in", "threshold"),
        ("extrinsic", "exact", "threshold"),
        ("previous", "plug_in", "sample"),
    ],
)
def test_every_way_to_sample(make_model, target, posterior, final):
    model = make_model(target=target)
    noise = np.random.default_rng(2).random((NUM_STEPS + 1, 6, 4, 4, 4), dtype="float32")
    settings = {"posterior": posterior, "final": final, "batch_size": 4}
    settings |= {"noise": noise, "return_trajectory": True, "temperature": 0.7}
    plain, fast = on_both_paths(model, lambda: model.generate_codes(6, **settings))
    assert fast.shape == (NUM_STEPS + 1, 6, 4, 4, 4)
    assert differing(plain, fast) <= TOLERANCE["float32"]


def test_corrections(make_model):
    model = make_model()
    settings = {"kappa": 0.8, "corrector_steps": 2, "seed": 1, "return_trajectory": True}
    plain, fast = on_both_paths(model, lambda: model.generate_codes(6, **settings))
    assert fast.shape[0] == 1 + NUM_STEPS + 2 * (NUM_STEPS - 1)
    assert differing(plain, fast) <= TOLERANCE["float32"]
    assert differing(fast[-1], model.generate_codes(6, seed=1)) > 0.01


def test_noise_is_that_of_the_seed(make_model):
    model = make_model()
    assert model.compile_for_inference(precision="float32")
    draws = [
        np.asarray(bld_random.uniforms(9, np.arange(3), step, (4, 4, 4)))
        for step in range(NUM_STEPS + 1)
    ]
    made = model.generate_codes(3, seed=9, batch_size=2)
    np.testing.assert_array_equal(model.generate_codes(3, noise=np.stack(draws)), made)


def test_images_and_inpainting():
    denoiser = tiny_denoiser(num_classes=5)
    larger_weights(denoiser)
    model = tiny_model(denoiser, autoencoder=PixelAutoencoder())
    images = np.random.default_rng(0).random((4, *IMAGE_SHAPE), dtype="float32")
    mask = np.zeros(IMAGE_SHAPE[:2])
    mask[:2] = 1
    settings = {"labels": 1, "seed": 2, "batch_size": 4}

    def made():
        return np.stack(
            [
                model.generate(4, **settings),
                np.concatenate(list(model.generate_batches(4, **settings))),
                model.inpaint(images, mask, **settings, guidance_scale=1.0),
                model.interpolate(images[:1], images[1:2], 4, 1.0, **settings)[0],
            ]
        )

    plain, fast = on_both_paths(model, made)
    assert plain.shape == fast.shape == (4, 4, *IMAGE_SHAPE)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    np.testing.assert_array_equal(fast[2, :, 2:], images[:, 2:])


def test_new_arguments_do_not_compile_again(make_model):
    model = make_model("class")
    assert model.compile_for_inference()
    assert model.num_traces == 1
    settings = {"labels": 0, "seed": 1, "temperature": 0.9, "guidance_scale": 0.0}
    made = [model.generate_codes(4, **settings)]
    for change in (
        {"seed": 2},
        {"temperature": 0.1},
        {"guidance_scale": 2.0},
        {"labels": [3, 2, 1, 0]},
        {"batch_size": 3},
        {"num_steps": 2, "posterior": "plug_in", "final": "sample"},
    ):
        made.append(model.generate_codes(4, **{**settings, **change}))
    assert model.num_traces == 1
    changed = [differing(made[0], codes) for codes in made[1:]]
    assert all(share > 0 for share in (*changed[:4], changed[5]))
    assert changed[4] == 0  # the batch size


def test_guidance_is_one_call_on_a_doubled_batch(make_model):
    model = make_model("class")
    model.compile_for_inference(precision="float32")
    batches = []
    program = model._inference_engine._program

    def recording(**inputs):
        batches.append(len(inputs["codes"]))
        return program(**inputs)

    model._inference_engine._program = recording
    recording.refresh = program.refresh
    model.generate_codes(3, labels=1, guidance_scale=2.0)
    assert batches == [6] * NUM_STEPS
    batches.clear()
    model.generate_codes(3, labels=1)
    assert batches == [3] * NUM_STEPS
