"""What a recipe trains on and what `evaluate` and `encode` open from its preset's record."""

import json
import struct

import numpy as np
import pytest
from PIL import Image
from recipes.recipe_files import FROM_TFDS, RECIPES, recipe_class

from keras_bld.commands.trained_on import data_set_of, open_splits
from keras_bld.data.splits import SPLITS

pytestmark = pytest.mark.once
CLASSES = ("cat", "dog")
# Layout of a folder -> {folder: number of images in it}
LAYOUTS = {
    "splits and classes": {"train/cat": 20, "train/dog": 9, "val/cat": 4, "val/dog": 3},
    "splits": {"train": 20, "validation": 5},
    "classes": {"cat": 60, "dog": 20},
    "one set": {".": 40},
    "numbered": {"00000": 27, "01000": 27, "02000": 26},
}
# Recipes that read a folder, with the settings on which their splits depend.
OF_FOLDERS = {
    "clothing_256": {},
    "ffhq_1024": {},
    "ffhq_256": {},
    "grocery_64": {},
    "grocery_64, unconditional": {"class_conditional": False},
    "image_folder": {},
    "image_folder, unconditional": {"class_conditional": False},
    "image_folder, skipping": {"on_error": "skip"},
}
OF_TFDS = {
    "celeba_hq_1024": ("train[:95%]", "train[95%:]"),
    "celeba_hq_256": ("train[:95%]", "train[95%:]"),
    "fashion_mnist": ("train", "test"),
    "imagenet_cond": ("train", "validation"),
    "lsun_bedrooms_256": ("train", "validation"),
    "lsun_churches_256": ("train", "validation"),
}


def write_photos(folder, counts):
    """Images of 2 x 2 pixels, `counts` of them in each sub-folder; the paths."""
    paths = []
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (2, 2), (number, 0, 0)).save(folder / name / f"{number}.png")
            paths.append(f"{name}/{number}.png".removeprefix("./"))
    return paths


def open_again(recipe, sources, work_dir, data=None):
    """(what `evaluate` opens, what `encode` opens) from the record of the opened sources."""
    record = recipe.trained_on(*sources.values())
    metadata = {"trained_on": json.loads(json.dumps(record))}
    data_set = data_set_of(metadata, data)
    evaluated = open_splits(data_set, metadata, recipe.image_shape, work_dir)
    return evaluated, {
        split: data_set.open(split, recipe.image_shape, work_dir=work_dir) for split in SPLITS
    }


def check(recipe, tmp_path, data=None):
    """The commands open the very images that the recipe does; return its sources."""
    sources = {split: recipe.source(split) for split in SPLITS}
    evaluated, encoded = open_again(recipe, sources, tmp_path / "out", data)
    for split, source in sources.items():
        for opened in (evaluated[split], encoded[split]):
            assert opened.fingerprint() == source.fingerprint()
            assert opened.class_names == source.class_names
    return sources


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("variant", OF_FOLDERS)
def test_a_folder(variant, layout, tmp_path, capsys):
    paths = write_photos(tmp_path / "photos", LAYOUTS[layout])
    options = OF_FOLDERS[variant]
    if options.get("on_error") == "skip":
        (tmp_path / "photos" / paths[0]).write_bytes(b"no image")
        paths = paths[1:]
    recipe = recipe_class(variant.split(",")[0])(
        data_dir=str(tmp_path / "photos"), work_dir=str(tmp_path / "run"), **options
    )
    sources = check(recipe, tmp_path)
    train, held_out = (set(sources[split].paths) for split in SPLITS)
    assert not train & held_out and train | held_out == set(paths)
    if "splits" in layout:
        assert train == {path for path in paths if path.startswith("train/")}
    else:
        folders = [path.split("/")[0] for path in paths]
        counts = {name: folders.count(name) for name in folders}
        by_class = recipe.class_conditional and layout != "one set"
        groups = counts.values() if by_class else [len(paths)]
        assert len(held_out) == sum(max(1, round(0.05 * count)) for count in groups)
    classes = sources["train"].class_names
    assert bool(classes) == (
        recipe.class_conditional and layout in ("splits and classes", "classes", "numbered")
    )
    # The same folder under another name, which the preset's record does not know.
    (tmp_path / "photos").rename(tmp_path / "moved")
    evaluated, _ = open_again(recipe, sources, tmp_path / "out", str(tmp_path / "moved"))
    for split in SPLITS:
        assert evaluated[split].fingerprint() == sources[split].fingerprint()
    assert "note" not in capsys.readouterr().out


