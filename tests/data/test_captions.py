import numpy as np
import pytest
from harness import shared_file
from PIL import Image

from keras_bld.data import CaptionedFolder, ImageFolder, ImagePreprocessing, Subset

pytestmark = pytest.mark.once
ROWS = {
    "train/fruit/1.png": "a red apple",
    "train/fruit/2.png": "a green apple",
    "train/milk/1.png": "a carton",
    "val/fruit/3.png": "a red apple",
    "val/milk/2.png": "oat milk",
}


@pytest.fixture
def photos(tmp_path):
    for number, path in enumerate(ROWS):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (50 * number, 0, 0)).save(tmp_path / path)
    write(tmp_path, ROWS)
    return tmp_path


def write(folder, rows, header="file,caption"):
    lines = [header, *(f'{path},"{text}"' for path, text in rows.items())]
    (folder / "captions.csv").write_text("\n".join(lines))


def captioned(folder, split="train", **options):
    images = ImageFolder(folder, ImagePreprocessing(4), split)
    return CaptionedFolder(images, folder / "captions.csv", **options)


def test_classes_are_the_captions_of_the_whole_file(photos):
    train, held_out = captioned(photos), captioned(photos, "validation")
    names = ("a carton", "a green apple", "a red apple", "oat milk")
    assert train.class_names == held_out.class_names == names
    assert train.labels.tolist() == [2, 1, 0] and held_out.labels.tolist() == [2, 3]
    assert [item["label"] for item in train] == [2, 1, 0]
    np.testing.assert_array_equal(train[1]["image"], train.folder[1]["image"])
    assert train[1]["image"][0, 0, 0] == 50 and train.num_classes == 4


def test_a_caption_of_several_columns(photos):
    rows = {path: f'{text}","{"red" if "red" in text else "pale"}' for path, text in ROWS.items()}
    write(photos, rows, "file,name,colour")
    source = captioned(photos, column="{name}, {colour}")
    assert source.class_names[0] == "a carton, pale"
    assert source.rows[2]["name"] == "a red apple" and source.rows[2]["colour"] == "red"
    assert source.class_groups is None
    grouped = captioned(photos, column="name", groups="colour")
    assert grouped.class_groups == ("pale", "pale", "red", "pale")
    assert Subset(grouped, [0]).class_groups == grouped.class_groups
    with pytest.raises(ValueError, match="the columns file and name and shape"):
        captioned(photos, column="{name}, {shape}")
    with pytest.raises(ValueError, match="`column`: received '{name'"):
        captioned(photos, column="{name")


def test_each_caption_knows_its_class_folder(photos):
    # "oat milk" is of no training image.
    assert captioned(photos).folder_names == ("milk", "fruit", "fruit", "")
    assert captioned(photos, "validation").folder_names == ("", "", "fruit", "milk")


def test_each_caption_shows_a_class_folder(photos):
    train, held_out = captioned(photos), captioned(photos, "validation")
    assert train.folder.class_names == held_out.folder.class_names == ("fruit", "milk")
    assert train.shown_classes.tolist() == [1, 0, 0, -1]
    assert Subset(held_out, [1]).shown_classes.tolist() == [-1, -1, 0, 1]
    assert train.folder.shown_classes.tolist() == [0, 1]
    assert Subset(train, [1]).num_shown_classes == train.folder.num_shown_classes == 2
    unsorted = ImageFolder(photos, ImagePreprocessing(4), "train", class_folders=False)
    source = CaptionedFolder(unsorted, photos / "captions.csv")
    assert source.shown_classes.tolist() == [0, 1, 2, 3] and source.num_shown_classes == 4


def test_the_fingerprint_changes_with_the_captions(photos):
    before = captioned(photos).fingerprint()
    assert captioned(photos).fingerprint() == before
    write(photos, {**ROWS, "train/fruit/2.png": "an apple"})
    assert captioned(photos).fingerprint() != before


def test_another_column(photos):
    write(photos, ROWS, header="file,text")
    assert captioned(photos, column="text").num_classes == 4


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ({}, "file,caption", "nothing of 3 of 3 images, such as `train/fruit/1.png`"),
        (ROWS, "file,text", "with the columns file, text"),
        ({**ROWS, "train/milk/1.png": "a red apple"}, "file,caption", "several class folders"),
    ],
)
def test_bad_captions_are_errors_that_say_what_to_do(photos, rows, header, message):
    write(photos, rows, header)
    with pytest.raises(ValueError, match=message):
        captioned(photos)


def test_a_missing_file_is_an_error(photos):
    (photos / "captions.csv").unlink()
    with pytest.raises(ValueError, match=r"captions.csv`.*a CSV file with captions"):
        captioned(photos)


@pytest.mark.parametrize(
    ("row", "column"),
    [("train/fruit/1.png", "caption"), ("train/fruit/1.png, ", "caption"), (",an apple", "file")],
)
def test_a_row_without_its_file_or_caption_is_named(photos, row, column):
    (photos / "captions.csv").write_text(f"file,caption\ntrain/milk/0.png,a carton\n{row}\n")
    with pytest.raises(ValueError, match=rf"line 3, without.*`{column}`.*complete the row"):
        captioned(photos)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"file,caption\na.png,caf\xe9\n",
            r"line 2, with the caption 'caf.udce9', which is not UTF-8",
        ),
        (b"file,caption\na.png,a red, ripe apple\n", "line 2, with 1 values more than .*quotes"),
        (b"file,caption\na.png,one\na.png,two\n", "line 3, with a second caption for `a.png`"),
        ("file,caption\na.png,one\n".encode("utf-16"), "columns .*save the table as CSV, UTF-8"),
        (b'file,caption\na.png,"' + b"x" * 200_000, "no CSV file .field larger"),
        (b"", r"with the columns .none."),
    ],
)
def test_files_that_are_no_good_csv_are_errors(photos, content, message):
    (photos / "captions.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        captioned(photos)


def test_excel_and_odd_names_are_understood(photos):
    (photos / "train" / "fruit" / "1.png").rename(photos / "train" / "fruit" / "\udce9, 1.png")
    rows = b"\xef\xbb\xbffile,caption\r\n"
    rows += b'"train/fruit/\xe9, 1.png",one\r\ntrain/fruit/2.png,two\r\ntrain/milk/1.png,three\r\n'
    (photos / "captions.csv").write_bytes(rows + b"train/milk/1.png,three\r\n")
    assert captioned(photos).class_names == ("one", "three", "two")


def test_real_captions():
    root = shared_file("data/photos64")
    folder = ImageFolder(root, ImagePreprocessing(64), "train")
    source = CaptionedFolder(folder, root / "manifest.csv", column="caption_from_label")
    assert len(source) == 3937 and source.num_classes == 81
