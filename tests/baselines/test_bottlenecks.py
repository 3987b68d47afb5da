import pytest

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.baselines import (
    BOTTLENECKS,
    WITHOUT_BITS,
    BottleneckAutoencoder,
    autoencoder_with,
)

pytestmark = pytest.mark.once
SIZES = {"base_width": 4, "width_multipliers": (1,), "embedding_width": 4, "num_groups": 2}


@pytest.mark.parametrize("bits", (3, 8, 32))
def test_no_bottleneck_of_the_table_has_more_bits(bits):
    for name, build in BOTTLENECKS.items():
        bottleneck = build(bits)
        assert bottleneck.has_binary_codes == (name not in WITHOUT_BITS)
        assert bottleneck.code_channels <= bits
    assert BOTTLENECKS["vector_quantized"](32).codebook_size == 1024  # the paper's
    assert BOTTLENECKS["finite_scalar"](32).levels == (8, 5, 5, 5)


def test_the_autoencoder_of_a_name():
    model = autoencoder_with("bernoulli", (4, 4, 1), 3, **SIZES)
    assert type(model) is BinaryAutoencoder and model.code_shape == (4, 4, 3)
    model = autoencoder_with("finite_scalar", (4, 4, 1), 6, **SIZES)
    assert type(model) is BottleneckAutoencoder and model.bottleneck.levels == (8, 5)
    with pytest.raises(ValueError, match="bottleneck.*'ternary'.*'bernoulli', 'vector_quantized'"):
        autoencoder_with("ternary", (4, 4, 1), 6, **SIZES)