def test_captions(tmp_path):
    paths = write_photos(tmp_path, LAYOUTS["splits and classes"])
    rows = [f"{path},a photo of {path.split('/')[1]} {path[-5]}" for path in paths]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,caption_from_label", *rows]))
    sources = check(recipe_class("grocery_64_text")(data_dir=str(tmp_path)), tmp_path)
    assert len(sources["train"]) == 29 and len(sources["held_out"]) == 7
    assert sources["train"].class_names[0] == "a photo of cat 0"
    assert sources["train"].folder.class_names == CLASSES


def test_names_in_styles(tmp_path):
    paths = write_photos(tmp_path, LAYOUTS["splits and classes"])
    parts = [(path, *path.split("/")) for path in paths]
    tones = {path: index % 2 or "" for index, path in enumerate(paths)}
    rows = [
        f"{path},{name[:-4]} of {split},{style},,{split},{tones[path]}"
        for path, split, style, name in parts
    ]
    columns = "file,name,style,tags,kind,skin_tone"
    (tmp_path / "manifest.csv").write_text("\n".join([columns, *rows]))
    recipe = recipe_class("emoji_64_text")(data_dir=str(tmp_path))
    sources = check(recipe, tmp_path)
    assert sources["train"].class_names[0] == "0 of train, cat style"
    assert set(sources["held_out"].class_groups) == {"train", "val"}
    train = sources["train"]
    toneless = [path for path in train.folder.paths if not tones[path]]
    assert 0 < len(toneless) < len(train)
    learned = recipe.diffusion_source(train)  # things three times, a person once for each tone
    assert len(learned) == len(train) + 2 * len(toneless)
    assert all(image["image"].shape == (64, 64, 3) for image in learned)


def test_names_in_styles_without_tags_and_skin_tones(tmp_path, monkeypatch):
    rows = [f"{path},a name,a style,a kind" for path in write_photos(tmp_path, LAYOUTS["splits"])]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,name,style,kind", *rows]))
    recipe = recipe_class("emoji_64_text")(data_dir=str(tmp_path))
    names = type(recipe).wordings.__globals__
    monkeypatch.setitem(names, "sentence_encoder", lambda name: lambda texts: np.zeros((1, 3)))
    written = {}

    def from_templates(templates, fields, *rest):
        written.update(fields)

    monkeypatch.setattr(names["Wordings"], "from_templates", from_templates)
    recipe.wordings()
    assert set(written["keywords"]) == {"a name"}
    train = recipe.source("train")
    assert len(recipe.diffusion_source(train)) == 3 * len(train)  # all are things


@pytest.mark.parametrize("name", OF_TFDS)
def test_tfds(name, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=4):
        sources = check(recipe_class(name)(data_dir=str(tmp_path)), tmp_path)
    assert tuple(source.split for source in sources.values()) == OF_TFDS[name]


def test_fashion_mnist_s_files(tmp_path):
    for part, count in (("train", 6), ("t10k", 4)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
            content = np.full(shape, count, "uint8").tobytes()
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(header + content)
    sources = check(recipe_class("fashion_mnist")(data_dir=str(tmp_path)), tmp_path)
    assert [len(source) for source in sources.values()] == [6, 4]
    assert sources["train"].class_names[9] == "Ankle boot"


def test_digits(tmp_path):
    sources = check(recipe_class("digits")(), tmp_path)
    assert [len(source) for source in sources.values()] == [1437, 360]


def test_no_recipe_is_forgotten():
    tested = {name.split(",")[0] for name in OF_FOLDERS} | set(OF_TFDS)
    assert tested | {"digits", "grocery_64_text", "emoji_64_text"} == set(RECIPES) >= FROM_TFDS


def test_images_that_were_added_since_are_noticed(tmp_path, capsys):
    write_photos(tmp_path / "photos", LAYOUTS["classes"])
    recipe = recipe_class("image_folder")(data_dir=str(tmp_path / "photos"))
    sources = {split: recipe.source(split) for split in SPLITS}
    write_photos(tmp_path / "photos", {"cow": 40})
    open_again(recipe, sources, tmp_path)
    assert "held_out has 6 images, 4 when the preset was trained" in capsys.readouterr().out
