import pytest
from conversion import plain_torch
from conversion.plain_torch import AutoencoderSizes

from keras_bld.conversion.published_autoencoder import read_stack
from keras_bld.conversion.published_state import published_state

pytestmark = pytest.mark.once


def stack_of(sizes, prefix, change=None):
    state = plain_torch.random_autoencoder(sizes).arrays()
    return read_stack(published_state(change(state) if change else state, "autoencoder"), prefix)


def test_levels_of_encoder_and_generator():
    sizes = AutoencoderSizes(
        image_channels=1,
        multipliers=(1, 3, 2),
        num_blocks=2,
        generator_blocks=1,
        attention=(8, 4),
        embedding_width=64,
        norm_first=False,
    )
    encoder = stack_of(sizes, "ae.encoder.")
    assert encoder.layers == "c" + "rara" + "s" + "rara" + "s" + "rr" + "rar" + "nc"
    assert encoder.widths == (32, 96, 64)
    assert encoder.has_attention == (True, True, False)
    assert (encoder.num_blocks, encoder.first_width) == (2, 32)
    assert (encoder.in_channels, encoder.out_channels) == (1, 64)
    generator = stack_of(sizes, "ae.generator.")
    assert generator.layers == "c" + "rar" + "r" + "s" + "ra" + "s" + "ra" + "nc"
    assert generator.widths == (32, 96, 64)  # the finest level first, as in the encoder
    assert generator.has_attention == (True, True, False)
    assert (generator.num_blocks, generator.norm_first) == (1, False)
    assert (generator.in_channels, generator.out_channels) == (64, 1)


def without_block(number):
    """The blocks after it move up."""

    def change(state):
        prefix = "ae.encoder.blocks."
        changed = {}
        for name, array in state.items():
            if name.startswith(prefix):
                index, rest = name[len(prefix) :].split(".", 1)
                if int(index) == number:
                    continue
                name = f"{prefix}{int(index) - (int(index) > number)}.{rest}"
            changed[name] = array
        return changed

    return change


@pytest.mark.parametrize("number", [1, 2, 5, 6, 10])
def test_irregular_levels_are_refused(number):
    sizes = AutoencoderSizes(num_blocks=2, attention=(8,))
    assert stack_of(sizes, "ae.encoder.").layers == "crarasrrrarnc"
    with pytest.raises(ValueError, match="in the order .*; expected the published order"):
        stack_of(sizes, "ae.encoder.", without_block(number))
