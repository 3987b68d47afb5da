"""A folder of images with a caption for each file: its classes are the distinct captions."""

import csv
import pathlib

import numpy as np

from keras_bld.base import checks
from keras_bld.base.checks import quoted
from keras_bld.base.templates import template_fields
from keras_bld.data.sources import ImageSource


class CaptionedFolder(ImageSource):
    """The images of an `ImageFolder`, labelled with their captions instead of their folders.

    Captions come from a CSV file with the columns `file` (path below the folder's root, forward
    slashes) and `caption`, or from several columns through a template. Every distinct caption of
    the whole file is a class, in alphabetical order, so that all splits number them alike; rows of
    files that are not in this split are passed over.

    Args:
        folder: an `ImageFolder`.
        captions: path of the CSV file.
        column: name of the column that holds the captions, or a template such as
            "{name}, {style} style" with the names of columns in braces.
        groups: name of a column by which scores are given as well, such as "kind"; None without.

    Attributes:
        class_names: the distinct captions.
        labels: int32 array of shape (num_images,): which caption each image has.
        folder: the `ImageFolder`.
        rows: for each caption the columns of its first row, a dictionary.
        class_groups: for each caption its value in the column `groups`; None without.
        folder_names: for each caption the name of the class folder in which its images lie; ""
            for captions without an image in this split, or without class folders.

    Raises:
        ValueError: no such file or columns, a file that is no CSV in UTF-8, images without a
            caption or with two, or a caption whose images lie in several class folders.

    Example:
        >>> folder = ImageFolder("photos", ImagePreprocessing(64), "train")  # doctest: +SKIP
        >>> source = CaptionedFolder(folder, "photos/manifest.csv")  # doctest: +SKIP
        >>> source.class_names[source[0]["label"]]  # doctest: +SKIP
        'a photo of a lemon'
    """

    def __init__(self, folder, captions, column="caption", groups=None):
        self.folder = folder
        self.image_shape = folder.image_shape
        texts, rows = _read_captions(pathlib.Path(captions), column, groups)
        missing = [path for path in folder.paths if path not in texts]
        if missing:
            raise checks.error(
                "captions",
                f"{quoted(captions)}, which says nothing of {len(missing)} of "
                f"{len(folder.paths)} images, such as {quoted(missing[0])}",
                "a row for every image",
                "add rows, or check that `file` holds paths below the root of the folder",
            )
        self.class_names = tuple(sorted(set(texts.values())))
        self.rows = tuple(rows[text] for text in self.class_names)
        self.class_groups = None if groups is None else tuple(row[groups] for row in self.rows)
        label_of = {text: label for label, text in enumerate(self.class_names)}
        self.labels = np.array([label_of[texts[path]] for path in folder.paths], "int32")
        folder_labels = np.full(len(self.class_names), -1, "int32")
        folder_labels[self.labels] = folder.labels
        mixed = np.flatnonzero(folder_labels[self.labels] != folder.labels)
        if mixed.size:
            text = self.class_names[self.labels[mixed[0]]]
            raise checks.error(
                "captions",
                f"{text!r} for images of several class folders, such as "
                f"{quoted(folder.paths[mixed[0]])}",
                "captions that belong to one class folder each",
                "open the folder with class_folders=False, or word the captions apart",
            )
        self.folder_names = tuple(
            folder.class_names[label] if label >= 0 else "" for label in folder_labels
        )

    @property
    def shown_classes(self):
        """For each caption the class folder of its images; -1 without images in this split."""
        if self.folder.num_classes is None:
            return super().shown_classes
        label_of = {name: label for label, name in enumerate(self.folder.class_names)}
        return np.array([label_of.get(name, -1) for name in self.folder_names], "int64")

    @property
    def num_shown_classes(self):
        """Number of class folders; without any, of captions."""
        return self.folder.num_classes or self.num_classes

    def __len__(self):
        return len(self.folder)

    def _read(self, index):
        return self.folder[index]["image"], self.labels[index]

    def _settings(self):
        return {
            "folder": self.folder.fingerprint(),
            "captions": list(self.class_names),
            "labels": self.labels.tolist(),
        }


def _read_captions(file, column, groups):
    """Return ({path: caption}, {caption: columns of its first row})."""
    if not file.is_file():
        raise checks.error("captions", quoted(file), "a CSV file with captions", "check the path")
    try:
        # Excel begins UTF-8 with a byte order mark. Paths need not be UTF-8; captions do.
        with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            return _read_rows(file, csv.DictReader(lines), column, groups)
    except csv.Error as error:
        raise checks.error(
            "captions",
            f"{quoted(file)}, which is no CSV file ({error})",
            "a CSV file with a header",
            "save the table as CSV, UTF-8",
        ) from error


def _read_rows(file, reader, column, groups):
    # A name with braces is a template all the same, unless there is a column of that name.
    is_template = "{" in column and column not in (reader.fieldnames or ())
    parts = template_fields(column, "column") if is_template else [column]
    wanted = ("file", *parts, *([] if groups is None else [groups]))
    if not set(wanted) <= set(reader.fieldnames or ()):
        there = ", ".join(reader.fieldnames or ()) or "(none)"
        raise checks.error(
            "captions",
            f"{quoted(file)} with the columns {there}",
            f"the columns {' and '.join(dict.fromkeys(wanted))}",
            "rename columns, or pass column=... for the captions, or save the table as CSV, UTF-8",
        )
    texts, rows = {}, {}
    for row in reader:
        path, *values = ((row[name] or "").strip() for name in ("file", *parts))
        named = dict(zip(parts, values, strict=True))
        text = column.format(**named) if is_template else values[0]
        empty = [name for name, value in {"file": path, **named}.items() if not value]
        wrong = None
        if empty:
            wrong = f"without a value in the column `{empty[0]}`"
        elif None in row:
            wrong = f"with {len(row[None])} values more than there are columns"
        elif not _is_unicode(text):
            wrong = f"with the caption {text!r}, which is not UTF-8"
        elif texts.get(path, text) != text:
            wrong = f"with a second caption for {quoted(path)}"
        if wrong:
            raise checks.error(
                "captions",
                f"{quoted(file)}, line {reader.line_num}, {wrong}",
                "a file and a caption in every row, one row for a file",
                "complete the row, or delete it; put captions with commas into quotes",
            )
        texts[path] = text
        rows.setdefault(text, row)
    return texts, rows


def _is_unicode(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
