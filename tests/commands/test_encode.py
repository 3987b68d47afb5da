import dataclasses
import gzip
import pathlib
import struct

import numpy as np
import pytest
from PIL import Image
from small_models import small_autoencoder

from keras_bld.__main__ import main
from keras_bld.autoencoder import CodeAutoencoder
from keras_bld.baselines import GaussianBottleneck
from keras_bld.data import CodeStore, DataSet, ImagePreprocessing, unpack_codes
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets.fingerprint import autoencoder_fingerprint
from keras_bld.training import Recipe, Runner, runner
from keras_bld.zoo import save_preset

pytestmark = pytest.mark.usefixtures("numpy_initial_weights")
once = pytest.mark.once
NUM_IMAGES = 10


def make_autoencoder(channels=3):
    return small_autoencoder((8, 8, channels))


@pytest.fixture(scope="module")
def autoencoder(numpy_initial_weights):
    return make_autoencoder()


@pytest.fixture(scope="module")
def work(autoencoder, tmp_path_factory):
    """photos/ with two classes, and two presets: an autoencoder, and a diffusion around it."""
    folder = tmp_path_factory.mktemp("work")
    for number in range(NUM_IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), "uint8")
        path = folder / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    save_preset(autoencoder, folder / "autoencoder")
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=4)
    model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
    save_preset(model, folder / "diffusion")
    return folder


def encode(*arguments):
    main(["encode", *map(str, arguments)])


def refusal(*arguments):
    """The message with which the command ends."""
    with pytest.raises(SystemExit) as caught:
        encode(*arguments)
    return str(caught.value.code)


