"""The splits of every data set: which of its images are trained on, and which are held out."""

from keras_bld.base import checks
from keras_bld.data.tfds import prepared_splits

FOLDER, FASHION_MNIST, DIGITS, TFDS_PREFIX = "folder", "fashion_mnist", "digits", "tfds:"
SPLITS = ("train", "held_out")

# A data set without a split of its own loses the last twentieth.
_LAST_IMAGES = ("train[:95%]", "train[95%:]")
# Data set -> what is trained on, and what is held out, as its source calls them. Of TFDS the data
# sets of the paper, and those whose `test` has no labels; `split_names` has the rule for others.
_NAMES = {
    FOLDER: ("train", "validation"),
    FASHION_MNIST: ("train", "test"),
    DIGITS: ("train", "held_out"),
    "tfds:fashion_mnist": ("train", "test"),
    "tfds:lsun/bedroom": ("train", "validation"),
    "tfds:lsun/church_outdoor": ("train", "validation"),
    "tfds:celeb_a_hq": _LAST_IMAGES,
    "tfds:imagenet2012": ("train", "validation"),
    "tfds:places365_small": ("train", "validation"),
    "tfds:i_naturalist2017": ("train", "validation"),
    "tfds:i_naturalist2018": ("train", "validation"),
    "tfds:i_naturalist2021": ("train", "val"),
}
# Of other data sets of TFDS, the first one that is there.
_HELD_OUT = ("test", "validation", "val")


def split_names(name, data_dir=None):
    """Return what a data set's source calls the images to train on, and those held out.

    A data set of TFDS that the table does not name holds out its `test`, else its `validation`
    (or `val`), else the last 5 % of `train`.

    Args:
        name: "folder", "fashion_mnist" (its four files), "digits" or "tfds:NAME".
        data_dir: where TFDS has its prepared data sets; None takes TFDS's own folder.

    Returns:
        (train, held_out).

    Raises:
        ValueError: a data set of TFDS without a split `train`.

    Example:
        >>> split_names("tfds:celeb_a_hq/256")
        ('train[:95%]', 'train[95%:]')
    """
    for known, names in _NAMES.items():
        # "tfds:name", "tfds:name/config", either with ":version".
        if name == known or name.startswith((f"{known}/", f"{known}:")):
            return names
    there = prepared_splits(name.removeprefix(TFDS_PREFIX), data_dir)
    # Without any it is not prepared: opening it says how to.
    if there and "train" not in there:
        raise checks.error(
            "data",
            f"{name!r} with the splits {', '.join(there)}",
            "a data set with a split `train`",
            "say what is trained on and held out: DataSet(name, train=..., held_out=...)",
        )
    held_out = next((split for split in _HELD_OUT if split in there), None)
    return ("train", held_out) if held_out else _LAST_IMAGES
