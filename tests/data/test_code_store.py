import itertools
import json
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_bld.data import ArraySource, CodeStore, pack_codes, unpack_codes, write_code_store

pytest.importorskip("grain")
pytest.importorskip("array_record")
once = pytest.mark.once
CODE_SHAPE = (2, 2, 11)
FINGERPRINT = "sha256 of an autoencoder"


def numbered(count, labelled=True):
    images = np.random.default_rng(7).integers(0, 256, (count, 4, 4, 3), "uint8")
    images[:, 0, 0, 0] = np.arange(count)
    return ArraySource(images, np.arange(count) % 3 if labelled else None)


def encode(images):
    """Bits of the pixels: another code for each image, and for its mirror image."""
    bits = np.unpackbits(images.reshape(len(images), -1), axis=1)
    return bits[:, :44].reshape(-1, *CODE_SHAPE).astype("float32")


def write(path, count=23, **arguments):
    arguments = {"num_shards": 4, "batch_size": 5, **arguments}
    return write_code_store(path, numbered(count), encode, CODE_SHAPE, FINGERPRINT, **arguments)


def take(dataset, count):
    return list(itertools.islice(iter(dataset), count))


@once
@pytest.mark.parametrize(("num_shards", "num_files"), [(1, 1), (4, 4), (23, 23), (None, 1)])
def test_the_store_holds_every_code_in_order(tmp_path, num_shards, num_files):
    store = write(tmp_path, num_shards=num_shards)
    source = numbered(23)
    assert len(store) == 23 and store.num_classes == 3 and store.class_names == ("0", "1", "2")
    assert len(list(tmp_path.glob("*.array_record"))) == num_files
    for number, (item, original) in enumerate(zip(store, source, strict=True)):
        assert item["label"] == original["label"] == number % 3
        code, flipped = encode(original["image"][None]), encode(original["image"][None, :, ::-1])
        np.testing.assert_array_equal(unpack_codes(item["code"], 11), code[0])
        np.testing.assert_array_equal(unpack_codes(item["flipped_code"], 11), flipped[0])


@once
def test_many_codes_are_read_at_once(tmp_path):
    store = write(tmp_path)
    indices = [22, 0, 7, 7, 13]
    packed, labels = store.read(indices, flipped=[True, False, True, False, False])
    assert packed.dtype == np.uint8 and packed.shape == (5, *store.packed_shape) == (5, 2, 2, 2)
    assert labels.dtype == np.int32 and labels.tolist() == [1, 0, 1, 1, 1]
    images = numbered(23).images[indices]
    images[[0, 2]] = images[[0, 2], :, ::-1]
    np.testing.assert_array_equal(packed, pack_codes(encode(images)))


@once
@pytest.mark.parametrize("seed", [0, 11])
def test_batches_do_not_depend_on_the_number_of_shards(tmp_path, seed):
    stores = [write(tmp_path / str(shards), num_shards=shards) for shards in (1, 2, 5, 23)]
    # More than two epochs, with flips and labels.
    batches = [take(store.batches(4, seed, labels=True), 12) for store in stores]
    for others in batches[1:]:
        np.testing.assert_equal(others, batches[0])
    assert batches[0][0][0].shape == (4, 2, 2, 2) and batches[0][0][1].dtype == np.int32
    other_seed = take(stores[0].batches(4, seed + 1, labels=True), 12)
    assert any((a[0] != b[0]).any() for a, b in zip(batches[0], other_seed, strict=True))


@once
def test_an_epoch_is_every_image_once_flipped_or_not(tmp_path):
    store = write(tmp_path, count=24)
    plain, _ = store.read(np.arange(24))
    flipped, _ = store.read(np.arange(24), flipped=True)
    number_of = {code.tobytes(): (number, False) for number, code in enumerate(plain)}
    number_of |= {code.tobytes(): (number, True) for number, code in enumerate(flipped)}
    assert len(number_of) == 48
    epochs, shares = [], []
    batches = take(store.batches(6, seed=2), 40)
    for first in range(0, 40, 4):
        epoch = np.concatenate(batches[first : first + 4])
        found = [number_of[code.tobytes()] for code in epoch]
        assert sorted(number for number, _ in found) == list(range(24))
        epochs.append(tuple(found))
        shares.append(np.mean([mirrored for _, mirrored in found]))
    assert len(set(epochs)) == 10 and 0.4 < np.mean(shares) < 0.6
    unflipped = np.concatenate(take(store.batches(6, random_flip=False), 4))
    assert not any(number_of[code.tobytes()][1] for code in unflipped)


