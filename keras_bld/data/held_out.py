"""What is held out of a folder's images: each image under all of its paths."""

import hashlib
import logging

from keras_bld.base import checks
from keras_bld.base.checks import quoted


def hold_out(classes, identities, fraction, seed):
    """Return the set of paths to hold out, a share of each class.

    Paths to one file count as one image, of the class of the first of them.

    Args:
        classes: {path: class}, sorted by path.
        identities: {path: which file it leads to}, of `FileListing`.
        fraction: share of the images of a class, in (0, 1); of a small class one image, and never
            all.
        seed: int; a hash of it and of an image's first path decides.
    """
    paths_of, members = {}, {}
    for path, name in classes.items():
        image = identities.get(path, path)
        if image not in paths_of:
            members.setdefault(name, []).append(path)
        paths_of.setdefault(image, []).append(path)
    held_out = set()
    for paths in members.values():
        by_hash = sorted(
            paths, key=lambda path: hashlib.sha256(name_bytes(f"{seed}/{path}")).digest()
        )
        number = min(max(1, round(fraction * len(paths))), len(paths) - 1)
        for path in by_hash[:number]:
            held_out.update(paths_of[identities.get(path, path)])
    return held_out


def without_held_out(root, paths, folders, identities):
    """Return the training images without those that held-out folders hold, too, by a link.

    Args:
        root: of the data set, for the warning.
        paths: of training.
        folders: of held-out images, below the root.
        identities: {path: which file it leads to}, of `FileListing`.
    """
    beginnings = tuple(f"{folder}/" for folder in folders)
    held_out = {identity for path, identity in identities.items() if path.startswith(beginnings)}
    kept = [path for path in paths if identities.get(path) not in held_out]
    if len(kept) < len(paths):
        logging.getLogger("keras_bld").warning(
            "%s: %d training images are links to held-out ones, in %s, and are left out",
            checks.printable(str(root)),
            len(paths) - len(kept),
            " and ".join(map(quoted, folders)),
        )
    return kept


def name_bytes(text):
    """A text with names of files as bytes; those that are not UTF-8 hold surrogates."""
    return text.encode("utf-8", "surrogatepass")
