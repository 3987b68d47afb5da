"""Classes by name: what a user calls a class, as the number that a model knows it by."""

import difflib

import numpy as np

from keras_bld.base import checks

_MOST_NEAREST = 3
# Of difflib: low, because a poor guess still shows what names look like.
_LEAST_SIMILARITY = 0.3


def labels_of(labels, class_names, num_classes, argument="labels"):
    """Return classes that are given by name or number as numbers.

    A text that is no class's name but is made of digits, such as "3" from a command line, counts
    as a number.

    Args:
        labels: a name or an integer, or a (nested) sequence or array of them; None is passed on.
        class_names: sequence of `num_classes` str, or None for a model without names.
        num_classes: number of classes.
        argument: what error messages call the labels.

    Returns:
        int32 array of the shape of `labels` (no dimensions for a single class), or None.

    Raises:
        ValueError: an unknown name (the message has the nearest ones), a name that several classes
            have, numbers outside [0, num_classes), or something else than integers and names.

    Example:
        >>> labels_of(["cat", "apple", 1], ("apple", "cat", "dog"), 3).tolist()
        [1, 0, 1]
        >>> int(labels_of("dog", ("apple", "cat", "dog"), 3))
        2
    """
    if labels is None:
        return None
    if isinstance(labels, (str, list, tuple)):
        # As objects: NumPy would turn the 1 of ["cat", 1] into a text.
        labels = np.array(labels, dtype=object)
    array = np.asarray(labels)
    if array.dtype.kind in "OU":
        numbers = [_number_of(item, class_names, num_classes, argument) for item in array.flat]
        array = np.array(numbers, "int64").reshape(array.shape)
    expected = f"integers in [0, {num_classes - 1}]"
    if not np.issubdtype(array.dtype, np.integer):
        raise checks.error(argument, f"dtype {array.dtype}", expected, "pass integer classes")
    if array.size and not 0 <= array.min() <= array.max() < num_classes:
        raise checks.error(
            argument,
            f"values from {array.min()} to {array.max()}",
            expected,
            "number the classes from 0",
        )
    return array.astype("int32")


def _number_of(item, class_names, num_classes, argument):
    if not isinstance(item, str):
        return checks.check_integer(argument, item, 0, num_classes - 1)
    numbers = [number for number, name in enumerate(class_names or ()) if name == item]
    if len(numbers) == 1:
        return numbers[0]
    if not numbers and item.isdecimal():
        return checks.check_integer(argument, int(item), 0, num_classes - 1)
    if numbers:
        expected, fix = "a name that one class has", f"pass one of the numbers {numbers}"
    elif class_names:
        expected = f"one of {num_classes} class names, such as {_nearest(item, class_names)}"
        fix = f"pass such a name, or an integer in [0, {num_classes - 1}]"
    else:
        expected = f"integers in [0, {num_classes - 1}], because the model has no class names"
        fix = "pass the number of the class"
    raise checks.error(argument, repr(str(item)), expected, fix)


def _nearest(item, class_names):
    """The names most like `item`, as a message has them; the first ones where none is like it."""
    spelled = {name.lower(): name for name in reversed(class_names)}
    found = difflib.get_close_matches(item.lower(), spelled, _MOST_NEAREST, _LEAST_SIMILARITY)
    names = [spelled[name] for name in found] or class_names[:_MOST_NEAREST]
    return ", ".join(repr(name) for name in names)