@once
def test_one_pass_in_order_for_evaluation(tmp_path):
    store = write(tmp_path)
    batches = list(store.batches(10, shuffle=False, repeat=False))
    assert [len(batch) for batch in batches] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate(batches), store.read(np.arange(23))[0])


@once
def test_a_run_goes_on_at_any_batch_and_from_a_saved_state(tmp_path):
    store = write(tmp_path)
    batches = take(store.batches(4, seed=6), 15)
    np.testing.assert_equal(take(store.batches(4, seed=6, start_batch=7), 8), batches[7:])
    iterator = iter(store.batches(4, seed=6))
    for _ in range(9):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    restored = iter(CodeStore(tmp_path).batches(4, seed=6))
    restored.set_state(state)
    np.testing.assert_equal(take(restored, 6), batches[9:])


class Interrupted(Exception):
    pass


@once
def test_an_interrupted_encoding_resumes(tmp_path):
    calls = []

    def interrupted(images):
        calls.append(len(images))
        if len(calls) == 8:
            raise Interrupted
        return encode(images)

    # 23 images in 4 shards of 5 or 6: two batches a shard and two calls a batch, so the eighth
    # call is in the second shard.
    arguments = (numbered(23), interrupted, CODE_SHAPE, FINGERPRINT)
    with pytest.raises(Interrupted):
        write_code_store(tmp_path, *arguments, num_shards=4, batch_size=4)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["codes-00000-of-00004.array_record", "header.json"]
    kept = (tmp_path / files[0]).stat()
    with pytest.raises(FileNotFoundError, match="not finished. Fix: run what wrote it again"):
        CodeStore(tmp_path)
    progress = []
    # Without num_shards the count of the interrupted run stands.
    store = write_code_store(
        tmp_path,
        numbered(23),
        encode,
        CODE_SHAPE,
        FINGERPRINT,
        batch_size=4,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert progress == [(9, 23), (11, 23), (15, 23), (17, 23), (21, 23), (23, 23)]
    again = (tmp_path / files[0]).stat()
    assert (again.st_ino, again.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    whole = write(tmp_path / "whole")
    np.testing.assert_equal(list(store), list(whole))


@once
def test_a_finished_store_is_not_written_again(tmp_path):
    write(tmp_path)

    def never(images):
        pytest.fail("encoded again")

    store = write_code_store(tmp_path, numbered(23), never, CODE_SHAPE, FINGERPRINT)
    assert len(store) == 23


@once
def test_the_encoder_always_sees_whole_batches_of_uint8(tmp_path):
    seen = set()

    def recorded(images):
        seen.add((images.shape, images.dtype.name, images.flags.c_contiguous))
        return encode(images)

    write_code_store(tmp_path, numbered(7), recorded, CODE_SHAPE, FINGERPRINT, batch_size=3)
    assert seen == {((3, 4, 4, 3), "uint8", True)}


@once
@pytest.mark.parametrize("labelled", [True, False])
def test_without_flips_and_labels(tmp_path, labelled):
    source = numbered(6, labelled)
    store = write_code_store(tmp_path, source, encode, CODE_SHAPE, FINGERPRINT, flip=False)
    assert not store.has_flips and set(store[0]) == {"code", "label"}
    assert [item["label"] for item in store] == ([0, 1, 2] * 2 if labelled else [-1] * 6)
    assert (store.num_classes is None) != labelled
    with pytest.raises(ValueError, match="Invalid `flipped`"):
        store.read([0], flipped=True)
    if not labelled:
        with pytest.raises(ValueError, match="Invalid `labels`"):
            store.batches(2, labels=True)


@once
def test_the_store_of_another_autoencoder_is_refused(tmp_path):
    write(tmp_path)
    assert len(CodeStore(tmp_path, FINGERPRINT)) == 23
    with pytest.raises(ValueError, match="'another' for .* encoded by the autoencoder 'sha256 of"):
        CodeStore(tmp_path, "another")


@once
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"autoencoder_fingerprint": "another"}, "autoencoder_fingerprint 'another'"),
        ({"source": numbered(22)}, "num_images 22; source_fingerprint"),
        ({"source": ArraySource(numbered(23).images)}, "num_classes None"),
        ({"flip": False}, "has_flips False"),
        ({"num_shards": 5}, "num_shards 5"),
        ({"code_shape": (2, 2, 12)}, r"code_shape \[2, 2, 12\]"),
    ],
)
def test_a_folder_with_another_store_is_not_written_to(tmp_path, changed, named):
    write(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    arguments = {
        "source": numbered(23),
        "encode": encode,
        "code_shape": CODE_SHAPE,
        "autoencoder_fingerprint": FINGERPRINT,
        **changed,
    }
    with pytest.raises(ValueError, match=f"holds another store, for {named}"):
        write_code_store(tmp_path, **arguments)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@once
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_store_is_refused(tmp_path, damage):
    write(tmp_path)
    shard = tmp_path / "codes-00002-of-00004.array_record"
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match="codes-00002-of-00004.array_record`, which is missing or"):
        CodeStore(tmp_path)


