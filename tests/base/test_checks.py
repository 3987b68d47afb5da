import keras
import numpy as np
import pytest
from keras import ops

from keras_bld.base import checks

IMAGE_SHAPE = (4, 4, 3)
CODE_SHAPE = (2, 2, 5)


def refuses(argument, received, expected):
    """Expect the one form of message; `received` and `expected` are texts it must contain."""
    return pytest.raises(
        ValueError, match=rf"^Invalid `{argument}`: received .*{received}.*; expected "
        rf".*{expected}.*\. Fix: .+\.$"
    )  # fmt: skip


def test_error_says_received_expected_and_fix():
    problem = checks.error("num_steps", "0", "an integer >= 1", "pass at least 1")
    assert type(problem) is ValueError
    assert str(problem) == (
        "Invalid `num_steps`: received 0; expected an integer >= 1. Fix: pass at least 1."
    )
    assert type(checks.error("a", "b", "c", "d", kind=TypeError)) is TypeError


class Autoencoder:
    """What stage 2 asks of one."""

    bottleneck = "a bottleneck"


def test_codes_of_stage_2_are_bits():
    checks.check_binary_codes(Autoencoder())  # one that does not say has bits
    real_valued = Autoencoder()
    real_valued.has_binary_codes = False
    with refuses("autoencoder", "a Autoencoder whose codes are real numbers .str.", "are bits"):
        checks.check_binary_codes(real_valued)


def test_choice():
    assert checks.check_choice("posterior", "exact", ("exact", "plug_in")) is None
    with refuses("posterior", "'exakt'", "one of 'exact', 'plug_in'"):
        checks.check_choice("posterior", "exakt", ("exact", "plug_in"))


@pytest.mark.parametrize("value", [1, 3, np.int64(2), np.uint8(3)])
def test_integer_is_returned_as_int(value):
    received = checks.check_integer("num_steps", value, 1, 3)
    assert received == value and type(received) is int


@pytest.mark.parametrize("value", [0, 4, 2.0, "2", None, True, np.bool_(True), float("nan")])
def test_integer_refuses(value):
    with refuses("num_steps", "", r"an integer in \[1, 3\]"):
        checks.check_integer("num_steps", value, 1, 3)


def test_integer_without_a_maximum():
    assert checks.check_integer("width", 10**12, 1) == 10**12
    with refuses("width", "-1", "an integer >= 1"):
        checks.check_integer("width", -1, 1)


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(0.25), "0.5"])
def test_number_is_returned_as_float(value):
    received = checks.check_number("temperature", value, 0, maximum=1)
    assert received == float(value) and type(received) is float


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "warm", None, [1, 2]])
def test_number_refuses(value):
    with refuses("temperature", "", "a finite number >= 0 and <= 1"):
        checks.check_number("temperature", value, 0, maximum=1)


def test_number_excludes_its_minimum_where_asked():
    assert checks.check_number("temperature", 0, 0) == 0.0
    assert checks.check_number("temperature", 1e-9, 0, exclusive=True) == 1e-9
    with refuses("temperature", "0", "a finite number > 0"):
        checks.check_number("temperature", 0, 0, exclusive=True)


@pytest.mark.parametrize("shape, wanted", [((2, 4, 3), (4, 3)), ((1, 9, 3), (None, 3))])
def test_batch_shape(shape, wanted):
    checks.check_batch_shape("mask", np.zeros(shape), wanted)


def test_batch_shape_of_a_symbolic_batch():
    checks.check_batch_shape("mask", keras.KerasTensor((None, 4, 3)), (4, 3))


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 4), (2, 4, 3, 1), ()])
def test_batch_shape_refuses(shape):
    with refuses("mask", "shape", r"shape \(batch, any, 3\)"):
        checks.check_batch_shape("mask", np.zeros(shape), (None, 3))


def test_batch_shape_refuses_an_empty_batch():
    with refuses("mask", "an empty batch", r"at least one item of shape \(4, 3\)"):
        checks.check_batch_shape("mask", np.zeros((0, 4, 3)), (4, 3))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "float16"])
def test_images_become_float32_in_the_unit_interval(dtype):
    images = np.full((2, *IMAGE_SHAPE), 255 if dtype == "uint8" else 1, dtype)
    images[0] = 51 if dtype == "uint8" else 0.2
    received = checks.check_images(images, IMAGE_SHAPE)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received[0], 0.2, atol=1e-4)
    np.testing.assert_array_equal(received[1], 1.0)


def test_images_may_be_lists():
    assert checks.check_images([[[[0.5]]]], (1, 1, 1)).tolist() == [[[[0.5]]]]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
