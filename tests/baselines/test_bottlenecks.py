"""Every bottleneck in the autoencoder, and each by numbers computed by hand."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_bld import baselines

MAKERS = {
    "gaussian": lambda: baselines.GaussianBottleneck(3, seed=0),
    "vector": lambda: baselines.VectorQuantizer(16, 3, seed=0),
    "tanh": lambda: baselines.TanhBernoulli(5, seed=0),
    "lookup_free": lambda: baselines.LookupFreeQuantizer(5),
    "spherical": lambda: baselines.BinarySphericalQuantizer(5),
    "finite_scalar": lambda: baselines.FiniteScalarQuantizer((4, 5)),
}
BITS = {"vector": 4.0, "tanh": 5, "lookup_free": 5, "spherical": 5, "finite_scalar": np.log2(20)}
# What a code may be made of.
VALUES = {
    "tanh": (-1.0, 1.0),
    "lookup_free": (-1.0, 1.0),
    "spherical": (-(5**-0.5), 5**-0.5),
    "finite_scalar": (-1.0, -0.5, 0.0, 0.5, 1.0),
}


def autoencoder(name):
    return baselines.BottleneckAutoencoder(
        (8, 8, 1), MAKERS[name](), base_width=8, width_multipliers=(1, 2), num_blocks=1,
        attention_resolutions=(), embedding_width=8, num_groups=4,
    )  # fmt: skip


def inputs(channels, seed=0):
    return np.random.default_rng(seed).normal(0, 1.5, (4, 3, 3, channels)).astype("float32")


def to_numpy(value):
    return ops.convert_to_numpy(value)


SLOW_BUT_ONE = [
    name if name == "vector" else pytest.param(name, marks=pytest.mark.slow) for name in MAKERS
]


@pytest.mark.parametrize("name", SLOW_BUT_ONE)
def test_training_makes_reconstructions_better(name):
    generator = np.random.default_rng(0)
    levels = generator.random((64, 1, 1, 1))
    images = np.broadcast_to(levels, (64, 8, 8, 1)).astype("float32").copy()
    model = autoencoder(name)
    model.compile(keras.optimizers.Adam(3e-3))
    before = model.evaluate(images, batch_size=32, verbose=0, return_dict=True)["reconstruction"]
    history = model.fit(images, batch_size=32, epochs=8, verbose=0).history
    after = model.evaluate(images, batch_size=32, verbose=0, return_dict=True)["reconstruction"]
    assert after < 0.7 * before
    assert np.isfinite(history["bottleneck_loss"]).all()


@pytest.mark.parametrize("name", SLOW_BUT_ONE)
def test_a_saved_model_gives_the_same_codes(name, tmp_path):
    model = autoencoder(name)
    model.bottleneck(inputs(model.bottleneck.num_inputs), training=True)  # moves a codebook
    images = np.random.default_rng(1).random((3, 8, 8, 1)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.encode(images), model.encode(images), atol=1e-6)
    np.testing.assert_allclose(loaded.reconstruct(images), model.reconstruct(images), atol=1e-5)
    assert loaded.bits_per_image == model.bits_per_image


@pytest.mark.parametrize("name", BITS)
def test_bits_and_values(name):
    bottleneck = MAKERS[name]()
    assert bottleneck.bits_per_cell == pytest.approx(BITS[name])
    codes, _ = bottleneck(inputs(bottleneck.num_inputs))
    codes = to_numpy(codes)
    assert codes.shape == (4, 3, 3, bottleneck.code_channels)
    if name in VALUES:
        distance = np.abs(codes[..., None] - np.array(VALUES[name])).min(axis=-1)
        assert distance.max() < 1e-6


def test_finite_scalars_reach_every_combination():
    quantizer = baselines.FiniteScalarQuantizer((4, 5))
    grid = np.linspace(-6, 6, 400)
    cells = np.array(list(itertools.product(grid, grid[::8])), "float32")
    codes = to_numpy(quantizer(cells[None, None])[0])[0, 0]
    assert len(np.unique(np.round(codes, 4), axis=0)) == 20


def test_the_codebook_moves_as_computed_by_hand():
    quantizer = baselines.VectorQuantizer(2, 1, momentum=0.5, revival_threshold=0.0, seed=0)
    quantizer.codebook.assign([[0.0], [10.0]])
    quantizer.sums.assign([[0.0], [10.0]])
    cells = np.array([1.0, 2.0, 9.0], "float32").reshape(1, 1, 3, 1)
    codes, loss = quantizer(cells, training=True)
    assert to_numpy(codes).ravel().tolist() == [0.0, 0.0, 10.0]
    assert float(loss) == pytest.approx(0.25 * (1 + 4 + 1) / 3)
    # counts: (1 + 2) / 2 and (1 + 1) / 2; sums: (0 + 3) / 2 and (10 + 9) / 2.
    np.testing.assert_allclose(to_numpy(quantizer.codebook).ravel(), [1.0, 9.5], rtol=1e-6)
    quantizer(cells)  # evaluation moves nothing
    np.testing.assert_allclose(to_numpy(quantizer.codebook).ravel(), [1.0, 9.5], rtol=1e-6)


def test_a_dead_codeword_is_replaced_by_an_input():
    quantizer = baselines.VectorQuantizer(2, 1, momentum=0.0, revival_threshold=0.5, seed=0)
    quantizer.codebook.assign([[0.0], [100.0]])
    cells = np.array([1.0, 2.0, 3.0], "float32").reshape(1, 1, 3, 1)
    quantizer(cells, training=True)
    first, second = to_numpy(quantizer.codebook).ravel()
    assert first == pytest.approx(2.0) and second in (1.0, 2.0, 3.0)


def test_the_code_of_tanh_is_right_on_average():
    layer = baselines.TanhBernoulli(1, seed=0)
    values = np.full((1, 100, 100, 1), 0.5, "float32")
    codes = to_numpy(layer(values, training=True)[0])
    assert codes.mean() == pytest.approx(np.tanh(0.5), abs=0.03)
    assert to_numpy(layer(values)[0]).min() == 1.0


def test_the_entropy_loss_by_hand():
    layer = baselines.LookupFreeQuantizer(1, entropy_weight=1.0, commitment_weight=0.0)
    # Two cells, sure and opposite: H(p) = 0, and the mean is even: -log 2.
    cells = np.array([-9.0, 9.0], "float32").reshape(1, 1, 2, 1)
    assert float(layer(cells)[1]) == pytest.approx(-np.log(2), abs=1e-4)
    # Both undecided: log 2 - log 2.
    assert float(layer(0.0 * cells)[1]) == pytest.approx(0.0, abs=1e-6)


def test_spherical_codes_have_unit_length():
    codes = to_numpy(MAKERS["spherical"]()(inputs(5))[0])
    np.testing.assert_allclose(np.linalg.norm(codes, axis=-1), 1.0, rtol=1e-6)


def test_no_bottleneck():
    with pytest.raises(TypeError, match="Bottleneck"):
        baselines.BottleneckAutoencoder((8, 8, 1), keras.layers.Dense(3))
    model = autoencoder("vector")
    with pytest.raises(ValueError, match="call encode"):
        model.encode_probabilities(np.zeros((1, 8, 8, 1)))
    with pytest.warns(RuntimeWarning, match="received a BottleneckAutoencoder"):
        assert not model.compile_for_inference()
