"""A data set as one value: where it is, how its images are read, and which are held out."""

import dataclasses
import os
import pathlib

from keras_bld.base import checks
from keras_bld.data.captions import CaptionedFolder
from keras_bld.data.digits import DIGITS_PREPROCESSING, digits_source
from keras_bld.data.fashion_mnist import fashion_mnist_source, holds_fashion_mnist
from keras_bld.data.folders import ImageFolder
from keras_bld.data.preprocessing import ImagePreprocessing
from keras_bld.data.splits import DIGITS, FASHION_MNIST, FOLDER, SPLITS, TFDS_PREFIX, split_names
from keras_bld.data.tfds import tfds_source

_NAMED = (FOLDER, FASHION_MNIST, DIGITS)
# One data set in two forms.
_FASHION_MNIST_FORMS = {FASHION_MNIST, f"{TFDS_PREFIX}fashion_mnist"}
_ACCEPTED = f"a folder of images, {DIGITS!r} or '{TFDS_PREFIX}NAME'"


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set and its two splits; what a recipe trains on and a preset remembers.

    Args:
        name: "folder" (of images), "fashion_mnist" (its four files), "digits" (scikit-learn's), or
            "tfds:NAME", "tfds:NAME/CONFIG" (TensorFlow Datasets).
        place: the folder; of TFDS that of its prepared data sets, or None for TFDS's own.
        train, held_out: the splits as the source calls them, such as "train[:90%]" of TFDS; None
            takes those of the table in `keras_bld.data.splits`.
        class_folders: of a folder: whether its sub-folders are classes, None to find out, as in
            `ImageFolder`.
        crop: as in `ImagePreprocessing`.
        on_error: "raise", or "skip" for files of a folder that cannot be read.
        captions: of a folder: path below it of a CSV file with a caption for each image. The
            captions are the classes then, as in `CaptionedFolder`.
        caption_column: the column with the captions, or a template of several: "{name}, {style}".
        caption_groups: a column by which scores of held-out images are given as well.

    Raises:
        ValueError: an unknown name, or options of a folder for another data set.

    Example:
        >>> digits = DataSet("digits")
        >>> len(digits.open("train", (16, 16, 1))), len(digits.open("held_out", (16, 16, 1)))
        (1437, 360)
    """

    name: str
    place: str | None = None
    train: str | None = None
    held_out: str | None = None
    class_folders: bool | None = None
    crop: str = "center"
    on_error: str = "raise"
    captions: str | None = None
    caption_column: str = "caption"
    caption_groups: str | None = None

    def __post_init__(self):
        if self.name not in _NAMED and not str(self.name).startswith(TFDS_PREFIX):
            names = ", ".join(map(repr, _NAMED))
            raise checks.error(
                "name",
                repr(self.name),
                f"one of {names}, or '{TFDS_PREFIX}NAME'",
                "`find_data_set` takes the path of a folder",
            )
        if self.place is not None:
            # The digits come with scikit-learn.
            place = None if self.name == DIGITS else os.fspath(self.place)
            object.__setattr__(self, "place", place)
        checks.check_choice("crop", self.crop, ("center", "none"))
        checks.check_choice("on_error", self.on_error, ("raise", "skip"))
        of_folders = {
            "class_folders": self.class_folders is not None,
            "on_error": self.on_error == "skip",
            "captions": self.captions is not None,
        }
        for option, given in of_folders.items():
            if given and self.name != FOLDER:
                raise checks.error(
                    option,
                    f"{getattr(self, option)!r} for {self.name!r}",
                    "the option for a folder of image files alone",
                    f"leave {option} out",
                )

    def __str__(self):
        return self.name if self.place is None else f"{self.name} in {self.place}"

    @property
    def is_of_tfds(self):
        """Whether it is a data set of TensorFlow Datasets."""
        return self.name.startswith(TFDS_PREFIX)

    def with_splits(self):
        """The same data set, with the names of its splits filled in from the table."""
        if None not in (self.train, self.held_out):
            return self
        train, held_out = split_names(self.name, self.place)
        return dataclasses.replace(
            self, train=self.train or train, held_out=self.held_out or held_out
        )

    def open(self, split, image_shape, work_dir=None):
        """Return the source of one split, its images preprocessed for a model.

        Args:
            split: "train" or "held_out"; any other word means what it means to the source, such as
                "all" to a folder and "train+test" to TFDS.
            image_shape: (height, width, channels) of the model; height = width.
            work_dir: where files of a folder that cannot be read are listed.

        Raises:
            ValueError: no such folder or split, or images that are not square.
            FileNotFoundError: the data set is not prepared; the message says how to get it.
        """
        preprocessing = self._preprocessing(image_shape)
        if split in SPLITS:
            split = getattr(self.with_splits(), split)
        if self.name == DIGITS:
            return digits_source(split, preprocessing)
        if self.is_of_tfds:
            name = self.name.removeprefix(TFDS_PREFIX)
            return tfds_source(name, split, preprocessing, self.place)
        if self.place is None or not pathlib.Path(self.place).is_dir():
            raise checks.error(
                "data",
                "no folder" if self.place is None else f"{self.place!r}, which is no folder",
                f"the folder of {self._described()}",
                "pass its path: --data of a command, --data-dir of a recipe",
            )
        if self.name == FASHION_MNIST:
            return fashion_mnist_source(self.place, split, preprocessing)
        folder = ImageFolder(
            self.place,
            preprocessing,
            split,
            class_folders=self.class_folders,
            on_error=self.on_error,
            work_dir=work_dir,
        )
        if self.captions is None:
            return folder
        captions = pathlib.Path(self.place) / self.captions
        return CaptionedFolder(folder, captions, self.caption_column, self.caption_groups)

    def without_captions(self):
        """The same images, labelled with their class folders."""
        return dataclasses.replace(self, captions=None, caption_groups=None)

    def moved(self, data, data_dir=None):
        """The same data set in another place: all else stays as it is here.

        Args:
            data, data_dir: as for `find_data_set`.

        Returns:
            The `DataSet`; where `data` names another kind of data set, that one, with the splits
            that the table gives it.
        """
        there = find_data_set(data, data_dir)
        if not self.is_same(there):
            return there
        return dataclasses.replace(self, name=there.name, place=there.place)

    def is_same(self, other):
        """Whether another `DataSet` can be this one in another place."""
        return self.name == other.name or {self.name, other.name} == _FASHION_MNIST_FORMS

    def record(self, train, held_out):
        """What a preset's metadata says of the data that it was trained on.

        Args:
            train, held_out: the opened splits.

        Returns:
            Dictionary for JSON: the fields, split names and `class_folders` as they were found, and
            the number of images in either split.
        """
        found = self.with_splits()
        if found.name == FOLDER:
            folder = getattr(train, "folder", train)  # of captions
            found = dataclasses.replace(found, class_folders=bool(folder.class_names))
        counts = {"train": len(train), "held_out": len(held_out)}
        return {**found.as_dictionary(), "num_images": counts}

    def as_dictionary(self):
        """The fields that are not None; `from_record` makes the value again."""
        fields = dataclasses.asdict(self)
        if self.captions is None:
            del fields["caption_column"]
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_record(cls, record):
        """Make the value again from what `record` or `as_dictionary` returned.

        Raises:
            ValueError: something else than such a record.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(record, dict) or "name" not in record:
            raise checks.error(
                "trained_on",
                repr(record),
                "the record of a data set, with its name",
                "repair metadata.json, or save the preset again",
            )
        return cls(**{name: value for name, value in record.items() if name in names})

    def _preprocessing(self, image_shape):
        height, width, channels = image_shape
        if height != width:
            raise checks.error(
                "image_shape",
                f"{height} x {width} pixels",
                "square images",
                "call the functions of keras_bld.data and keras_bld.metrics with a source of "
                "your own",
            )
        preprocessing = ImagePreprocessing(height, channels, self.crop)
        if self.name == DIGITS:
            resampling = DIGITS_PREPROCESSING.resampling
            return dataclasses.replace(preprocessing, resampling=resampling)
        return preprocessing

    def _described(self):
        return "Fashion-MNIST's four files" if self.name == FASHION_MNIST else "the images"


def find_data_set(data, data_dir=None, **options):
    """Return the `DataSet` that a path or a name means, as the commands' `--data` takes them.

    Args:
        data: a folder of images (with or without `train/`, `val/` and class sub-folders), a folder
            with Fashion-MNIST's four idx files, "digits" (scikit-learn's), or "tfds:NAME"
            (TensorFlow Datasets).
        data_dir: where TFDS has its prepared data sets; None takes TFDS's own folder.
        options: fields of `DataSet`.

    Raises:
        ValueError: nothing of that name, or `data_dir` for another data set than TFDS's.

    Example:
        >>> photos = find_data_set("photos", class_folders=False)  # doctest: +SKIP
        >>> images = photos.open("held_out", (64, 64, 3))  # doctest: +SKIP
    """
    data = os.fspath(data)
    if data.startswith(TFDS_PREFIX):
        return DataSet(data, data_dir, **options)
    if data_dir is not None:
        raise checks.error(
            "data_dir",
            f"{data_dir!r} for {data!r}, which is not of TFDS",
            f"the folder of a data set '{TFDS_PREFIX}NAME'",
            "leave it out; a folder of images is given as data",
        )
    if data == DIGITS:
        return DataSet(DIGITS, **options)
    if not pathlib.Path(data).is_dir():
        raise checks.error(
            "data", f"{data!r}, which is no folder", _ACCEPTED, "give the path of the data set"
        )
    name = FASHION_MNIST if holds_fashion_mnist(data) else FOLDER
    return DataSet(name, data, **options)