def test_image_tensors_stay_tensors(dtype):
    tensor = ops.cast(ops.full((2, *IMAGE_SHAPE), 51 if dtype == "uint8" else 0.2), dtype)
    received = checks.check_images(tensor, IMAGE_SHAPE)
    assert ops.is_tensor(received)
    assert keras.backend.standardize_dtype(received.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(received), 0.2, atol=1e-3)
    with refuses("images", "shape", r"shape \(batch, 5, 4, 3\)"):
        checks.check_images(tensor, (5, 4, 3))


@pytest.mark.parametrize(
    "images, received, expected",
    [
        (np.zeros(IMAGE_SHAPE), r"shape \(4, 4, 3\)", r"shape \(batch, 4, 4, 3\)"),
        (np.zeros((1, 4, 4, 1)), r"shape \(1, 4, 4, 1\)", r"shape \(batch, 4, 4, 3\)"),
        (np.zeros((0, *IMAGE_SHAPE)), "an empty batch", "at least one item"),
        (np.full((1, *IMAGE_SHAPE), -0.1), "values from -0.1", r"finite values in \[0, 1\]"),
        (np.full((1, *IMAGE_SHAPE), 1.25), "to 1.25", r"finite values in \[0, 1\]"),
        (np.full((1, *IMAGE_SHAPE), np.nan), "nan", r"finite values in \[0, 1\]"),
        (np.full((1, *IMAGE_SHAPE), np.inf), "inf", r"finite values in \[0, 1\]"),
        (np.zeros((1, *IMAGE_SHAPE), "int64"), "dtype int64", "uint8 .* or floating point"),
        (np.zeros((1, *IMAGE_SHAPE), bool), "dtype bool", "uint8 .* or floating point"),
    ],
)
def test_images_refuses(images, received, expected):
    with refuses("images", received, expected):
        checks.check_images(images, IMAGE_SHAPE)


def test_one_bad_pixel_is_found():
    images = np.zeros((3, *IMAGE_SHAPE), "float32")
    images[2, 3, 3, 2] = np.nan
    with refuses("photos", "nan", "finite"):
        checks.check_images(images, IMAGE_SHAPE, argument="photos")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64"])
def test_codes_become_float32_bits(dtype):
    bits = np.arange(20).reshape(1, *CODE_SHAPE) % 3 == 0
    received = checks.check_codes(bits.astype(dtype), CODE_SHAPE)
    assert received.dtype == np.float32
    np.testing.assert_array_equal(received, bits)


def test_code_tensors_stay_tensors():
    received = checks.check_codes(ops.ones((1, *CODE_SHAPE), "int32"), CODE_SHAPE)
    assert ops.is_tensor(received)
    assert keras.backend.standardize_dtype(received.dtype) == "float32"
    with refuses("codes", "shape", r"shape \(batch, 2, 2, 6\)"):
        checks.check_codes(received, (2, 2, 6))


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, np.nan])
def test_codes_refuses_other_values(value):
    codes = np.zeros((2, *CODE_SHAPE))
    codes[1, 1, 1, 4] = value
    with refuses("codes", f"values such as {value}", "only 0 and 1"):
        checks.check_codes(codes, CODE_SHAPE)


def test_codes_refuses_packed_codes_and_empty_batches():
    with refuses("codes", r"shape \(3, 2, 2, 1\)", r"shape \(batch, 2, 2, 5\)"):
        checks.check_codes(np.zeros((3, 2, 2, 1), "uint8"), CODE_SHAPE)
    with refuses("codes", "an empty batch", r"at least one item of shape \(2, 2, 5\)"):
        checks.check_codes(np.zeros((0, *CODE_SHAPE)), CODE_SHAPE)


@pytest.mark.parametrize(
    "dtype, floating",
    [("float32", True), ("bfloat16", True), ("float16", True), ("uint8", False), ("bool", False)],
)
def test_is_floating(dtype, floating):
    assert checks.is_floating(ops.cast(ops.ones(1), dtype)) is floating


def test_messages_are_printable():
    received = "caf\udce9 \x1b[2J\u202e\u2028, 写真　集, 👨\u200d👩\u200d👧\nsecond line\tand tab"
    message = str(checks.error("root", received, "a", "b"))
    shown = r"caf\xe9 \x1b[2J\u202e\u2028, 写真　集, 👨‍👩‍👧" + "\nsecond line" + r"\tand tab"
    assert shown in message
    assert checks.quoted("a\nb") == r"`a\nb`"
    assert checks.printable("a\nb") == r"a\nb" and checks.printable("é") == "é"
