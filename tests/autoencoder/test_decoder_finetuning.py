import numpy as np
import pytest
from harness import to_numpy
from small_models import small_autoencoder, small_diffusion

from keras_bld.autoencoder import PatchCritic, PerceptualDistance, finetune_decoder
from keras_bld.presets import autoencoder_fingerprint

NUM = 24


class Squares(PerceptualDistance):
    """A distance without a network."""

    def __init__(self):
        import keras

        super().__init__(keras.layers.Identity())


def stripes(model, num=NUM, seed=0):
    """Images that an untrained decoder makes badly: each of one grey."""
    greys = np.random.default_rng(seed).integers(0, 256, (num, 1, 1, 1), dtype="uint8")
    return np.broadcast_to(greys, (num, *model.image_shape)).copy()


@pytest.fixture(scope="module")
def autoencoder():
    import keras

    keras.utils.set_random_seed(1)
    return small_autoencoder()


def error(model, images):
    return np.mean(np.square(model.reconstruct(images) - images / 255.0))


def weights(part):
    return [to_numpy(weight) for weight in part.weights]


def assert_same(one, other):
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


def test_images_come_nearer_and_codes_stay(autoencoder):
    images, before = stripes(autoencoder), weights(autoencoder)
    tuned = finetune_decoder(autoencoder, images, num_steps=100, batch_size=8, learning_rate=3e-3)
    assert error(tuned, images) < 0.5 * error(autoencoder, images)
    np.testing.assert_array_equal(tuned.encode(images), autoencoder.encode(images))
    assert_same(weights(tuned.encoder), weights(autoencoder.encoder))
    assert_same(weights(autoencoder), before)  # it stays as it is
    assert autoencoder_fingerprint(tuned) != autoencoder_fingerprint(autoencoder)


def test_a_diffusion_keeps_its_denoiser(autoencoder):
    model = small_diffusion(autoencoder)
    tuned = finetune_decoder(model, stripes(autoencoder), num_steps=2, learning_rate=0.1)
    codes = model.generate_codes(2, seed=1)
    np.testing.assert_array_equal(tuned.generate_codes(2, seed=1), codes)
    made = tuned.generate(2, seed=1)
    np.testing.assert_array_equal(made, tuned.autoencoder.decode(codes))
    assert np.abs(made - model.generate(2, seed=1)).max() > 1e-3
    assert tuned.autoencoder.decoder.trainable == model.autoencoder.decoder.trainable


def test_all_terms_of_the_objective_count(autoencoder):
    """Each changes what is learned; the parts that only training needs stay behind."""
    images, made = stripes(autoencoder, 8), []
    for parts in (
        {},
        {"perceptual": Squares(), "perceptual_weight": 1.0},
        {"critic": PatchCritic(4, 1)},
        {"critic": PatchCritic(4, 1), "critic_start_step": 5},
        {"flipped": 0.4},
    ):
        tuned = finetune_decoder(autoencoder, images, num_steps=3, batch_size=4, **parts)
        assert tuned.critic is None and tuned.perceptual is None
        made.append(tuned.reconstruct(images))
    plain, perceptual, critic, late_critic, flipped = made
    np.testing.assert_array_equal(late_critic, plain)
    for other in (perceptual, critic, flipped):
        assert np.abs(other - plain).max() > 1e-5


@pytest.mark.once
def test_mirrored_images_are_learned_as_well(autoencoder):
    images = stripes(autoencoder, 1)
    images[:, :, : images.shape[2] // 2] = 0
    mirrored = images[:, :, ::-1]
    plain, both = (
        finetune_decoder(
            autoencoder, images, num_steps=40, batch_size=2, learning_rate=3e-3, random_flip=flip
        )
        for flip in (False, True)
    )
    assert error(both, mirrored) < error(plain, mirrored)


@pytest.mark.once
def test_the_same_call_goes_on(autoencoder, tmp_path):
    images = stripes(autoencoder, 8)
    options = {"num_steps": 3, "batch_size": 4, "work_dir": tmp_path}
    first, again = (finetune_decoder(autoencoder, images, **options) for _ in range(2))
    assert_same(weights(first), weights(again))
    for changed in ({"images": images[:4]}, {"adversarial_weight": 0.1}, {"critic": True}):
        with pytest.raises(ValueError, match="work_dir"):
            finetune_decoder(autoencoder, **{"images": images, **options, **changed})


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"flipped": 0.6}, "flipped"),
        ({"perceptual_weight": -1.0}, "perceptual_weight"),
        ({"images": np.zeros((2, 4, 4, 3), "uint8")}, "images.*4, 4, 3"),
    ],
)
def test_refused(autoencoder, options, message):
    images = stripes(autoencoder, 2)
    with pytest.raises(ValueError, match=message):
        finetune_decoder(autoencoder, **{"images": images, **options})
