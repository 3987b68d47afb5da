"""A folder of images, with or without class sub-folders."""

import concurrent.futures
import hashlib
import logging
import os
import pathlib

import numpy as np

from keras_bld.base import checks
from keras_bld.base.files import write_text
from keras_bld.data.images import UnreadableImageError
from keras_bld.data.preprocessing import fingerprint
from keras_bld.data.sources import NO_LABEL, ImageSource

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
TRAIN_FOLDERS = ("train",)
VALIDATION_FOLDERS = ("val", "validation", "test")
SPLITS = ("all", "train", "validation")
UNREADABLE_LIST = "unreadable_images.txt"


class ImageFolder(ImageSource):
    """Image files below a folder, in the order of their paths.

    Classes are the first folders below the root (below `train` and `val` where there are such),
    in alphabetical order. Where the root has a folder `train` and one of `val`, `validation` or
    `test`, these are the splits; otherwise a share of each class, chosen by a hash of seed and
    path, is held out, so that adding files moves few others between the splits. Hidden files, and
    files whose name does not end like an image's, are passed over.

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
        ValueError: no such folder, no images in it, a mixture of images and class folders, or an
            argument out of range.

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
        self.root = pathlib.Path(root)
        self.preprocessing = preprocessing
        self.image_shape = preprocessing.image_shape
        files = _list_images(self.root)
        self.unreadable = []
        if on_error == "skip":
            self.unreadable = _find_unreadable(self.root, files, preprocessing, work_dir)
            left_out = {path for path, _ in self.unreadable}
            files = {path: size for path, size in files.items() if path not in left_out}
        split_folders = _split_folders(self.root)
        classes = _classes(self.root, list(files), split_folders, class_folders)
        self.class_names = tuple(sorted(set(classes.values()) - {None}))
        chosen = _choose(classes, split, split_folders, validation_fraction, seed)
        if not chosen:
            raise checks.error(
                "root",
                f"`{self.root}` with {len(files)} readable images, none of them in {split!r}",
                "at least one image in each split that is used",
                "add images, or change `split` or `validation_fraction`",
            )
        self.paths = chosen
        self._sizes = [files[path] for path in chosen]
        label_of = {name: label for label, name in enumerate(self.class_names)}
        self.labels = np.array([label_of.get(classes[path], NO_LABEL) for path in chosen], "int32")

    def __len__(self):
        return len(self.paths)

    def _read(self, index):
        return self.preprocessing(self.root / self.paths[index]), self.labels[index]

    def _settings(self):
        # Sizes stand for the content: hashing 150 GB at each start would cost half an hour.
        listing = hashlib.sha256()
        for path, size, label in zip(self.paths, self._sizes, self.labels, strict=True):
            listing.update(f"{path}\t{size}\t{label}\n".encode())
        return {
            "listing": listing.hexdigest(),
            "class_names": list(self.class_names),
            "preprocessing": self.preprocessing.fingerprint(),
        }


def _list_images(root):
    """Return {path relative to root, with forward slashes: size in bytes}, sorted."""
    if not root.is_dir():
        raise checks.error(
            "root", f"`{root}`", "a folder with images", "check the path (--data-dir)"
        )
    files = {}
    visited = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real_folder = os.path.realpath(folder)
        if real_folder in visited:  # a link that leads back up
            subfolders.clear()
            continue
        visited.add(real_folder)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = pathlib.Path(folder).relative_to(root).as_posix()
        prefix = "" if relative == "." else relative + "/"
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                path = os.path.join(folder, name)
                # A link that leads nowhere stays in the list; reading it says so.
                files[prefix + name] = os.path.getsize(path) if os.path.exists(path) else 0
    if not files:
        raise checks.error(
            "root",
            f"`{root}`, without images",
            f"files that end in {', '.join(EXTENSIONS)}",
            "check the path, or unpack the archive",
        )
    return dict(sorted(files.items()))


def _split_folders(root):
    """Return {"train": name, "validation": name} if the root's folders say so, else None."""
    found = {name for name in TRAIN_FOLDERS + VALIDATION_FOLDERS if (root / name).is_dir()}
    train = [name for name in TRAIN_FOLDERS if name in found]
    validation = [name for name in VALIDATION_FOLDERS if name in found]
    if train and validation:
        return {"train": train[0], "validation": validation[0]}
    return None


def _classes(root, paths, split_folders, class_folders):
    """Return {path: class name, or None}, without what lies outside of the split folders."""
    parts = {path: path.split("/")[:-1] for path in paths}
    if split_folders:
        inside = set(split_folders.values())
        parts = {path: part[1:] for path, part in parts.items() if part and part[0] in inside}
    at_the_top = [path for path, part in parts.items() if not part]
    if class_folders is False:
        return dict.fromkeys(parts)
    if at_the_top and (class_folders or len(at_the_top) < len(parts)):
        raise checks.error(
            "root",
            f"`{root}` with images beside the class folders, such as `{at_the_top[0]}`",
            "every image inside a class folder, or none",
            "move the images, or pass class_folders=False to take all of them as one set",
        )
    classes = {path: part[0] if part else None for path, part in parts.items()}
    if class_folders is None and len(set(classes.values())) == 1:
        return dict.fromkeys(parts)  # one folder is a folder, not a class
    return classes


def _choose(classes, split, split_folders, validation_fraction, seed):
    """Return the paths of one split, in the order of the listing."""
    if split == "all":
        return list(classes)
    if split_folders:
        return [path for path in classes if path.startswith(split_folders[split] + "/")]
    members = {}
    for path, name in classes.items():
        members.setdefault(name, []).append(path)
    held_out = set()
    for paths in members.values():
        by_hash = sorted(paths, key=lambda path: hashlib.sha256(f"{seed}/{path}".encode()).digest())
        held_out.update(by_hash[: round(validation_fraction * len(paths))])
    return [path for path in classes if (path in held_out) == (split == "validation")]


def _find_unreadable(root, files, preprocessing, work_dir):
    """Read every file once and return [(path, reason)]; remember the answer in the work dir."""
    state = {path: [size, os.lstat(root / path).st_mtime_ns] for path, size in files.items()}
    first_line = f"# state of the files: {fingerprint([str(root.resolve()), state])}"
    list_file = None if work_dir is None else pathlib.Path(work_dir) / UNREADABLE_LIST
    if list_file is not None and list_file.is_file():
        lines = list_file.read_text(encoding="utf-8").splitlines()
        if lines and lines[0] == first_line:
            return [tuple(line.split("\t", 1)) for line in lines if not line.startswith("#")]

    def reason(path):
        try:
            preprocessing(root / path)
        except (UnreadableImageError, OSError) as error:
            return str(error.__cause__ or error).replace("\n", " ")
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = zip(files, pool.map(reason, files), strict=True)
        unreadable = [(path, why) for path, why in reasons if why is not None]
    count = f"{len(unreadable)} of {len(files)} images cannot be read and are left out"
    if unreadable:
        logging.getLogger("keras_bld").warning("%s: %s", root, count)
    if list_file is not None:
        lines = [first_line, f"# {count}", *("\t".join(pair) for pair in unreadable)]
        write_text(list_file, "\n".join(lines) + "\n")
    return unreadable
