import json
import pickle

import numpy as np
import pytest
from small_models import CODE_SHAPE, LinearDenoiser, PixelAutoencoder, tiny_model

from keras_bld.data import CodeStore, unpack_codes
from keras_bld.diffusion.code_prior import CodePrior
from keras_bld.diffusion.generation_store import PlannedCodes
from keras_bld.diffusion.sampling import plan_sampling

pytest.importorskip("array_record")
once = pytest.mark.once
SETTINGS = {"num_steps": 3, "seed": 5, "batch_size": 2}
LABELS = np.arange(11) % 3


@pytest.fixture
def model():
    """Three classes, weights of its own."""
    model = tiny_model(LinearDenoiser(num_classes=3))
    values = np.random.default_rng(0).normal(0, 2, (3, CODE_SHAPE[-1]))
    model.denoiser.by_class.assign(values)
    return model


class Killed(Exception):
    pass


def stop_after(monkeypatch, num_batches):
    """Sampling ends with `Killed` in place of the batch after `num_batches`."""
    plain, made = CodePrior.code_batches, []

    def code_batches(self, *arguments):
        for codes in plain(self, *arguments):
            if len(made) == num_batches:
                raise Killed
            made.append(len(codes))
            yield codes

    monkeypatch.setattr(CodePrior, "code_batches", code_batches)
    return made


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_store_holds_the_codes_that_the_seed_stands_for(model, tmp_path):
    done = []
    store = model.generate_to_store(
        tmp_path, 11, labels=LABELS, num_shards=3, on_progress=lambda *n: done.append(n), **SETTINGS
    )
    assert isinstance(store, CodeStore) and len(store) == 11 and store.num_classes == 3
    packed, labels = store.read(np.arange(11))
    np.testing.assert_array_equal(labels, LABELS)
    expected = model.generate_codes(11, labels=LABELS, **SETTINGS)
    np.testing.assert_array_equal(unpack_codes(packed, CODE_SHAPE[-1]), expected)
    assert (expected[0] != expected[3]).any()  # same label, other noise
    assert len(list(tmp_path.glob("*.array_record"))) == 3 and done[-1] == (11, 11)
    assert store.class_names == ("0", "1", "2")


@once
def test_the_names_of_the_classes_stand_beside_the_labels(model, tmp_path):
    model.class_names = ("ant", "bee", "cat")
    store = model.generate_to_store(tmp_path, 3, labels=["cat", "ant", "bee"], **SETTINGS)
    assert store.class_names == model.class_names
    np.testing.assert_array_equal(store.read(np.arange(3))[1], [2, 0, 1])


@once
def test_an_interrupted_run_ends_with_the_same_bytes(model, tmp_path, monkeypatch):
    arguments = {"labels": LABELS, "num_shards": 3, **SETTINGS}
    whole = model.generate_to_store(tmp_path / "whole", 11, **arguments)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)  # shards of 3, 4 and 4 images: in the second
        with pytest.raises(Killed):
            model.generate_to_store(tmp_path / "parts", 11, **arguments)
    left = sorted(file.name for file in (tmp_path / "parts").iterdir())
    assert left == ["codes-00000-of-00003.array_record", "header.json"]
    with pytest.raises(FileNotFoundError, match="not finished"):
        CodeStore(tmp_path / "parts")
    with monkeypatch.context() as patch:
        made = stop_after(patch, 100)
        model.generate_to_store(tmp_path / "parts", 11, **arguments)
        assert sum(made) == 8  # the first shard was not made again
        model.generate_to_store(tmp_path / "parts", 11, **arguments)
        assert sum(made) == 8  # nor anything, once it was finished
    np.testing.assert_equal(list(CodeStore(tmp_path / "parts")), list(whole))
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@once
def test_a_store_of_an_older_version_goes_on(model, tmp_path):
    store = model.generate_to_store(tmp_path, 4, labels=0, **SETTINGS)
    header = tmp_path / "header.json"
    kept = json.loads(header.read_text())
    for name in ("kappa", "corrector_steps", "corrector_share", "known_bits"):
        del kept[name]
    header.write_text(json.dumps(kept))
    again = model.generate_to_store(tmp_path, 4, labels=0, **SETTINGS)
    np.testing.assert_equal(list(again), list(store))
    with pytest.raises(ValueError, match="holds another store, for kappa 0.5; expected .* 1.0"):
        model.generate_to_store(tmp_path, 4, labels=0, **SETTINGS, kappa=0.5)


@once
def test_codes_do_not_depend_on_shards_or_batches(model, tmp_path):
    settings = {"labels": LABELS, "num_steps": 3, "seed": 5}
    stores = [
        model.generate_to_store(tmp_path / str(number), 11, **settings, **sizes)
        for number, sizes in enumerate([{}, {"num_shards": 11}, {"batch_size": 4}])
    ]
    assert [store.header["num_shards"] for store in stores] == [1, 11, 1]
    for store in stores[1:]:
        np.testing.assert_equal(list(store), list(stores[0]))


