import numpy as np
import pytest

from keras_bld.serving.openvino_runtime import openvino_core
from keras_bld.serving.service.networks import Network, Networks

pytestmark = pytest.mark.on_tensorflow
MOST = 8


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def networks(program, exact_networks, request):
    if request.param == "float32":
        return exact_networks
    networks = Networks(program, 4, request.param, 1)
    while networks.grow():
        pass
    return networks


def rows_of(networks, count):
    generator = np.random.default_rng(0)
    return {
        "codes": generator.integers(0, 2, (count, *networks.code_shape)).astype("float32"),
        "time_steps": generator.integers(1, 5, count),
        "tokens": np.stack([networks.class_token(label % 3) for label in range(count)]),
        "present": np.arange(count) % 2 == 0,
    }


def test_a_row_has_the_same_bits_in_every_batch(networks):
    assert networks.most_rows >= 4 and networks.refused() == {}
    rows = rows_of(networks, 2 * MOST + 3)
    together = networks.logits(**rows)
    images = networks.decode(rows["codes"])
    codes = networks.encode(images)
    assert len(np.unique(together)) > 100 and 0.1 < codes.mean() < 0.9
    generator = np.random.default_rng(1)
    for count in (1, 2, 3, 5, 8, 11):
        chosen = generator.choice(len(together), count, replace=False)
        some = networks.logits(**{name: array[chosen] for name, array in rows.items()})
        np.testing.assert_array_equal(some, together[chosen])
        np.testing.assert_array_equal(networks.decode(rows["codes"][chosen]), images[chosen])
        np.testing.assert_array_equal(networks.encode(images[chosen]), codes[chosen])


def test_a_size_that_gives_other_bits_is_not_used(program, monkeypatch):
    compile_as_it_is = Network._compile

    class Another:
        def __init__(self, request):
            self._request = request

        def infer(self, inputs):
            return [np.nextafter(self._request.infer(inputs)[0], np.float32(9.0))]

    def compiled(self, size):
        request = compile_as_it_is(self, size)
        return Another(request) if size == 4 else request

    monkeypatch.setattr(Network, "_compile", compiled)
    pytest.importorskip("openvino")
    network = Network(openvino_core(), program.directory / "denoiser.xml", {}, (2, 4, 8))
    while network.grow():
        pass
    assert network.refused == (4,) and network.largest == 8
    rows = network._sample(3)
    assert network(**rows).shape == (3, 64, 4)
    assert set(network._requests) == {2, 8}
