import keras
import numpy as np
import pytest
from harness import to_numpy

from keras_bld.autoencoder import PerceptualDistance, lpips

torch = pytest.importorskip("torch", reason="LPIPS's weight files are torch files")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights under the published names, small random numbers."""
    generator = torch.Generator().manual_seed(0)
    vgg, channels = {}, 3
    widths = [width for stage in lpips.STAGES for width in stage]
    for index, width in zip(lpips.CONVOLUTION_INDICES, widths, strict=True):
        scale = (2.0 / (9 * channels)) ** 0.5
        vgg[f"features.{index}.weight"] = (
            torch.randn(width, channels, 3, 3, generator=generator) * scale
        )
        vgg[f"features.{index}.bias"] = torch.randn(width, generator=generator) * 0.1
        channels = width
    heads = {
        f"lin{index}.model.1.weight": torch.rand(1, stage[-1], 1, 1, generator=generator)
        for index, stage in enumerate(lpips.STAGES)
    }
    folder = tmp_path_factory.mktemp("lpips")
    paths = {"vgg_weights": folder / "vgg16.pth", "heads": folder / "heads.pth"}
    torch.save(vgg, paths["vgg_weights"])
    torch.save(heads, paths["heads"])
    return paths, vgg, heads


def reference_lpips(vgg, heads, images, others):
    """LPIPS as its authors compute it, in torch; images in [0, 1], channels last."""
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[:, None, None]

    def features(array):
        x = (torch.from_numpy(array).permute(0, 3, 1, 2) * 2 - 1 - shift) / scale
        maps, indices = [], iter(lpips.CONVOLUTION_INDICES)
        for number, stage in enumerate(lpips.STAGES):
            if number:
                x = torch.nn.functional.max_pool2d(x, 2)
            for index in (next(indices) for _ in stage):
                weight, bias = vgg[f"features.{index}.weight"], vgg[f"features.{index}.bias"]
                x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
            maps.append(x / (x.norm(dim=1, keepdim=True) + 1e-10))
        return maps

    total = 0.0
    for index, (first, second) in enumerate(zip(features(images), features(others), strict=True)):
        weighted = torch.nn.functional.conv2d(
            (first - second) ** 2, heads[f"lin{index}.model.1.weight"]
        )
        total = total + weighted.mean(dim=(1, 2, 3))
    return total.numpy()


def test_equals_a_torch_implementation(files):
    paths, vgg, heads = files
    distance = PerceptualDistance.lpips(**{name: str(path) for name, path in paths.items()})
    images, others = np.random.default_rng(0).uniform(size=(2, 2, 20, 16, 3)).astype("float32")
    expected = reference_lpips(vgg, heads, images, others)
    np.testing.assert_allclose(to_numpy(distance(images, others)), expected, rtol=1e-4)
    assert (expected > 0.01).all()


@pytest.mark.once
def test_without_files_and_network_the_error_names_the_alternatives(monkeypatch):
    def no_network(name, origin, **kwargs):
        assert len(kwargs["file_hash"]) == 64 and kwargs["hash_algorithm"] == "sha256"
        raise OSError("no route to host")

    monkeypatch.setattr(keras.utils, "get_file", no_network)
    with pytest.raises(OSError, match=r"no route.*perceptual=None.*PerceptualDistance\(feature"):
        PerceptualDistance.lpips()


@pytest.mark.once
def test_wrong_files_are_refused(files, tmp_path):
    paths, vgg, heads = files
    with pytest.raises(OSError, match="vgg_weights.*no file.*perceptual=None"):
        PerceptualDistance.lpips(vgg_weights=tmp_path / "missing.pth", heads=paths["heads"])
    with pytest.raises(ValueError, match="heads.*without `lin0.model.1.weight`"):
        PerceptualDistance.lpips(vgg_weights=paths["vgg_weights"], heads=paths["vgg_weights"])
    broken = tmp_path / "broken.pth"
    broken.write_bytes(paths["heads"].read_bytes()[:200])
    with pytest.raises(ValueError, match="heads.*cannot be read as plain weights"):
        PerceptualDistance.lpips(vgg_weights=paths["vgg_weights"], heads=broken)
    short = tmp_path / "short.pth"
    torch.save({**vgg, "features.0.weight": torch.zeros(64, 3, 1, 1)}, short)
    with pytest.raises(ValueError, match=r"vgg_weights.*features.0.weight.*\(64, 3, 1, 1\)"):
        PerceptualDistance.lpips(vgg_weights=short, heads=paths["heads"])


@pytest.mark.once
def test_a_file_with_code_in_it_is_not_executed(files, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "malicious.pth"
    torch.save({"features.0.weight": Malicious()}, path)
    with pytest.raises(ValueError, match="cannot be read as plain weights"):
        PerceptualDistance.lpips(vgg_weights=path, heads=files[0]["heads"])
    assert not (tmp_path / "executed").exists()
