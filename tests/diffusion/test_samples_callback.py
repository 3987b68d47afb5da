import keras
import numpy as np
import pytest
from PIL import Image
from small_models import (
    LinearDenoiser,
    PixelAutoencoder,
    compiled_model,
    striped_codes,
)

from keras_bld import SamplesCallback, image_grid


def fitted(callback, epochs=2, **settings):
    model = compiled_model(autoencoder=PixelAutoencoder(), **settings)
    labels = np.arange(8) % 3 if model.is_conditional else None
    model.fit(striped_codes(8), labels, epochs=epochs, callbacks=[callback], verbose=0)
    return model


def test_a_sheet_of_the_same_noise_after_each_epoch(tmp_path, progress_seen):
    callback = SamplesCallback(tmp_path / "sheets", num_images=4, seed=3, num_steps=2)
    model = fitted(callback)
    names = ["epoch_0001.png", "epoch_0002.png"]
    assert [path.name for path in callback.paths] == names
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == names
    expected = image_grid(model.generate(4, seed=3, num_steps=2, progress=False))
    with Image.open(callback.paths[1]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))
    assert progress_seen == []


@pytest.mark.once
def test_classes_in_turn_and_only_some_epochs(tmp_path):
    callback = SamplesCallback(tmp_path, num_images=5, every=2, columns=5)
    model = fitted(callback, epochs=3, denoiser=LinearDenoiser(num_classes=3))
    assert [path.name for path in callback.paths] == ["epoch_0002.png"]
    with Image.open(callback.paths[0]) as picture:
        assert picture.size == image_grid(model.generate(5, [0, 1, 2, 0, 1]), columns=5).size


@pytest.mark.once
def test_sheets_reach_tensorboard(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    fitted(SamplesCallback(tmp_path, num_images=4, tensorboard=tmp_path / "logs"))
    (log,) = (tmp_path / "logs").iterdir()
    events = [event for event in loader.LegacyEventFileLoader(str(log)).Load() if event.step]
    assert [event.step for event in events] == [1, 2]
    value = events[0].summary.value[0]
    assert value.tag == "samples"
    assert value.image.encoded_image_string == (tmp_path / "epoch_0001.png").read_bytes()


@pytest.mark.once
def test_models_that_make_no_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="generates images"):
        compiled_model().fit(striped_codes(4), callbacks=[SamplesCallback(tmp_path)], verbose=0)
    with pytest.raises(ValueError, match="`every`"):
        SamplesCallback(tmp_path, every=0)
    assert issubclass(SamplesCallback, keras.callbacks.Callback)
