"""Published autoencoders -> `BinaryAutoencoder`."""

from keras_bld.autoencoder import BinaryAutoencoder, PatchCritic
from keras_bld.base import checks
from keras_bld.conversion import names
from keras_bld.conversion.placement import place
from keras_bld.conversion.published_autoencoder import read_stack, stack_rows
from keras_bld.conversion.published_state import missing_tensors, published_state, split_left_over
from keras_bld.conversion.report import ConversionReport

_ENCODER, _GENERATOR, _CRITIC = "ae.encoder.", "ae.generator.", "disc.main."
_REASONS = (
    ("ae.*.conv_out.*", "an unused shortcut: the block keeps its number of channels"),
    ("ae.generator.logsigma.*", "the published code never uses it"),
    ("disc.*.num_batches_tracked", "only torch's batch normalisation without momentum reads it"),
    ("disc.*", "the critic was not asked for (critic=True takes it along)"),
    ("perceptual.*", "the perceptual distance (LPIPS), fixed and not part of the autoencoder"),
)


def autoencoder_from_published(
    state_dict, image_size, attention_resolutions=(16,), critic=False, ignore=()
):
    """Build a `BinaryAutoencoder` from a published checkpoint (`binaryae_ema_*.th`).

    Levels, widths, blocks per level (also where the generator has more, `--gen_mul`), embedding
    width, code channels, and whether the generator normalises first come from names and shapes.

    Args:
        state_dict: mapping published name -> array, in torch's layouts, see `read_checkpoint`.
            A prefix before all names (`module.`, `ema.`, ...) is stripped.
        image_size: height and width in pixels (`--img_size`).
        attention_resolutions: heights that have attention (`--attn_resolutions`); checked against
            the layers in the file. None takes what the file shows.
        critic: whether the model gets the published critic (`disc.*`), for further training.
        ignore: names or patterns (`fnmatch`) of tensors of the network that are not needed.

    Returns:
        A built `BinaryAutoencoder`.

    Raises:
        TypeError: `state_dict` is not a mapping.
        ValueError: missing tensors, shapes that clash, unknown tensors of the network, another
            kind of file, or sizes that the file contradicts.

    Example:

    >>> from keras_bld.conversion import autoencoder_from_published, read_checkpoint
    >>> state = read_checkpoint("binaryae_ema_8100000.th")               # doctest: +SKIP
    >>> model = autoencoder_from_published(state, image_size=256)        # doctest: +SKIP
    """
    model, _ = convert_autoencoder(state_dict, image_size, attention_resolutions, critic, ignore)
    return model


def convert_autoencoder(
    state_dict, image_size, attention_resolutions=(16,), critic=False, ignore=()
):
    """`autoencoder_from_published` that also tells what went where.

    Args:
        state_dict, image_size, attention_resolutions, critic, ignore: see
            `autoencoder_from_published`.

    Returns:
        The model and a `ConversionReport`.
    """
    state = published_state(state_dict, "autoencoder")
    encoder, generator = read_stack(state, _ENCODER), read_stack(state, _GENERATOR)
    image_size = _check_image_size(image_size, len(encoder.widths))
    attention = _attention_resolutions(encoder, generator, image_size, attention_resolutions)
    multipliers = _width_multipliers(encoder, generator)
    sizes = {
        "image_shape": (image_size, image_size, encoder.in_channels),
        "code_channels": state.shape("ae.quantize.embed.weight", 2)[0],
        "base_width": encoder.first_width,
        "width_multipliers": multipliers,
        "num_blocks": encoder.num_blocks,
        "decoder_num_blocks": generator.num_blocks,
        "attention_resolutions": attention,
        "embedding_width": encoder.out_channels,
        "norm_first": generator.norm_first,
    }
    critic_layer, critic_sizes = _critic(state) if critic else (None, {})
    with state.bounded_building():
        model = BinaryAutoencoder(**sizes, critic=critic_layer)
    rows = names.expand(names.BITS)
    rows += stack_rows(encoder, model.encoder.blocks, _ENCODER, "encoder.")
    rows += stack_rows(generator, model.decoder.blocks, _GENERATOR, "decoder.")
    if critic_layer is not None:
        rows += _critic_rows(critic_layer)
    placed = place(model, rows, state)
    networks = ("ae.", "disc.") if critic else ("ae.",)
    # A shortcut or logsigma has its reason below; for a critic asked for, there is none.
    reasons = [row for row in _REASONS if not (critic and row[0] == "disc.*")]
    left_over = split_left_over(state, {name for name, _, _ in rows}, reasons, ignore, networks)
    sizes |= {"downsampling_factor": model.downsampling_factor, "code_shape": model.code_shape}
    return model, ConversionReport(type(model).__name__, sizes | critic_sizes, placed, left_over)


def _check_image_size(image_size, num_levels):
    image_size = checks.check_integer("image_size", image_size, 1)
    factor = 2 ** (num_levels - 1)
    if image_size % factor:
        raise checks.error(
            "image_size",
            repr(image_size),
            f"a multiple of {factor}, because the file has {num_levels} levels",
            "pass the size that the model was trained with",
        )
    return image_size


def _attention_resolutions(encoder, generator, image_size, resolutions):
    """The heights with attention, after a check that the file has attention just there."""
    heights = [image_size // 2**level for level in range(len(encoder.widths))]
    shown = [
        tuple(height for height, has in zip(heights, stack.has_attention, strict=False) if has)
        for stack in (encoder, generator)
    ]
    if resolutions is None:
        resolutions = shown[0]
    asked = tuple(height for height in heights if height in tuple(resolutions))
    for stack, in_file in zip(("encoder", "generator"), shown, strict=True):
        if in_file != asked:
            raise checks.error(
                "attention_resolutions",
                f"{tuple(resolutions)} with image_size={image_size}, that is attention at {asked}",
                f"attention at {in_file}, as the {stack} in the file has it",
                f"pass attention_resolutions={in_file}, or the image_size of training",
            )
    return tuple(resolutions)


def _width_multipliers(encoder, generator):
    base = encoder.first_width
    whole = all(width % base == 0 for width in encoder.widths)
    if encoder.widths != generator.widths or not whole:
        raise checks.error(
            "state_dict",
            f"levels of {encoder.widths} channels in the encoder and {generator.widths} in the"
            f" generator, after a first convolution of {base}",
            "the same widths in both, multiples of the first convolution's",
            "pass an unchanged published checkpoint",
        )
    return tuple(width // base for width in encoder.widths)


def _critic(state):
    indices = state.indices(_CRITIC)
    if not indices:
        raise missing_tensors([_CRITIC + "0.weight"], state)
    # main: convolution, activation, num_layers x (convolution, norm, activation), convolution
    num_layers = (indices[-1] - 2) // 3
    if num_layers > len(indices):
        raise missing_tensors([f"{_CRITIC}{index}.*" for index in (2, 3)], state)
    base_width = state.shape(_CRITIC + "0.weight", 4)[0]
    sizes = {"critic_base_width": base_width, "critic_num_layers": num_layers}
    return PatchCritic(base_width, num_layers, name="critic"), sizes


def _critic_rows(critic):
    rows = []
    for index, block in enumerate(critic.blocks):
        table = ()
        if hasattr(block, "moving_mean"):
            table = names.BATCH_NORM
        elif hasattr(block, "kernel"):
            table = names.CONV if block.use_bias else names.CONV_WITHOUT_BIAS
        rows += names.expand((("", "", table),), f"{_CRITIC}{index}", f"critic.blocks.{index}")
    return rows