@once
@pytest.mark.parametrize(
    "changes, received",
    [
        ({"num_shards": 10**9}, "`num_shards` 1000000000, not an integer"),
        ({"num_shards": 5, "num_images": 10**12}, "5 shards and 4 sizes"),
        ({"num_images": 10**9}, "1,000,000,000 codes of .* bytes in shards of"),
        ({"code_shape": [2, 2]}, r"`code_shape` \[2, 2\], not a list of 3 items"),
        ({"code_shape": [2**20, 2**20, 8]}, "codes of .* bytes in shards of"),
        ({"num_classes": 2}, "numbers that contradict each other"),
        ({"shard_bytes": None}, "`shard_bytes` None, not a list"),
        ({"class_names": [1, 2, 3]}, "`class_names` .*, not a list of a text"),
        ({"has_flips": 1}, "`has_flips` 1, not true or false"),
    ],
)
def test_a_header_that_claims_what_the_shards_cannot_hold_is_refused(tmp_path, changes, received):
    write(tmp_path)
    header = json.loads((tmp_path / "header.json").read_text())
    (tmp_path / "header.json").write_text(json.dumps(header | changes))
    with pytest.raises(ValueError, match=f"Invalid `path`.*header.json`.*{received}.*Fix: "):
        CodeStore(tmp_path)


@once
@pytest.mark.parametrize("damage", ["bytes", "swapped", "labels"])
def test_a_shard_that_is_damaged_inside_is_named(tmp_path, damage):
    write(tmp_path, flip=False)
    header = json.loads((tmp_path / "header.json").read_text())
    shard = tmp_path / "codes-00002-of-00004.array_record"
    if damage == "labels":
        header |= {"class_names": ["a", "b"], "num_classes": 2}
    elif damage == "swapped":
        shard.write_bytes((tmp_path / "codes-00000-of-00004.array_record").read_bytes())
        header["shard_bytes"][2] = shard.stat().st_size
    else:
        content = bytearray(shard.read_bytes())
        content[: len(content) // 2] = bytes(len(content) // 2)
        shard.write_bytes(content)
    (tmp_path / "header.json").write_text(json.dumps(header))
    store = CodeStore(tmp_path)
    with pytest.raises(ValueError, match="Invalid `path`.*codes-0000.*, which is damaged.*Fix: "):
        store.read(np.arange(23))


@once
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "something else"}'])
def test_a_folder_that_is_no_store_is_refused(tmp_path, content):
    with pytest.raises(FileNotFoundError, match="There is no code store"):
        CodeStore(tmp_path)
    (tmp_path / "header.json").write_text(content)
    with pytest.raises(ValueError, match="header.json`.*expected format"):
        CodeStore(tmp_path)


