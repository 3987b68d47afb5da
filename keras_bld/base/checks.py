"""The one form of error message: what was received, what is expected, how to fix it."""

import contextlib
import unicodedata

import numpy as np

# Control characters, halves of surrogate pairs, and separators of lines and paragraphs ...
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
# ... and what turns the direction of the text that follows.
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LONGEST_PART = 2000


def error(argument, received, expected, fix, kind=ValueError):
    """Return (not raise) an exception that says received / expected / fix.

    Parts may come out of a file: what a terminal would obey is escaped, and much is cut short. The
    exception's attribute `received` is that part alone, for lists of several.
    """
    argument, received, expected, fix = (
        printable(_cut(str(part)), keep="\n") for part in (argument, received, expected, fix)
    )
    exception = kind(f"Invalid `{argument}`: received {received}; expected {expected}. Fix: {fix}.")
    exception.received = received
    return exception


def printable(text, keep=""):
    r"""Return a text in one line, which any terminal and any UTF-8 file takes.

    Names of files may hold line breaks, terminal escapes, and bytes that are no UTF-8 (which
    Python keeps as surrogates); all of them come out as backslash escapes.

    Args:
        text: str.
        keep: characters that stay.

    Example:
        >>> print(printable("a" + chr(27) + "[2J, caf" + chr(0xDCE9)))
        a\x1b[2J, caf\xe9
    """
    if text.isprintable():
        return text
    return "".join(
        _escape(character) if _is_unprintable(character) and character not in keep else character
        for character in text
    )


def quoted(name):
    """Return a name from outside, such as a file's, as messages show it: `printable`, in quotes."""
    return f"`{printable(str(name))}`"


def short(value, longest=200):
    """`repr` of a value, cut short."""
    return _cut(repr(value), longest)


def reason_of(exception):
    """The first line of an exception's message, cut short; its type where it has none."""
    lines = str(exception).strip().splitlines()
    return _cut(lines[0], 200) if lines else type(exception).__name__


@contextlib.contextmanager
def as_error(make_error):
    """Raise `make_error(reason)` for whatever exception the block raises.

    For readers of files, which raise many kinds where a file is damaged.

    Args:
        make_error: callable (str, the reason in one line) that returns the exception.
    """
    try:
        yield
    except MemoryError:
        raise  # the machine's fault, not the file's
    except Exception as reason:
        raise make_error(reason_of(reason)) from reason


def _cut(text, longest=_LONGEST_PART):
    return text if len(text) <= longest else f"{text[:longest]}..."


def _is_unprintable(character):
    # Not `str.isprintable`, which says no to the wide space of Japanese and to joined emoji.
    return unicodedata.category(character) in _UNPRINTABLE or character in _DIRECTIONS


def _escape(character):
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def check_choice(argument, value, choices):
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        accepted = ", ".join(repr(choice) for choice in choices)
        raise error(argument, repr(value), f"one of {accepted}", "pass one of the names listed")


def check_integer(argument, value, minimum, maximum=None):
    """Return `value` as int; raise ValueError unless it is an integer in [minimum, maximum]."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not whole or value < minimum or (maximum is not None and value > maximum):
        bound = f">= {minimum}" if maximum is None else f"in [{minimum}, {maximum}]"
        raise error(argument, repr(value), f"an integer {bound}", f"pass an integer {bound}")
    return int(value)


def check_number(argument, value, minimum, exclusive=False, maximum=None):
    """Return `value` as float; raise ValueError unless it is finite and inside the bounds."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    too_small = number <= minimum if exclusive else number < minimum
    too_large = maximum is not None and number > maximum
    if not np.isfinite(number) or too_small or too_large:
        bound = f"{'>' if exclusive else '>='} {minimum}"
        if maximum is not None:
            bound += f" and <= {maximum}"
        raise error(argument, repr(value), f"a finite number {bound}", f"pass a number {bound}")
    return number


def check_batch_shape(argument, value, shape):
    """Raise ValueError unless `value` has shape (batch, *shape) with batch >= 1.

    A `None` in `shape` accepts any size; a symbolic batch size passes.
    """
    received = tuple(value.shape)
    wanted = ", ".join("any" if size is None else str(size) for size in shape)
    matches = len(received) == len(shape) + 1 and all(
        wanted_size is None or size is None or size == wanted_size
        for size, wanted_size in zip(received[1:], shape, strict=False)
    )
    if not matches:
        raise error(
            argument,
            f"shape {received}",
            f"shape (batch, {wanted})",
            "add the batch dimension, or resize the input to the shape the model was built for",
        )
    if received[0] == 0:
        raise error(
            argument,
            "an empty batch",
            f"at least one item of shape ({wanted})",
            "pass at least one item",
        )


