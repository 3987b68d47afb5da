import keras
import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import QUICK_JIT, check_steps_forget
from keras import ops
from sklearn.datasets import load_digits
from small_models import small_autoencoder

from keras_bld.autoencoder import PatchCritic, PerceptualDistance
from keras_bld.autoencoder.losses import (
    generator_loss,
    hinge_critic_loss,
    last_kernel_gradients,
    reconstruction_loss,
)
from keras_bld.base.backend import compile_function

TERMS = {
    *("loss", "reconstruction", "perceptual", "adversarial", "critic"),
    *("psnr", "dead_bits", "bit_entropy"),
}


@pytest.fixture(scope="module")
def digits():
    return (load_digits().images[:64, ..., None] / 16).astype("float32")


def snapshot(tensor):
    """A copy: on the CPU, torch's arrays share the memory of the variable."""
    return np.array(ops.convert_to_numpy(tensor))


def compute(function, *arrays):
    """Results of a tensor function, compiled: on JAX much faster than operation by operation."""
    return keras.tree.map_structure(snapshot, compile_function(function, list)(*arrays))


def new_model(**arguments):
    keras.utils.set_random_seed(0)
    return small_autoencoder(image_shape=(8, 8, 1), code_channels=8, **arguments)


def small_critic():
    return PatchCritic(base_width=4, num_layers=1)


@pytest.mark.slow
def test_one_step_equals_two_optimizers(digits):
    """One backward pass and one optimizer do what the published code does with four and two.

    The right-hand side is computed term by term: gradients of each loss alone, the adaptive weight
    from them (norms at the last kernel), one SGD step for either network.
    """
    images, learning_rate = digits[:6], 0.1
    model = new_model(
        critic=small_critic(),
        reconstruction="l1",
        reconstruction_weight=2.0,
        adversarial_weight=0.5,
        adaptive_weight="last_layer",
        augment_policy=None,
    )
    model.compile(keras.optimizers.SGD(learning_rate), jit_compile=QUICK_JIT)
    networks = (model.encoder, model.code_logits, model.decoder)
    variables = [v for network in networks for v in network.trainable_variables]
    critic_variables = model.critic.trainable_variables
    values = [snapshot(v) for v in variables]
    critic_values = [snapshot(v) for v in critic_variables]
    seed_state = snapshot(model.bottleneck.bernoulli.seed_generator.state)
    generator = keras.random.SeedGenerator(0)
    generator.state.assign(seed_state)
    noise = snapshot(keras.random.uniform((6, *model.code_shape), seed=generator))
    states = [ops.convert_to_tensor(snapshot(v)) for v in model.critic.non_trainable_variables]

    def forward(*values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            probabilities = model.encode_probabilities(ops.convert_to_tensor(images))
            bits = model.bottleneck.bernoulli(probabilities, deterministic=False, noise=noise)
            features = model.decoder.features(bits)
            return features, model.decoder.last_convolution(features)

    def judge(images, weights=critic_values):
        weights = [ops.convert_to_tensor(weight) for weight in weights]
        return model.critic.stateless_call(weights, states, images, training=True)[0]

    def image_term(reconstruction):
        return 2.0 * reconstruction_loss(images, reconstruction, "l1")

    def critic_loss(*weights):
        real, fake = (ops.convert_to_tensor(x) for x in (images, reconstruction))
        return hinge_critic_loss(judge(real, weights), judge(fake, weights))

    features, reconstruction = compute(forward, *values)
    for_images = gradient_of(lambda *v: image_term(forward(*v)[1]), *values)
    for_critic = gradient_of(lambda *v: generator_loss(judge(forward(*v)[1])), *values)
    at_image = [
        gradient_of(image_term, reconstruction)[0],
        gradient_of(lambda x: generator_loss(judge(x)), reconstruction)[0],
    ]
    kernels = compute(last_kernel_gradients, features, np.stack(at_image))
    weight = 0.5 * np.linalg.norm(kernels[0]) / (np.linalg.norm(kernels[1]) + 1e-4)
    critic_gradients = gradient_of(critic_loss, *critic_values)

    history = model.fit(images, batch_size=6, shuffle=False, verbose=0).history

    assert np.abs(weight * for_critic[0]).max() > 1e-4  # the term matters
    for variable, value, first, second in zip(
        variables, values, for_images, for_critic, strict=True
    ):
        expected = value - learning_rate * (first + weight * second)
        np.testing.assert_allclose(snapshot(variable), expected, atol=2e-5, err_msg=variable.path)
    for variable, value, gradient in zip(
        critic_variables, critic_values, critic_gradients, strict=True
    ):
        expected = value - learning_rate * gradient
        np.testing.assert_allclose(snapshot(variable), expected, atol=2e-5, err_msg=variable.path)
    loss_of_critic = compute(critic_loss, *critic_values)
    assert history["critic"][0] == pytest.approx(float(loss_of_critic), abs=1e-5)
    adversarial = compute(lambda x: generator_loss(judge(x)), reconstruction)
    assert history["adversarial"][0] == pytest.approx(float(adversarial), abs=1e-5)


def test_a_step_knows_nothing_of_the_gradients_before_it(digits):
    model = new_model(critic=small_critic(), critic_start_step=0)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=QUICK_JIT)
    check_steps_forget(model, digits[:4], model)