def check_codes(store, work, autoencoder):
    """The store holds, in the order of the paths, what the autoencoder makes of the images."""
    paths = sorted((work / "photos").glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    for flipped, versions in ((False, images), (True, images[:, :, ::-1])):
        packed, labels = store.read(range(NUM_IMAGES), flipped=flipped)
        np.testing.assert_array_equal(unpack_codes(packed, 4), autoencoder.encode(versions))
        assert labels.tolist() == [0] * 5 + [1] * 5


def test_the_store_holds_the_codes_of_the_folder(work, autoencoder, tmp_path, capsys):
    options = ("--data", work / "photos", "--split", "all", "--batch-size", 4)
    encode(work / "autoencoder", *options, "--out", tmp_path, "--num-shards", 3)
    printed = capsys.readouterr().out
    store = CodeStore(tmp_path)
    assert store.class_names == ("cat", "dog") and store.header["num_shards"] == 3
    check_codes(store, work, autoencoder)
    assert f"{NUM_IMAGES} images in" in printed and "images/s" in printed
    size = sum(path.stat().st_size for path in tmp_path.glob("*.array_record")) / NUM_IMAGES
    assert f"{size:,.0f} bytes an image" in printed


@once
def test_an_interrupted_run_goes_on(work, autoencoder, tmp_path, capsys, monkeypatch):
    command = (work / "autoencoder", "--data", work / "photos", "--split", "all", "--out",
               tmp_path, "--num-shards", 5, "--batch-size", 2)  # fmt: skip
    original, calls = CodeAutoencoder.encode, []

    def interrupted(self, images, **options):
        calls.append(len(images))
        if len(calls) == 6:  # two calls a shard: images and their mirror images
            raise KeyboardInterrupt
        return original(self, images, **options)

    monkeypatch.setattr(CodeAutoencoder, "encode", interrupted)
    assert refusal(*command) == "130"
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(CodeAutoencoder, "encode", original)
    capsys.readouterr()
    encode(*command)
    assert "6 images in" in capsys.readouterr().out  # 10 less two finished shards of 2
    encode(*command)
    assert "nothing to encode" in capsys.readouterr().out
    check_codes(CodeStore(tmp_path), work, autoencoder)


def test_the_store_of_another_autoencoder_is_refused(work, autoencoder, tmp_path, capsys):
    options = ("--data", work / "photos", "--out", tmp_path / "codes", "--no-flip")
    encode(work / "autoencoder", *options)
    encode(work / "diffusion", *options)  # the same autoencoder, inside a model
    assert "nothing to encode" in capsys.readouterr().out
    save_preset(make_autoencoder(), tmp_path / "other")
    message = refusal(tmp_path / "other", *options)
    assert "another store, for autoencoder_fingerprint" in message and "delete" in message
    CodeStore(tmp_path / "codes", autoencoder_fingerprint(autoencoder))


@dataclasses.dataclass(frozen=True)
class Photos(Recipe):
    """Stage 2 on the folder, as recipes/image_folder.py reads it."""

    name = "photos"
    image_size: int = 8
    width_multipliers: tuple[int, ...] = (1, 2)
    code_channels: int = 4
    depth: int = 1
    width: int = 16
    num_heads: int = 2
    diffusion_batch_size: int = 4

    def data_set(self):
        """Of ten images as many are held out as are trained on."""
        return DataSet("folder", self.data_dir, held_out="all", class_folders=True)


@once
def test_the_runner_takes_the_store_of_the_command(work, autoencoder, tmp_path, monkeypatch):
    recipe = Photos(stage="diffusion", work_dir=str(tmp_path), data_dir=str(work / "photos"))
    record = recipe.trained_on(recipe.source("train"), recipe.source("held_out"))
    save_preset(autoencoder, tmp_path / "autoencoder" / "preset", {"trained_on": record})
    # Without a word about the data: the preset knows it.
    encode(tmp_path / "autoencoder" / "preset", "--out", tmp_path / "codes")
    shard = next((tmp_path / "codes").glob("*.array_record"))
    written = shard.stat().st_mtime_ns
    seen = []

    def fit(model, batches, *_, **__):
        seen.append(next(iter(batches(0))))

    monkeypatch.setattr(runner, "fit_recipe", fit)
    Runner(recipe).run()
    codes = seen[0]["packed_codes"]
    assert codes.shape == (4, 4, 4, 1) and codes.dtype == np.uint8
    assert shard.stat().st_mtime_ns == written
    save_preset(make_autoencoder(), tmp_path / "autoencoder" / "preset")
    with pytest.raises(ValueError, match="another store, for autoencoder_fingerprint"):
        Runner(dataclasses.replace(recipe, diffusion_steps=9_000_000)).run()


@once
def test_files_that_cannot_be_read(work, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    whole = (work / "photos/cat/0.png").read_bytes()
    (photos / "whole.png").write_bytes(whole)
    (photos / "cut.png").write_bytes(whole[:60])
    command = (work / "autoencoder", "--data", photos, "--split", "all", "--out",
               tmp_path / "codes")  # fmt: skip
    assert "cut.png" in refusal(*command)
    # Nothing was written, so that other settings are welcome.
    encode(*command, "--on-error", "skip")
    assert "1 files cannot be read" in capsys.readouterr().out
    assert "cut.png" in (tmp_path / "codes" / "unreadable_images.txt").read_text()
    assert len(CodeStore(tmp_path / "codes")) == 1


@once
def test_fashion_mnist_files(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), "uint8")
    labels = np.array([9, 0, 3, 3, 1, 2], "uint8")
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        content = gzip.compress(header + array.tobytes())
        (tmp_path / f"t10k-{name}-ubyte.gz").write_bytes(content)
    autoencoder = make_autoencoder(channels=1)
    save_preset(autoencoder, tmp_path / "preset")
    options = ("--data", tmp_path, "--out", tmp_path / "codes")
    encode(tmp_path / "preset", *options, "--split", "test")
    store = CodeStore(tmp_path / "codes")
    packed, stored_labels = store.read(range(6))
    assert stored_labels.tolist() == labels.tolist() and store.class_names[9] == "Ankle boot"
    small = np.stack([ImagePreprocessing(8, num_channels=1)(image) for image in images])
    np.testing.assert_array_equal(unpack_codes(packed, 4), autoencoder.encode(small))
    message = refusal(tmp_path / "preset", *options, "--split", "test", "--on-error", "skip")
    assert "the option for a folder of image files alone" in message


@once
def test_a_data_set_of_tfds(work, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    command = (work / "autoencoder", "--data", "tfds:lsun/bedroom", "--split", "held_out")
    with tfds.testing.mock_data(num_examples=3):
        encode(*command, "--out", tmp_path)
    assert len(CodeStore(tmp_path)) == 3 and CodeStore(tmp_path).num_classes is None
    # Without the mock it is not on disk.
    message = refusal(*command, "--data-dir", tmp_path / "none", "--out", tmp_path / "other")
    assert "not prepared" in message and "download_and_prepare" in message


@once
@pytest.mark.parametrize(
    ("preset", "options", "message"),
    [
        ("autoencoder", (), "does not say what it was trained on"),
        ("autoencoder", ("--data", "nowhere"), "which is no folder"),
        ("nothing", ("--data", "photos"), "neither a known name nor a directory"),
        ("autoencoder", ("--data", "photos", "--split", "tain"), "'validation'"),
        ("autoencoder", ("--data", "photos", "--num-shards", "0"), "num_shards"),
        ("codes_alone", ("--data", "photos"), "without an autoencoder"),
        ("real_valued", ("--data", "photos"), "an autoencoder whose codes are bits"),
    ],
)
def test_bad_input(preset, options, message, work, tmp_path, monkeypatch):
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=4)
    if preset == "codes_alone":
        model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4))
        save_preset(model, work / "codes_alone")
    if preset == "real_valued":
        save_preset(small_autoencoder(bottleneck=GaussianBottleneck(2)), work / "real_valued")
    monkeypatch.chdir(work)
    assert message in refusal(preset, *options, "--out", tmp_path / "codes")
    assert not list(pathlib.Path(tmp_path).glob("codes/*"))
