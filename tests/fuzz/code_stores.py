"""Code stores, finished and begun."""

import json

import numpy as np
from fuzz.mutations import damage_bytes, json_file

NUM_CODES, CODE_SHAPE = 12, (4, 4, 4)


def _store_header(**changes):
    from keras_bld.data.code_shards import store_header

    arguments = {"code_shape": CODE_SHAPE, "num_images": NUM_CODES, "num_shards": 3,
                 "class_names": ["a", "b"], "has_flips": True}  # fmt: skip
    decides = {"autoencoder_fingerprint": "f" * 64, "source_fingerprint": "e" * 64, "seed": 1,
               "temperature": 0.9}  # fmt: skip
    return store_header(**{**arguments, **decides, **changes})


def write_codes(folder, **changes):
    from keras_bld.data import pack_codes
    from keras_bld.data.code_shards import write_code_shards

    codes = np.random.default_rng(0).integers(0, 2, (NUM_CODES, *CODE_SHAPE)).astype("float32")

    def batches_of(start, stop):
        versions = (codes[start:stop], codes[start:stop, :, ::-1])
        yield np.arange(start, stop) % 2, [pack_codes(version) for version in versions]

    return write_code_shards(folder / "codes", _store_header(**changes), batches_of)


def damage_store(folder, random):
    if random.random() < 0.5:
        json_file(folder / "codes" / "header.json", random)
        return
    shards = sorted((folder / "codes").glob("*.array_record"))
    path = random.choice(shards)
    content = path.read_bytes()
    damaged = damage_bytes(content, random)
    if random.random() < 0.2:
        damaged = random.choice(shards).read_bytes()
    if random.random() < 0.5:  # as a fault of a disk does: the size stays
        damaged = damaged[: len(content)].ljust(len(content), b"\0")
    path.write_bytes(damaged)
    if random.random() < 0.5:
        header = json.loads((folder / "codes" / "header.json").read_text())
        header["shard_bytes"] = [shard.stat().st_size for shard in shards]
        (folder / "codes" / "header.json").write_text(json.dumps(header))


def read_store(folder):
    from keras_bld.data import CodeStore

    store = CodeStore(folder / "codes")
    store.read(np.arange(min(len(store), 1000)))
    store[len(store) - 1]
    assert store.num_classes is None or store.num_classes >= 1
    for _ in store.decoded_batches(lambda codes: codes, 5, labels=store.num_classes is not None):
        pass


def make_begun_store(folder):
    write_codes(folder)
    path = folder / "codes" / "header.json"
    header = {**json.loads(path.read_text()), "complete": False}
    del header["shard_bytes"]
    path.write_text(json.dumps(header))
    (folder / "codes" / "codes-00002-of-00003.array_record").unlink()
