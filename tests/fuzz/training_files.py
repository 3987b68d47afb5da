"""Checkpoints and histories of a run, and classifiers of evaluate."""

import io
import json

import numpy as np
from fuzz import mutations
from fuzz.arrays_and_texts import damage_text
from fuzz.mutations import damage_bytes
from fuzz.preset_files import damage_h5

ARRAYS = [("kernel", np.ones((2, 1), "float32")), ("step", np.array(4))]


def make_run(folder):
    from keras_bld.base.fitting.checkpoints import Checkpoints

    Checkpoints(folder / "checkpoint").write(4, ARRAYS, {"history": []})
    (folder / "history.csv").write_text("epoch,loss\r\n0,0.5\r\n1,0.25\r\n")


def damage_run(folder, random):
    path = folder / "checkpoint" / "000000004.checkpoint.zip"
    kind = random.random()
    if kind < 0.3:
        damage_text("history.csv", folder, random)
    elif kind < 0.6:
        members = list(mutations.read_zip(path.read_bytes()))
        path.write_bytes(mutations.damage_members(members, random, ".json"))
    else:
        path.write_bytes(damage_bytes(path.read_bytes(), random))


def read_run(folder):
    from keras_bld.base.fitting.checkpoints import Checkpoints
    from keras_bld.base.fitting.history import read_history

    read_history(folder / "history.csv")
    Checkpoints(folder / "checkpoint").newest(ARRAYS)


def make_classifier(folder):
    from keras_bld.metrics import build_classifier

    build_classifier((4, 4, 1), 2, width=2).save(folder / "network.keras")


def damage_classifier(folder, random):
    path = folder / "network.keras"
    if random.random() < 0.2:
        path.write_bytes(damage_bytes(path.read_bytes(), random))
        return
    members = dict(mutations.read_zip(path.read_bytes()))
    kind = random.random()
    if kind < 0.4:
        config = json.loads(members["config.json"])
        members["config.json"] = mutations.damage_json(config, random).encode()
    elif kind < 0.7:
        file = io.BytesIO(members["model.weights.h5"])
        damage_h5(file, random)
        members["model.weights.h5"] = file.getvalue()
    else:
        path.write_bytes(mutations.damage_members(list(members.items()), random, ".json"))
        return
    path.write_bytes(mutations.write_zip(list(members.items())))


def read_classifier(folder):
    from keras_bld.evaluation.classifier_file import load_classifier

    classifier = load_classifier(folder / "network.keras", "train it again")
    for weight in classifier.get_weights():
        assert np.isfinite(weight).all()
