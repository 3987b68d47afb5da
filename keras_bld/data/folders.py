"""A folder of images, with or without class sub-folders."""

import collections
import functools
import hashlib
import logging
import warnings

import numpy as np

from keras_bld.base import checks
from keras_bld.base.checks import quoted
from keras_bld.base.files import user_path
from keras_bld.base.runs import option
from keras_bld.data.file_listing import list_images
from keras_bld.data.held_out import hold_out, name_bytes, without_held_out
from keras_bld.data.images import image_suffixes
from keras_bld.data.sources import NO_LABEL, ImageSource
from keras_bld.data.split_folders import check_below, find_split_folders
from keras_bld.data.unreadable import find_unreadable

_COMMON_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".jp2")
SPLITS = ("all", "train", "validation")


class ImageFolder(ImageSource):
    """Image files below a folder, in the order of their paths.

    Classes are the first folders below the root (below the folders of the splits, where there are
    such), in alphabetical order. Where folders are called like splits, they are: `train`,
    `Training_Set` and the like for training; `val`, `valid`, `dev`, `eval` and the like for
    validation, or, where there is none of these, `test`. Otherwise a share of each class, at least
    one image where it has two, is held out; a hash of seed and path chooses it, so that adding
    files moves few others between the splits. Several links to one file are one image: held out
    under all of their paths, or under none.

    Files that the installed Pillow does not read by their names, named pipes and what an
    interrupted program left are passed over, and counted in the log; hidden files in silence.

    Args:
        root: the folder.
        preprocessing: `ImagePreprocessing`.
        split: "train", "validation" or "all".
        validation_fraction: share that is held out, in (0, 1), where folders do not say.
        seed: int; chooses what is held out.
        class_folders: True, False (all images are one set), or None: classes if there are two or
            more sub-folders.
        on_error: "raise" stops at the first file that cannot be read, when it is read, and says
            its path. "skip" reads every file once, here (minutes for a million files), leaves
            the unreadable out, and counts them in `unreadable`.
        work_dir: folder where "skip" lists what it left out, in `unreadable_images.txt`; while
            the files stay as they are, the list saves the next run the reading.

    Attributes:
        paths: files of this split, relative to the root.
        labels: int32 array of shape (num_images,).
        unreadable: list of (path, reason) of the files that were left out, of all splits.

    Raises:
        ValueError: no such folder, no images in it, a mixture of images and class folders, folders
            whose names do not say which is the held-out one, or an argument out of range.

    Warns:
        UserWarning: classes whose names look like splits, or that have no training images.

    Example:
        >>> source = ImageFolder("photos", ImagePreprocessing(64))  # doctest: +SKIP
        >>> source[0]["image"].shape, source.class_names  # doctest: +SKIP
        ((64, 64, 3), ('cat', 'dog'))
    """

    def __init__(
        self,
        root,
        preprocessing,
        split="all",
        validation_fraction=0.05,
        seed=0,
        class_folders=None,
        on_error="raise",
        work_dir=None,
    ):
        checks.check_choice("split", split, SPLITS)
        checks.check_choice("on_error", on_error, ("raise", "skip"))
        checks.check_integer("seed", seed, 0)
        checks.check_number("validation_fraction", validation_fraction, 0.0, True, maximum=0.99)
        if root is None:
            raise checks.error(
                "data_dir",
                "none",
                "a folder with images",
                f"pass {option('data_dir', 'FOLDER')}, the folder's path",
            )
        self.root = user_path(root, "data_dir")
        self.preprocessing = preprocessing
        self.image_shape = preprocessing.image_shape
        listing = list_images(self.root)
        _check_listing(self.root, listing, on_error)
        folders = find_split_folders(self.root, listing.files)
        if split != "all":
            check_below(self.root, folders, listing.files)
        _say_what_is_passed_over(self.root, listing, folders)
        files = listing.files
        self.unreadable = []
        if on_error == "skip":
            self.unreadable = find_unreadable(self.root, listing, preprocessing, work_dir)
            left_out = {path for path, _ in self.unreadable}
            files = {path: state for path, state in files.items() if path not in left_out}
            self.unreadable += listing.unreadable_folders
        classes = _classes(self.root, files, folders, class_folders)
        chosen = _choose(
            self.root, classes, split, folders, listing.identities, validation_fraction, seed
        )
        _check_training_images(self.root, classes, folders)
        self.paths = chosen
        self._sizes = [files[path][0] for path in chosen]
        names = sorted(set(classes.values()) - {None})
        self.class_names = tuple(map(checks.printable, names))
        label_of = {name: label for label, name in enumerate(names)}
        self.labels = np.array([label_of.get(classes[path], NO_LABEL) for path in chosen], "int32")

    def __len__(self):
        return len(self.paths)

    def _read(self, index):
        return self.preprocessing(self.root / self.paths[index]), self.labels[index]

    def _settings(self):
        # Sizes stand for the content: hashing 150 GB at each start would cost half an hour.
        listing = hashlib.sha256()
        for path, size, label in zip(self.paths, self._sizes, self.labels, strict=True):
            listing.update(name_bytes(f"{path}\t{size}\t{label}\n"))
        return {
            "listing": listing.hexdigest(),
            "class_names": list(self.class_names),
            "preprocessing": self.preprocessing.fingerprint(),
        }


