"""Statistics, idx files, tables, and the state of runs."""

import gzip
import struct

import numpy as np
from fuzz import mutations
from fuzz.mutations import damage_bytes, json_file


def make_statistics(folder):
    from keras_bld.metrics import StreamingStatistics

    statistics = StreamingStatistics()
    statistics.update(np.random.default_rng(0).normal(size=(20, 6)))
    statistics.save(folder / "fid.npz")


def _npy(shape, dtype="<f8", data=b"", version=(1, 0), order="False"):
    text = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text.encode() + data


def damage_statistics(folder, random):
    path = folder / "fid.npz"
    content = path.read_bytes()
    if random.random() < 0.3:
        path.write_bytes(damage_bytes(content, random))
        return
    members = mutations.read_zip(content)
    if random.random() < 0.5:
        place = random.randrange(len(members))
        shape = random.choice(("(6,)", "(6, 6)", "(10**5, 10**5)", "(100000, 100000)", "(-1,)",
                               "()", "(1000000000,)", "(6", "[6]", "(6.0,)", "(0,)"))  # fmt: skip
        dtype = random.choice(("<f8", "<f4", "|O", "<c16", "|S8", "<i8", "|b1", "<M8[s]", "x",
                               [("a", "<f8")], ">f8", "<U5", "<f2"))  # fmt: skip
        values = np.full(36, random.choice((0.0, 1.0, np.nan, np.inf, -1.0, 1e300)))
        members[place] = (members[place][0], _npy(shape, dtype, values.tobytes()))
        if random.random() < 0.2:
            path.write_bytes(mutations.write_bomb(members, members[place][0], _npy(shape, dtype)))
            return
        path.write_bytes(mutations.write_zip(members))
    else:
        path.write_bytes(mutations.damage_members(members, random, ".npy"))


def read_statistics(folder):
    from keras_bld.metrics import StreamingStatistics

    statistics = StreamingStatistics.load(folder / "fid.npz")
    assert np.isfinite(statistics.covariance).all() and np.isfinite(statistics.mean).all()


def make_idx(folder):
    for name, count in (("train", 6), ("t10k", 3)):
        images = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(i % 10 for i in range(count))
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def damage_idx(folder, random):
    path = random.choice(sorted(folder.glob("train*")))
    content = path.read_bytes()
    kind = random.random()
    if kind < 0.3:
        content = damage_bytes(content, random)
    elif kind < 0.35:
        size = 400 * 2**20
        header = struct.pack(">4B3I", 0, 0, 8, 3, size // 784, 28, 28)
        stream = mutations.stored_block(header) + mutations.zeros_deflated(size)
        content = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stream + bytes(8)
    else:
        content = gzip.compress(damage_bytes(gzip.decompress(content), random))
    path.write_bytes(content)


def read_idx(folder):
    from keras_bld.data.fashion_mnist import fashion_mnist_source

    source = fashion_mnist_source(folder, "train")
    source[len(source) - 1]


def make_photos(folder):
    from PIL import Image

    (folder / "photos").mkdir()
    for index in range(3):
        Image.new("RGB", (8, 8), (index * 40,) * 3).save(folder / "photos" / f"{index}.png")
    (folder / "photos" / "broken.png").write_bytes(b"x")
    rows = "".join(f"{index}.png,a photo {index % 2}\n" for index in range(3))
    (folder / "captions.csv").write_text("file,caption\n" + rows + "broken.png,x\n")
    _open_photos(folder)


def _open_photos(folder):
    from keras_bld.data import ImageFolder, ImagePreprocessing

    return ImageFolder(
        folder / "photos", ImagePreprocessing(8), on_error="skip", work_dir=folder / "work"
    )


def damage_text(name, folder, random):
    path = folder / name
    content = path.read_bytes()
    if random.random() < 0.4:
        lines = content.split(b"\n")
        line = random.randrange(len(lines))
        extra = random.choice((b'"', b"\0", b"\r", b"\xff\xfe", b"a,b,c,d", b"x" * 200_000, b"\t"))
        lines[line] = random.choice((extra, lines[line] + extra, extra + lines[line], b""))
        content = b"\n".join(lines)
    else:
        content = damage_bytes(content, random)
    path.write_bytes(content)


def read_unreadable_list(folder):
    source = _open_photos(folder)
    assert set(source.paths) <= {"0.png", "1.png", "2.png", "broken.png"}


def read_captions(folder):
    from keras_bld.data import CaptionedFolder

    source = CaptionedFolder(_open_photos(folder), folder / "captions.csv")
    source[0]


SETTINGS = {"name": "digits", "seed": 0, "image_size": 16, "text": None, "steps": [1, 2]}


def make_states(folder):
    from PIL import Image

    from keras_bld.base.files import write_json
    from keras_bld.diffusion import Sampling

    write_json(folder / "recipe.json", SETTINGS)
    (folder / "images").mkdir()
    Image.new("L", (2, 2)).save(folder / "images" / "000000.png")
    write_json(folder / "images" / "settings.json", {**SETTINGS, "model": {"a": 1}})
    row = {**Sampling(1).to_dict(), "num_steps": 1}
    row["metrics"] = {"frechet_distance": {"value": 3.5}}
    write_json(folder / "sweep.json", {"key": {"a": 1}, "rows": [row]})


def damage_states(folder, random):
    json_file(folder / random.choice(("recipe.json", "images/settings.json", "sweep.json")), random)


def read_states(folder):
    from keras_bld.base.runs import claim_folder
    from keras_bld.commands.generated import claim_images
    from keras_bld.evaluation import sweep

    failure = None
    for read in (
        lambda: claim_folder(folder / "recipe.json", SETTINGS, ("seed",), {"later": 1}),
        lambda: claim_images(folder / "images", {"a": 1}, SETTINGS),
        lambda: sweep._earlier(folder / "sweep.json", {"a": 1}),
    ):
        try:
            read()
        except (ValueError, OSError) as error:
            failure = error
    if failure is not None:
        raise failure
