"""Data sets prepared by TensorFlow Datasets, by random access and with our own image reading."""

import importlib.util
import os

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.data.sources import NO_LABEL, ImageSource


def tfds_source(name, split, preprocessing, data_dir=None):
    """Return a data set of TensorFlow Datasets that is on disk already; never download.

    The names of the data sets of the paper: "lsun/church_outdoor", "lsun/bedroom",
    "celeb_a_hq/256", "celeb_a_hq/1024", "imagenet2012"; also "fashion_mnist". Images come as the
    stored file's bytes and go through `ImagePreprocessing` like those of a folder.

    Args:
        name: "name", "name/config" or "name/config:version".
        split: such as "train", "validation", "train[:90%]"; `imagenet2012` and the LSUN scenes
            have "train" and "validation", `fashion_mnist` "train" and "test", `celeb_a_hq`
            "train" alone.
        preprocessing: `ImagePreprocessing`.
        data_dir: folder of the prepared data sets; by default `$TFDS_DATA_DIR` or
            `~/tensorflow_datasets`.

    Returns:
        A data source; `num_classes` is None for data sets without a feature "label".

    Raises:
        FileNotFoundError: not prepared; says the command that prepares it, and where an archive
            that has to be fetched by hand goes.
        ValueError: unknown name or split, or prepared in a format without random access.
        ImportError: `tensorflow_datasets` or `array_record` is not installed.

    Example:
        >>> source = tfds_source(
        ...     "fashion_mnist", "train", ImagePreprocessing(32, num_channels=1)
        ... )  # doctest: +SKIP
    """
    tfds = import_optional("tensorflow_datasets", "data")
    import_optional("array_record.python.array_record_module", "data")
    builder = _builder(tfds, name, data_dir)
    if "image" not in builder.info.features:
        raise checks.error(
            "name",
            f"{name!r} with features {', '.join(builder.info.features)}",
            'a data set with a feature "image"',
            "choose an image data set",
        )
    try:
        # The bytes as stored: decoded by `open_image`, like every other image.
        decoders = {"image": tfds.decode.SkipDecoding()}
        examples = builder.as_data_source(split=split, decoders=decoders)
    except Exception as error:
        # What is wrong is found out from the state of the disk: the errors for it are of five
        # kinds and differ between versions.
        raise _explain(builder, name, split, error) from error
    return TfdsSource(builder, split, examples, preprocessing)


def prepared_splits(name, data_dir=None):
    """Return the names of a data set's splits; none where it is not prepared.

    Args:
        name, data_dir: as for `tfds_source`.
    """
    return tuple(
        _builder(import_optional("tensorflow_datasets", "data"), name, data_dir).info.splits
    )


class TfdsSource(ImageSource):
    """A split of a prepared data set; made by `tfds_source`."""

    def __init__(self, builder, split, examples, preprocessing):
        self.name = builder.info.full_name
        self.split = split
        self.preprocessing = preprocessing
        self.image_shape = preprocessing.image_shape
        self._examples = examples
        if "label" in builder.info.features:
            self.class_names = tuple(builder.info.features["label"].names)

    def __len__(self):
        return len(self._examples)

    def _read(self, index):
        example = self._examples[index]
        name = f"{index} of {self.name}, split {self.split!r}"
        label = example["label"] if self.class_names else NO_LABEL
        return self.preprocessing(example["image"], name=name), label

    def _settings(self):
        return {
            "name": self.name,
            "split": self.split,
            "num_images": len(self),
            "preprocessing": self.preprocessing.fingerprint(),
        }


def _builder(tfds, name, data_dir):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise checks.error(
            "name",
            repr(name),
            'a data set of TensorFlow Datasets, "name" or "name/config"',
            "look the name up with `tensorflow_datasets.list_builders()`, and its configs with "
            "`tensorflow_datasets.builder_cls(name).builder_configs`",
        ) from error


def _explain(builder, name, split, error):
    """Return the exception that tells the user what to do."""
    folder = str(builder.data_dir)
    root = folder.removesuffix(builder.info.full_name).rstrip("/")
    if not builder.is_prepared():
        steps = f"Fix: run `{_command(name, root)}`, which fetches and prepares it"
        instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        if instructions:
            manual = os.path.join(root, "downloads", "manual")
            steps = (
                f"Fix: fetch its archive by hand and put it into `{manual}/` "
                f"({' '.join(instructions.split())}), then run `{_command(name, root)}`"
            )
        if importlib.util.find_spec("importlib_resources") is None:
            # TensorFlow Datasets 4.9.10 prepares nothing without it, and does not ask for it.
            steps += ", after `pip install importlib_resources`"
        if name.startswith("lsun"):
            steps += (
                ". That command reads LSUN's LMDB with tensorflow-io, whose newest release "
                "(0.37.1) loads into TensorFlow 2.16 but not into 2.21: run it in an environment "
                "of its own, or export the LMDB to image files and use ImageFolder"
            )
        return FileNotFoundError(f"Data set {name!r} is not prepared in `{folder}`. {steps}.")
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    if not formats & {"array_record", "parquet"}:
        beside = root + "_array_record"
        return checks.error(
            "name",
            f"{name!r}, prepared in `{folder}` as {', '.join(sorted(formats))}",
            "data prepared as array_record, which can be read in any order",
            f"run `{_command(name, beside)}` and pass data_dir={beside!r}",
        )
    splits = list(builder.info.splits)
    if str(split).split("[")[0] not in splits:
        return checks.error(
            "split",
            repr(split),
            f"one of {', '.join(splits)}, or a slice of one",
            "pass such a split",
        )
    return checks.error(
        "name",
        f"{name!r} in `{folder}`, which cannot be opened ({error})",
        "a data set that TensorFlow Datasets can read",
        f"remove the folder and run `{_command(name, root)}`",
    )


def _command(name, data_dir):
    # Python and not the program `tfds`, which does not start without apache_beam (4.9.10).
    return (
        'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{name}', data_dir='{data_dir}', file_format='array_record')"
        '.download_and_prepare()"'
    )