@once
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encode": lambda images: encode(images) * 0.5}, "Invalid `codes`: received .*0.5"),
        ({"encode": lambda images: encode(images)[:, :1]}, r"codes of shape \(32, 1, 2, 11\)"),
        ({"code_shape": (2, 2)}, "Invalid `code_shape`"),
        ({"code_shape": (2, 0, 11)}, "Invalid `code_shape`"),
        ({"autoencoder_fingerprint": None}, "Invalid `autoencoder_fingerprint`"),
        ({"num_shards": 0}, "Invalid `num_shards`"),
        ({"num_shards": 7}, "Invalid `num_shards`"),
        ({"batch_size": 0}, "Invalid `batch_size`"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, changed, message):
    arguments = {
        "source": numbered(6),
        "encode": encode,
        "code_shape": CODE_SHAPE,
        "autoencoder_fingerprint": FINGERPRINT,
        **changed,
    }
    with pytest.raises(ValueError, match=message):
        write_code_store(tmp_path, **arguments)


@once
@pytest.mark.parametrize("indices", [[], [23], [-1], [[0]], 3])
def test_wrong_indices_are_refused(tmp_path, indices):
    with pytest.raises(ValueError, match="Invalid `indices`"):
        write(tmp_path).read(indices)


@once
def test_without_array_record_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    with pytest.raises(ImportError, match=r"pip install .*\[data\]"):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable("keras_bld_tests")
class Unpack(keras.layers.Layer):
    """Bytes to bits inside the compiled graph, as a model that trains from the store does."""

    def call(self, packed):
        bits = ops.arange(8, dtype="int32")
        bits = ops.right_shift(ops.cast(packed, "int32")[..., None], bits)
        return ops.cast(ops.bitwise_and(bits, 1), "float32")


def test_keras_encodes_and_fits_from_the_store(tmp_path):
    # `encode` returns tensors; the class (bright or dark) can be read off the code.
    images = np.zeros((40, 4, 4, 3), "uint8")
    images[20:] = 200
    source = ArraySource(images, np.arange(40) // 20)

    def threshold(pixels):
        bits = ops.cast(ops.convert_to_tensor(pixels)[:, ::2, ::2] > 100, "float32")
        return ops.tile(bits, (1, 1, 1, 4))[..., :11]

    store = write_code_store(tmp_path, source, threshold, CODE_SHAPE, FINGERPRINT, num_shards=3)
    model = keras.Sequential(
        [
            keras.Input(store.packed_shape, dtype="uint8"),
            Unpack(),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    batches = store.batches(8, labels=True, num_threads=1)
    model.fit(batches, steps_per_epoch=5, epochs=3, shuffle=False, verbose=0)
    evaluation = store.batches(16, labels=True, shuffle=False, repeat=False, num_threads=1)
    results = model.evaluate(evaluation, steps=3, verbose=0, return_dict=True)
    assert results["accuracy"] == 1.0


@once
def test_a_condition_takes_the_place_of_labels(tmp_path):
    store = write(tmp_path)

    def condition(labels, generator):
        return labels[:, None] + generator.random((len(labels), 2))

    batches = store.batches(5, seed=3, labels=True, condition=condition)
    plain = take(store.batches(5, seed=3, labels=True), 6)
    made = take(batches, 6)
    for (codes, values), (same_codes, labels) in zip(made, plain, strict=True):
        np.testing.assert_array_equal(codes, same_codes)
        np.testing.assert_array_equal(np.floor(values), np.stack([labels, labels], 1))
    # A run that goes on later draws the same.
    (_, later), *_ = take(
        store.batches(5, seed=3, labels=True, condition=condition, start_batch=4), 1
    )
    np.testing.assert_array_equal(later, made[4][1])
    with pytest.raises(ValueError, match="labels=True"):
        store.batches(5, condition=condition)


def test_batches_may_say_what_they_hold(tmp_path):
    store = write(tmp_path)
    plain, named = (take(store.batches(5, seed=3, labels=True, named=yes), 1) for yes in (0, 1))
    ((codes, labels),), ((inputs, same_labels),) = plain, named
    assert list(inputs) == ["packed_codes"]
    np.testing.assert_array_equal(inputs["packed_codes"], codes)
    np.testing.assert_array_equal(same_labels, labels)
