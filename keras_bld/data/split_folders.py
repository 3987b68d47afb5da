"""Split folders: those of training and of held-out images, known by their names."""

import collections
import dataclasses
import re
import warnings

from keras_bld.base import checks
from keras_bld.base.checks import quoted

_TRAIN_WORDS = ("train", "training", "trn")
# In the order in which they are held out: where there are several, the others stay untouched.
_HELD_OUT_WORDS = (
    ("val", "valid", "validation", "validate"),
    ("dev", "devel", "development"),
    ("holdout", "heldout"),
    ("eval", "evaluation"),
    ("test", "testing", "tst"),
)
_RANKS = {word: rank for rank, words in enumerate(_HELD_OUT_WORDS) for word in words}
# Words that change nothing: `train_set`, `trainset` and `TrainImages` are `train`.
_FILLERS = ("set", "sets", "split", "data", "dataset", "images", "image", "imgs", "img", "folder")
_TRAIN = "train"
_HINT = "call the folders train and val, or keep such words out of the names of classes"


@dataclasses.dataclass(frozen=True)
class SplitFolders:
    """The folders of the splits.

    Attributes:
        train: path below the root, or None where there is only held-out data.
        validation: path below the root, or None where a share of `train` is to be held out.
        untouched: paths of what else is held out by its name (`test` beside `val`), and not read.
    """

    train: str | None
    validation: str | None
    untouched: tuple[str, ...] = ()

    def inside(self, path):
        """Return the folders between a split and a file, or None for a file of no split."""
        for folder in (self.train, self.validation):
            if folder is not None and path.startswith(folder + "/"):
                return tuple(path[len(folder) + 1 :].split("/")[:-1])
        return None


@dataclasses.dataclass(frozen=True)
class _Role:
    """What a folder's name says of it."""

    name: str
    rank: int | str  # "train", or the place in _HELD_OUT_WORDS
    rest: str  # what else is in the name: "2017" of "train2017", "" of "Training_Set"

    @property
    def is_train(self):
        return self.rank == _TRAIN


def find_split_folders(root, paths):
    """Find the folders for training and for validation below a root.

    `train`, `training`, `Train_Set` and the like hold the training images; `val`, `valid`, `dev`,
    `eval`, `test` and the like the held-out ones, the first kind of them that is there. What else
    is in the names has to agree (`train2017` and `val2017`). The folders lie in the root, or in a
    folder that is alone there.

    Args:
        root: of the data set, for messages.
        paths: of all images, relative to the root, with forward slashes.

    Returns:
        `SplitFolders`, or None where no folder is called so.

    Raises:
        ValueError: names that say two things, or that would make classes of splits.

    Warns:
        UserWarning: ordinary folders whose names look like splits.
    """
    parts = [tuple(path.split("/")[:-1]) for path in paths]
    depth = 0
    while True:
        names = sorted({part[depth] for part in parts if len(part) > depth})
        roles = [role for role in map(_role_of, names) if role]
        found = _match(root, names, roles)
        if found:
            break
        is_wrapped = len(names) == 1 and all(len(part) > depth for part in parts)
        if not is_wrapped:
            names = sorted({part[0] for part in parts if part})
            _check_ordinary_folders(root, names, parts)
            return None
        depth += 1
    prefix = "".join(f"{name}/" for name in next(p for p in parts if len(p) > depth)[:depth])
    untouched = tuple(prefix + name for name in found.pop("untouched"))
    folders = {key: name and _unwrap(prefix + name, parts) for key, name in found.items()}
    return SplitFolders(**folders, untouched=untouched)


def check_below(root, folders, paths):
    """Raise ValueError where splits lie deeper than the folders that are taken for classes.

    Args:
        root: of the data set, for the message.
        folders: `SplitFolders`, or None.
        paths: of all images, relative to the root.
    """
    seen = {}
    for path in paths:
        inside = folders.inside(path) if folders else tuple(path.split("/")[:-1])
        for depth, name in enumerate(inside or ()):
            role = _role_of(name) if depth or folders else None
            if role and not role.rest:
                seen.setdefault(role.is_train, path.rpartition("/")[0])
    if len(seen) == 2:
        raise checks.error(
            "root",
            f"{quoted(root)} with {quoted(seen[True])} and {quoted(seen[False])}: splits below "
            "other folders",
            "folders for the splits at the top, and classes below them",
            "move the folders, or pass split='all' to read all images as one set",
        )


