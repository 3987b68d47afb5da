import io

import numpy as np
import pytest
from PIL import Image

from keras_bld.data import ImagePreprocessing, tfds_source

pytestmark = pytest.mark.once
tfds = pytest.importorskip("tensorflow_datasets")
# name, split, channels, classes
DATA_SETS = [
    ("lsun/church_outdoor", "train", 3, None),
    ("lsun/bedroom", "validation", 3, None),
    ("celeb_a_hq/256", "train", 3, None),
    ("celeb_a_hq/1024", "train", 3, None),
    ("imagenet2012", "train", 3, 1000),
    ("fashion_mnist", "test", 1, 10),
]


@pytest.mark.parametrize(("name", "split", "num_channels", "num_classes"), DATA_SETS)
def test_the_data_sets_of_the_paper(name, split, num_channels, num_classes):
    with tfds.testing.mock_data(num_examples=3):
        source = tfds_source(name, split, ImagePreprocessing(16, num_channels), "anywhere")
        items = list(source)
    assert len(items) == len(source) == 3
    assert source.num_classes == num_classes
    for item in items:
        assert item["image"].shape == source.image_shape == (16, 16, num_channels)
        assert item["image"].dtype == np.uint8 and type(item["label"]) is int
        assert 0 <= item["label"] < num_classes if num_classes else item["label"] == -1


def test_names_of_classes():
    with tfds.testing.mock_data(num_examples=1):
        source = tfds_source("fashion_mnist", "train", ImagePreprocessing(28, 1))
    assert source.class_names[0] == "T-shirt/top" and source.class_names[9] == "Ankle boot"


class TinyPhotos(tfds.core.GeneratorBasedBuilder):
    """Three JPEG files of which the second is stored on its side."""

    VERSION = tfds.core.Version("1.2.0")
    code_path = None  # finding it needs importlib_resources, which TFDS does not ask for

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=["left", "right"]),
                }
            ),
        )

    def _split_generators(self, download_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number, orientation in enumerate((1, 6, 1)):
            yield number, {"image": io.BytesIO(photo(orientation)), "label": number % 2}


def photo(orientation):
    pixels = np.zeros((8, 8), "uint8")
    pixels[:4] = 200
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folders = {}
    for file_format in ("array_record", "tfrecord"):
        folders[file_format] = str(tmp_path_factory.mktemp(file_format))
        builder = TinyPhotos(data_dir=folders[file_format], file_format=file_format)
        builder.download_and_prepare()
    return folders


def test_prepared_data_goes_through_our_reading(prepared):
    preprocessing = ImagePreprocessing(8, num_channels=1)
    source = tfds_source("tiny_photos", "train", preprocessing, prepared["array_record"])
    assert len(source) == 3 and source.class_names == ("left", "right")
    items = list(source)
    # Which of the three is on its side depends on TFDS's shuffling; its top is dark at the left.
    turned = [item["image"][0, 0, 0] < 100 for item in items]
    assert sorted(turned) == [False, False, True]
    assert items[turned.index(True)]["label"] == 1
    assert [item["label"] for item in items].count(0) == 2
    np.testing.assert_array_equal(
        items[turned.index(False)]["image"], preprocessing(photo(orientation=1))
    )
    part = tfds_source("tiny_photos", "train[:2]", preprocessing, prepared["array_record"])
    assert len(part) == 2 and part.fingerprint() != source.fingerprint()


def test_an_unknown_split_is_refused(prepared):
    with pytest.raises(ValueError, match="Invalid `split`: received 'test'; expected one of train"):
        tfds_source("tiny_photos", "test", ImagePreprocessing(8), prepared["array_record"])


def test_another_format_says_how_to_prepare_again(prepared):
    with pytest.raises(ValueError, match="as tfrecord.*file_format='array_record'.*pass data_dir="):
        tfds_source("tiny_photos", "train", ImagePreprocessing(8), prepared["tfrecord"])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("fashion_mnist", r"run `python -c .*builder\('fashion_mnist'"),
        ("imagenet2012", "by hand and put it into `FOLDER/downloads/manual/`.*ILSVRC2012"),
        ("celeb_a_hq/256", "by hand and put it into `FOLDER/downloads/manual/`.*data1024x1024.tar"),
        ("lsun/church_outdoor", "export the LMDB to image files and use ImageFolder"),
    ],
)
def test_data_that_is_not_there_says_how_to_get_it(tmp_path, monkeypatch, name, advice):
    def download(*arguments, **options):
        pytest.fail("a download was started")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download)
    with pytest.raises(FileNotFoundError, match=advice.replace("FOLDER", str(tmp_path))) as error:
        tfds_source(name, "train", ImagePreprocessing(8), str(tmp_path))
    assert f"data_dir='{tmp_path}'" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no_such_data_set", "lsun/no_such_place"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match=f"Invalid `name`: received '{name}'"):
        tfds_source(name, "train", ImagePreprocessing(8))