def check_images(images, image_shape, argument="images"):
    """Return images as float32 in [0, 1] of shape (batch, height, width, channels).

    Args:
        images: uint8 in [0, 255] or floating point in [0, 1]. A backend tensor is checked for
            its shape only, so that it may come from inside a compiled function.
        image_shape: (height, width, channels) that the model was built for.

    Raises:
        ValueError: wrong rank or size, empty batch, NaN, or values outside [0, 1].
    """
    from keras import ops  # error messages need no Keras

    if ops.is_tensor(images):
        check_batch_shape(argument, images, image_shape)
        integer = not is_floating(images)
        images = ops.cast(images, "float32")
        return images / 255.0 if integer else images
    images = np.asarray(images)
    check_batch_shape(argument, images, image_shape)
    if images.dtype == np.uint8:
        return images.astype("float32") / np.float32(255.0)
    if not np.issubdtype(images.dtype, np.floating):
        raise error(
            argument,
            f"dtype {images.dtype}",
            "uint8 in [0, 255] or floating point in [0, 1]",
            "cast with `.astype('uint8')`, or divide by the largest value",
        )
    images = images.astype("float32", copy=False)
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0.0 and high <= 1.0):
        raise error(
            argument,
            f"values from {low} to {high}",
            "finite values in [0, 1] (or uint8)",
            "divide by 255, map [-1, 1] with (x + 1) / 2, and remove NaN",
        )
    return images


def check_codes(codes, code_shape, argument="codes"):
    """Return codes as float32 in {0, 1} of shape (batch, *code_shape).

    Raises:
        ValueError: wrong rank or size, empty batch, or values other than 0 and 1. A backend
            tensor is checked for its shape only.
    """
    from keras import ops

    if ops.is_tensor(codes):
        check_batch_shape(argument, codes, code_shape)
        return ops.cast(codes, "float32")
    codes = np.asarray(codes)
    check_batch_shape(argument, codes, code_shape)
    codes = codes.astype("float32")
    if not np.isin(codes, (0.0, 1.0)).all():
        raise error(
            argument,
            f"values such as {codes[~np.isin(codes, (0.0, 1.0))].flat[0]}",
            "only 0 and 1",
            "threshold probabilities with `codes > 0.5`, or unpack packed codes first",
        )
    return codes


def has_binary_codes(autoencoder):
    """Whether an autoencoder's codes are bits; one that does not say so has bits."""
    return getattr(autoencoder, "has_binary_codes", True)


def check_binary_codes(autoencoder, argument="autoencoder"):
    """Raise ValueError where an autoencoder's codes are no bits: stage 2 learns from bits."""
    if not has_binary_codes(autoencoder):
        bottleneck = type(getattr(autoencoder, "bottleneck", None)).__name__
        raise error(
            argument,
            f"a {type(autoencoder).__name__} whose codes are real numbers ({bottleneck})",
            "an autoencoder whose codes are bits",
            "train stage 1 with a BinaryAutoencoder, or with a bottleneck whose latents are"
            " discrete, such as keras_bld.baselines.VectorQuantizer",
        )


def check_makes_images(model, preset):
    """Raise ValueError where a preset's model has no autoencoder, and so makes codes alone."""
    if model.autoencoder is None:
        raise error(
            "preset",
            f"{preset!r}, a model without an autoencoder",
            "a model that makes images",
            "convert or save it together with its autoencoder",
        )


def is_floating(tensor):
    """Whether a backend tensor or array holds floating point numbers."""
    return "float" in str(tensor.dtype)


def check_steps(argument, num_steps, steps_per_epoch):
    """Raise ValueError unless the steps of a run fill its epochs, or are fewer than one has."""
    if num_steps > steps_per_epoch and num_steps % steps_per_epoch:
        below = num_steps // steps_per_epoch * steps_per_epoch
        raise error(
            argument,
            f"{num_steps}, with {steps_per_epoch} steps in an epoch",
            "a multiple of steps_per_epoch, or less",
            f"pass {below} or {below + steps_per_epoch}, or another steps_per_epoch",
        )
