import pytest

from keras_bld import zoo
from keras_bld.presets import locate


@pytest.mark.parametrize(
    "name, hint",
    [
        ("bld_lsun_church_256", "did you mean 'bld_lsun_churches_256'"),
        ("bld_ffhq_256", r"an architecture without weights.*zoo.build\('bld_ffhq_256'\)"),
        ("zzz", "received 'zzz', neither a known name nor a directory"),
    ],
)
def test_unknown_names(name, hint, monkeypatch, tmp_path):
    monkeypatch.setattr(locate, "FOLDERS", [tmp_path])
    with pytest.raises(ValueError, match=hint) as caught:
        zoo.load_preset(name)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_directory_that_is_no_preset(tmp_path):
    with pytest.raises(FileNotFoundError, match="which holds no metadata.json"):
        zoo.load_preset(tmp_path)


def test_names_come_from_the_package_and_from_the_environment(
    make_diffusion, monkeypatch, tmp_path
):
    monkeypatch.setattr(locate, "FOLDERS", [tmp_path / "shipped"])
    places = ["shipped", "first", "second"]
    for place in places:
        zoo.save_preset(make_diffusion(), tmp_path / place / "shared", {"place": place})
        zoo.save_preset(make_diffusion(), tmp_path / place / place)
    monkeypatch.delenv(locate.ENVIRONMENT_VARIABLE, raising=False)
    assert locate.named_presets().keys() == {"shared", "shipped"}
    mine = f"{tmp_path / 'first'}:{tmp_path / 'second'}"
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, mine)
    assert locate.named_presets().keys() == {"shared", *places}
    assert zoo.read_metadata("shared")["place"] == "first"
    monkeypatch.chdir(tmp_path / "second")
    assert zoo.read_metadata("shared")["place"] == "first"
    assert zoo.read_metadata("./shared")["place"] == "second"
