import json
import shutil

import pytest

from keras_bld.serving.service import program as programs
from keras_bld.serving.service.program import is_program, program_of, read_program, write_program
from keras_bld.zoo import SHIPPED

pytestmark = pytest.mark.on_tensorflow


@pytest.fixture
def copy(program, tmp_path):
    return shutil.copytree(program.directory, tmp_path / "copy")


def test_a_program_is_read_as_it_was_written(program):
    assert program_of(program.directory).description == program.description
    assert program.num_training_steps == 4 and program.description["class_names"][2] == "light"
    assert program.arrays()["times"].shape == (4, 16)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "decoder.bin").write_bytes(b"0"),
        lambda path: (path / "denoiser.xml").unlink(),
        lambda path: (path / "program.json").write_text("{}"),
        lambda path: (path / "arrays.npz").write_bytes(b""),
    ],
)
def test_a_damaged_program_says_what_to_do(copy, damage):
    damage(copy)
    with pytest.raises(ValueError, match="delete the directory"):
        read_program(copy)


def test_the_cache_is_written_once_and_mended(copy, tmp_path, monkeypatch):
    monkeypatch.setenv(programs.ENVIRONMENT_VARIABLE, str(tmp_path / "cache"))
    written, said = [], []

    def write(preset, directory, decoder):
        written.append(directory)
        shutil.copytree(copy, directory, dirs_exist_ok=True)

    monkeypatch.setattr(programs, "write_program", write)
    preset = SHIPPED / "bld_digits_16"
    first = program_of(preset, said.append)
    assert program_of(preset, said.append).directory == first.directory == written[0]
    assert len(written) == len(said) == 1 and "(once)" in said[0]
    (first.directory / "decoder.bin").write_bytes(b"")
    program_of(preset, said.append)
    assert len(written) == 2 and "altered" in said[1]
    shutil.copytree(preset, tmp_path / "bld_digits_16")
    metadata = json.loads((preset / "metadata.json").read_text())
    metadata["files"]["config.json"]["sha256"] = "0" * 64
    (tmp_path / "bld_digits_16/metadata.json").write_text(json.dumps(metadata))
    program_of(tmp_path / "bld_digits_16")
    assert written[2] != written[0]
    program_of(preset, decoder="small")
    assert written[3] != written[0]
    shutil.copytree(preset, tmp_path / "other")
    shared = {"part": "autoencoder", "sha256": "1" * 64}
    metadata["files"]["../other/model.weights.h5"] = shared
    (tmp_path / "bld_digits_16/metadata.json").write_text(json.dumps(metadata))
    program_of(tmp_path / "bld_digits_16")
    assert written[4] != written[2]


def test_what_cannot_be_served_is_one_message(tmp_path):
    with pytest.raises(ValueError, match="Invalid `preset`: received .*nothing"):
        program_of(tmp_path / "nothing")


@pytest.mark.slow
def test_a_program_is_written_by_a_process_of_its_own(tmp_path):
    write_program("bld_digits_16", tmp_path / "program")
    assert read_program(tmp_path / "program").description["preset"] == "bld_digits_16"
    with pytest.raises(ValueError, match=r"^Invalid `preset`"):
        write_program(tmp_path / "nothing", tmp_path / "another")
    assert not is_program(tmp_path / "another")