def _check_listing(root, listing, on_error):
    """Raise ValueError where a folder may not be opened, or where there are no images."""
    if listing.unreadable_folders and on_error == "raise":
        path, reason = listing.unreadable_folders[0]
        raise checks.error(
            "root",
            f"{quoted(root)} with {len(listing.unreadable_folders)} folders that cannot be opened, "
            f"such as {quoted(path)} ({reason})",
            "folders that may be read",
            f"change the permissions, or leave them out with {option('on_error', 'skip')}",
        )
    if not listing.files:
        others = listing.describe_passed_over()
        raise checks.error(
            "root",
            f"{quoted(root)}, without images" + (f" (there are: {others})" if others else ""),
            f"files that Pillow reads, such as {_some_suffixes()}",
            "check the path, or unpack the archive",
        )


def _some_suffixes():
    suffixes = image_suffixes()
    known = [suffix for suffix in _COMMON_SUFFIXES if suffix in suffixes]
    return f"{', '.join(known)} and {len(suffixes) - len(known)} other endings"


def _say_what_is_passed_over(root, listing, folders):
    said = []
    if listing.passed_over:
        said.append(f"files that are passed over: {listing.describe_passed_over()}")
    if folders:
        beside = collections.Counter(
            path.split("/")[0] + "/" if "/" in path else path
            for path in listing.files
            if folders.inside(path) is None
        )
        names = [f"{name} ({count:,} images)" for name, count in beside.most_common(5)]
        if len(beside) > len(names):
            names.append(f"{len(beside) - len(names)} more")
        if names:
            splits = ", ".join(f"{f}/" for f in (folders.train, folders.validation) if f)
            said.append(f"beside the splits ({splits}), and not read: {', '.join(names)}")
    if said:
        _warn_once(checks.printable(f"{root}: {'; '.join(said)}"))


@functools.cache
def _warn_once(message):
    # Each split of a data set opens the folder anew.
    logging.getLogger("keras_bld").warning("%s", message)


def _classes(root, paths, folders, class_folders):
    """Return {path: class name, or None}, without what lies outside of the split folders."""
    if folders:
        parts = {path: folders.inside(path) for path in paths}
        parts = {path: part for path, part in parts.items() if part is not None}
    else:
        parts = {path: path.split("/")[:-1] for path in paths}
    at_the_top = [path for path, part in parts.items() if not part]
    if class_folders is False:
        return dict.fromkeys(parts)
    if at_the_top and (class_folders or len(at_the_top) < len(parts)):
        raise checks.error(
            "root",
            f"{quoted(root)} with images beside the class folders, such as {quoted(at_the_top[0])}",
            "every image inside a class folder, or none",
            "move the images, or pass class_folders=False to take all of them as one set",
        )
    classes = {path: part[0] if part else None for path, part in parts.items()}
    if class_folders is None and len(set(classes.values())) == 1:
        return dict.fromkeys(parts)  # one folder is a folder, not a class
    return classes


def _choose(root, classes, split, folders, identities, validation_fraction, seed):
    """Return the paths of one split, in the order of the listing; ValueError if there are none."""
    if split == "all":
        chosen = list(classes)
    elif folders and folders.validation:
        folder = getattr(folders, split)
        chosen = [path for path in classes if folder and path.startswith(folder + "/")]
        if split == "train":
            held_out = (folders.validation, *folders.untouched)
            chosen = without_held_out(root, chosen, held_out, identities)
    else:
        held_out = hold_out(classes, identities, validation_fraction, seed)
        chosen = [path for path in classes if (path in held_out) == (split == "validation")]
    if not chosen:
        raise checks.error(
            "root",
            f"{quoted(root)} with {len(classes)} readable images, none of them in {split!r}",
            "at least one image in each split that is used",
            "add images: at least two in a class, of which one is held out, or a folder `train` "
            "and a folder `val`",
        )
    return chosen


def _check_training_images(root, classes, folders):
    """Warn of classes that only the held-out images have."""
    if folders is None or folders.train is None:
        return
    trained = {name for path, name in classes.items() if path.startswith(folders.train + "/")}
    untrained = sorted(set(classes.values()) - trained - {None})
    if untrained:
        names = ", ".join(quoted(name) for name in untrained[:5])
        warnings.warn(
            f"{quoted(root)}: {len(untrained)} of the classes, such as {names}, "
            f"are in {quoted(folders.validation)} but not in {quoted(folders.train)}: nothing "
            "will be learnt of them. Fix: give a class the same folder name in both.",
            stacklevel=3,
        )