def _role_of(name):
    """Return the `_Role` of a folder's name, or None."""
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = re.sub(r"(?i)(hold|held)[\W_]*out", r" \1out ", words).casefold()
    words = re.findall(r"[^\W\d_]+|\d+", words)
    role, rest = None, []
    for word in words:
        rank = _rank_of(word)
        if rank is not None and role is None:
            role = rank
        elif word not in _FILLERS:
            rest.append(word)
    return None if role is None else _Role(name, role, " ".join(rest))


def _rank_of(word):
    endings = ("", *_FILLERS)
    for stem in (word.removesuffix(ending) for ending in endings):
        if stem in _TRAIN_WORDS:
            return _TRAIN
        if stem in _RANKS:
            return _RANKS[stem]
    return None


def _match(root, names, roles):
    """Return {"train": name or None, "validation": same, "untouched": names} of a level, or None.

    "untouched" are other names of what is held out.
    """
    groups = collections.defaultdict(list)
    for role in roles:
        groups[role.rest].append(role)
    complete = {
        rest: group
        for rest, group in groups.items()
        if {role.is_train for role in group} == {True, False}
    }
    if "" in complete:
        group = complete[""]
    elif len(complete) > 1:
        raise _ambiguous(root, [role.name for group in complete.values() for role in group])
    elif complete:
        (group,) = complete.values()
    elif len(roles) == len(names) and set(groups) == {""}:
        group = groups[""]  # nothing but training folders, or nothing but held-out ones
    else:
        return None
    train = [role for role in group if role.is_train]
    held_out = [role for role in group if not role.is_train]
    best = min((role.rank for role in held_out), default=None)
    untouched = [role.name for role in held_out if role.rank != best]
    held_out = [role for role in held_out if role.rank == best]
    for several in (train, held_out):
        if len(several) > 1:
            raise _ambiguous(root, [role.name for role in several])
    return {
        "train": train[0].name if train else None,
        "validation": held_out[0].name if held_out else None,
        "untouched": untouched,
    }


def _unwrap(folder, parts):
    """Go on into a folder of the same meaning that is alone in a split: `train/train/cat`."""
    wanted = tuple(folder.split("/"))
    below = [part[len(wanted) :] for part in parts if part[: len(wanted)] == wanted]
    names = {part[0] if part else None for part in below}
    (name,) = names if len(names) == 1 else (None,)
    role, outer = (_role_of(name) if name else None), _role_of(wanted[-1])
    if role and role.is_train == outer.is_train:
        return f"{folder}/{name}"
    return folder


def _check_ordinary_folders(root, names, parts):
    """Warn of folders that are called like splits and are read as classes, or raise."""
    roles = [role for role in map(_role_of, names) if role]
    kinds = {role.is_train for role in roles}
    suspects = [role.name for role in roles if not role.rest or len(kinds) == 2]
    if not suspects:
        return
    listed = ", ".join(quoted(name) for name in suspects)
    others = set(names) - set(suspects)
    for name in suspects:
        below = {part[1] if len(part) > 1 else None for part in parts if part and part[0] == name}
        if None not in below or below & others:
            raise checks.error(
                "root",
                f"{quoted(root)} with folders named like splits, with classes of their own, and "
                f"{len(others)} others: {listed}",
                "folders for training and for validation, and nothing else; or classes alone",
                _HINT,
            )
    warnings.warn(
        f"{quoted(root)}: folders named like splits are read as ordinary ones, "
        f"with {len(others)} others: {listed}. Fix: {_HINT}.",
        stacklevel=4,
    )


def _ambiguous(root, names):
    listed = ", ".join(quoted(name) for name in sorted(names))
    return checks.error(
        "root",
        f"{quoted(root)} with {listed}",
        "one folder for training and one of a kind for validation",
        "move the folders apart, or give the path of the part to be read",
    )