def test_training_on_digits(digits):
    """Bytes with labels (which are not used), all terms, default augmentation and balance."""
    inputs = keras.Input((8, 8, 1))
    features = keras.Model(inputs, keras.layers.Conv2D(3, 3)(inputs))
    model = new_model(
        critic=small_critic(),
        critic_start_step=4,
        perceptual=PerceptualDistance(features),
        perceptual_weight=0.25,
    )
    model.compile(keras.optimizers.Adam(5e-3), jit_compile=QUICK_JIT)
    images, labels = np.round(digits * 255).astype("uint8"), np.arange(64)
    first_kernel, frozen = snapshot(model.encoder.blocks[0].kernel), snapshot(features.weights[0])
    critic_before = [snapshot(variable) for variable in model.critic.trainable_variables]

    first = model.fit(images, labels, batch_size=16, verbose=0).history
    # Steps 0 to 3 were before the critic's start.
    for variable, value in zip(model.critic.trainable_variables, critic_before, strict=True):
        np.testing.assert_array_equal(snapshot(variable), value)

    history = model.fit(images, labels, batch_size=16, epochs=11, verbose=0).history
    assert set(history) == TERMS
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["reconstruction"][-1] < 0.5 * first["reconstruction"][0]
    assert history["psnr"][-1] > first["psnr"][0] + 2
    assert 0 <= history["dead_bits"][-1] < 0.6 and 0 < history["bit_entropy"][-1] < 1
    # The gradient came through the bits; the critic learned; the perceptual features did not.
    assert np.abs(snapshot(model.encoder.blocks[0].kernel) - first_kernel).max() > 0.01
    assert np.abs(snapshot(model.critic.blocks[0].kernel) - critic_before[0]).max() > 0.01
    np.testing.assert_array_equal(snapshot(features.weights[0]), frozen)

    # What `evaluate` measures is what the inference methods give; it counts no step.
    logs = model.evaluate(images, batch_size=64, verbose=0, return_dict=True)
    reconstruction = snapshot(model(digits))
    distance = snapshot(model.perceptual(digits, reconstruction)).mean()
    squared_error = np.mean((reconstruction - digits) ** 2)
    assert logs["reconstruction"] == pytest.approx(squared_error, rel=0.02)
    assert logs["perceptual"] == pytest.approx(distance, rel=0.02)
    terms = squared_error + 0.25 * distance + logs["adversarial"] + logs["critic"]
    assert logs["loss"] == pytest.approx(terms, rel=0.02)
    assert int(model.num_steps_taken) == 48


@pytest.mark.parametrize(
    ("options", "data", "message"),
    (
        ({"loss": "mse"}, {}, "loss.*received a `loss`.*compile"),
        ({"metrics": ["mae"]}, {}, "metrics.*compile"),
        ({}, {"x": np.full((4, 8, 8, 1), 255.0, "float32")}, "images.*values from 255"),
        ({}, {"x": np.zeros((4, 8, 9, 1), "uint8")}, "images.*received shape"),
        ({}, {"sample_weight": np.ones((63,))}, r"sample_weight.*shape \(63,\).*64 finite"),
        ({}, {"y": None, "class_weight": {0: 2.0}}, "class_weight.*classes without labels"),
    ),
)
def test_bad_training_input(digits, options, data, message):
    model = new_model()
    model.compile("sgd", **options)
    with pytest.raises(ValueError, match=message):
        model.fit(**{"x": digits, "y": np.zeros((64,)), "verbose": 0, **data})