@once
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 6}, "seed 6; expected .* seed 5"),
        ({"num_steps": 4}, "num_steps 4"),
        ({"temperature": 0.5}, "temperature 0.5"),
        ({"guidance_scale": 1.0}, "guidance_scale 1.0"),
        ({"final": "threshold"}, "final 'threshold'"),
        ({"labels": 1}, "condition_sha256"),
        ({"labels": None, "drop_condition": True}, "num_classes None"),
        ({"num_images": 10, "labels": 0}, "num_images 10"),
    ],
)
def test_other_settings_are_refused(changed, named, model, tmp_path):
    arguments = {"num_images": 11, "labels": LABELS, **SETTINGS}
    model.generate_to_store(tmp_path, **arguments)
    before = content(tmp_path)
    with pytest.raises(ValueError, match=f"holds another store, for .*{named}"):
        model.generate_to_store(tmp_path, **{**arguments, **changed})
    assert content(tmp_path) == before


@once
def test_another_model_is_refused(model, tmp_path):
    arguments = {"num_images": 4, "labels": 0, **SETTINGS}
    model.generate_to_store(tmp_path, **arguments)
    kernel = model.denoiser.kernel
    kernel.assign(kernel + 1e-6)
    with pytest.raises(ValueError, match="generator_fingerprint"):
        model.generate_to_store(tmp_path, **arguments)


@once
def test_bad_arguments_leave_no_folder(model, tmp_path):
    for changed, message in (
        ({"seed": None}, "`seed`: received None"),
        ({"labels": 3}, "`labels`: received values from 3"),
        ({"num_images": 0}, "`num_images`: received 0"),
        ({"num_shards": 12}, "`num_shards`: received 12"),
        ({"num_shards": 0}, "`num_shards`: received 0"),
        ({"temperature": 0}, "`temperature`"),
    ):
        arguments = {"num_images": 11, "labels": 0, **SETTINGS, **changed}
        with pytest.raises(ValueError, match=message):
            model.generate_to_store(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


@once
def test_progress_is_one_bar(model, tmp_path, progress_seen):
    model.generate_to_store(tmp_path, 11, labels=0, num_shards=3, **SETTINGS)
    assert progress_seen[0] == "generate of 11" and progress_seen[-1] == 11


@once
def test_codes_are_made_only_as_they_are_written(model, tmp_path, monkeypatch):
    """Constant memory: a batch is on its way to the disk before the next one is made."""
    import keras_bld.diffusion.generation_store as generation_store

    events = []
    plain_pack, plain_batches = generation_store.pack_codes, CodePrior.code_batches

    def pack_codes(codes):
        events.append(("written", len(codes)))
        return plain_pack(codes)

    def code_batches(self, *arguments):
        for codes in plain_batches(self, *arguments):
            events.append(("made", len(codes)))
            yield codes

    monkeypatch.setattr(generation_store, "pack_codes", pack_codes)
    monkeypatch.setattr(CodePrior, "code_batches", code_batches)
    model.generate_to_store(tmp_path, 6, labels=0, **SETTINGS)
    assert events == [("made", 2), ("written", 2)] * 3


def test_images_come_back_batch_by_batch(tmp_path):
    model = tiny_model(LinearDenoiser(), autoencoder=PixelAutoencoder())
    store = model.generate_to_store(tmp_path, 5, **SETTINGS)
    decoded = []

    def decode(codes):
        decoded.append(len(codes))
        return model.autoencoder.decode(codes)

    batches = store.decoded_batches(decode, batch_size=2)
    assert decoded == []
    first = next(batches)
    assert decoded == [2]
    images = np.concatenate([first, *batches])
    np.testing.assert_array_equal(images, model.generate(5, **SETTINGS))
    for arguments, message in (({"batch_size": 0}, "`batch_size`"), ({"labels": True}, "`labels`")):
        with pytest.raises(ValueError, match=message):
            store.decoded_batches(decode, **arguments)


def test_pickled_work_makes_the_same_codes(make_autoencoder, make_diffusion):
    model = make_diffusion(make_autoencoder(), num_classes=3)
    indices = np.array([3, 0, 8, 1, 2], "int32")
    labels = indices % 3
    plan = plan_sampling(model, 5, labels, indices=indices, seed=4, batch_size=2)
    work = PlannedCodes(model, plan)
    wanted = np.concatenate(list(work(0, 5)))
    # The codes of these indices, of a part as of the whole.
    several = model.generate_codes(9, labels=np.arange(9) % 3, seed=4, batch_size=2)
    np.testing.assert_array_equal(wanted[1], several[0])
    sent = pickle.loads(pickle.dumps(work))
    np.testing.assert_array_equal(np.concatenate(list(sent(0, 5))), wanted)
    np.testing.assert_array_equal(np.concatenate(list(sent(2, 4))), wanted[2:4])


@once
def test_pickled_work_takes_its_fast_path_along(make_autoencoder, make_diffusion):
    pytest.importorskip("openvino")
    model = make_diffusion(make_autoencoder())
    assert model.compile_for_inference(precision="float32")
    work = PlannedCodes(model, plan_sampling(model, 3, seed=4))
    sent = pickle.loads(pickle.dumps(work))
    assert sent.model._inference_engine.precision == "float32"
    np.testing.assert_array_equal(next(iter(sent(0, 3))), next(iter(work(0, 3))))
