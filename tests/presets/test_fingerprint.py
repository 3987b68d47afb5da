import keras
import numpy as np
import pytest

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.diffusion import BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets.fingerprint import (
    autoencoder_fingerprint,
    encoder_fingerprint,
    generator_fingerprint,
)
from keras_bld.zoo import load_preset, save_preset


@pytest.mark.once
def test_it_is_of_the_network_and_not_of_a_file(make_autoencoder, make_diffusion, tmp_path):
    autoencoder = make_autoencoder(critic=True)
    expected = autoencoder_fingerprint(autoencoder)
    save_preset(autoencoder, tmp_path / "alone")
    save_preset(autoencoder, tmp_path / "lean", {"data": "x"}, training_parts=False)
    save_preset(make_diffusion(autoencoder), tmp_path / "inside")
    assert autoencoder_fingerprint(load_preset(tmp_path / "alone", "mixed_bfloat16")) == expected
    assert autoencoder_fingerprint(load_preset(tmp_path / "lean")) == expected
    assert autoencoder_fingerprint(load_preset(tmp_path / "inside").autoencoder) == expected


@pytest.mark.once
@pytest.mark.parametrize("part", ["encoder", "code_logits", "decoder"])
def test_any_changed_weight_changes_it(part, make_autoencoder):
    autoencoder = make_autoencoder()
    before = autoencoder_fingerprint(autoencoder)
    kernel = getattr(autoencoder, part).weights[-1]
    values = keras.ops.convert_to_numpy(kernel).copy()
    values.flat[-1] += 1e-6
    kernel.assign(values)
    assert autoencoder_fingerprint(autoencoder) != before


@pytest.mark.once
@pytest.mark.parametrize("part, same", [("encoder", 0), ("code_logits", 0), ("decoder", 1)])
def test_of_the_encoder_it_is_what_makes_codes(part, same, make_autoencoder):
    autoencoder = make_autoencoder()
    precisions = ("float32", "float16")
    before = [encoder_fingerprint(autoencoder, dtype) for dtype in precisions]
    kernel = getattr(autoencoder, part).weights[-1]
    values = keras.ops.convert_to_numpy(kernel).copy()
    for change, differs in ((1e-9, (not same, False)), (0.5, (not same, not same))):
        values.flat[-1] = change  # a bias, 0 before
        kernel.assign(values)
        after = [encoder_fingerprint(autoencoder, dtype) for dtype in precisions]
        assert tuple(a != b for a, b in zip(after, before, strict=True)) == differs


@pytest.mark.once
def test_sizes_that_no_weight_shows_change_it(make_autoencoder):
    autoencoder = make_autoencoder()
    config, weights = autoencoder.get_config(), autoencoder.get_weights()
    found = []
    for change in ({}, {"num_groups": 2}, {"image_shape": (12, 12, 3)}):
        changed = BinaryAutoencoder.from_config({**config, **change})
        changed.set_weights(weights)
        found.append(autoencoder_fingerprint(changed))
    assert found[0] == autoencoder_fingerprint(autoencoder)
    assert len(set(found)) == 3


def test_it_stays_the_same_between_backends_and_versions(make_autoencoder):
    """Stores of codes on users' disks name it, so that a change would refuse them all."""
    autoencoder = make_autoencoder()
    autoencoder.set_weights([np.ones(weight.shape) for weight in autoencoder.weights])
    assert autoencoder_fingerprint(autoencoder) == (
        "5ab279084dcbcf2a34f2553beb975feabf4561f55a9fd82765281c7e0a72c393"
    )


@pytest.mark.once
def test_of_a_diffusion_it_is_what_generates_codes(make_autoencoder, make_diffusion, tmp_path):
    model = make_diffusion(make_autoencoder(), num_classes=3)
    expected = generator_fingerprint(model)
    save_preset(model, tmp_path / "preset")
    assert generator_fingerprint(load_preset(tmp_path / "preset", "mixed_bfloat16")) == expected
    without = BinaryLatentDiffusion(model.denoiser, model.schedule)
    assert generator_fingerprint(without) == expected
    others = [
        BinaryLatentDiffusion(model.denoiser, BernoulliNoiseSchedule(4, kind="cos")),
        BinaryLatentDiffusion(model.denoiser, model.schedule, target="z0"),
        make_diffusion(num_classes=3),  # other initial weights
    ]
    assert len({expected, *map(generator_fingerprint, others)}) == 4
