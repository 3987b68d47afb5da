import json

import numpy as np
import pytest
from benchmark import fake_team

from keras_bld.__main__ import main
from keras_bld.benchmark.settings import PATHS

pytestmark = pytest.mark.once


class Cases:
    notes = {}

    def denoise(self, **settings):
        return lambda lap: {"codes": np.zeros(2)}

    def product(self, **settings):
        def run(lap):
            lap("0")
            return {}

        return run


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch):
    fake_team.use(monkeypatch, **dict.fromkeys((*PATHS, "limit"), Cases))


def test_one_json_object_and_nothing_else(capsys):
    main(["benchmark", "--only", "denoise", "--batch", "8", "--num-repeats", "1", "--json", "-"])
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["denoise_step_seconds"] > 0 and numbers["peer_denoise_step_seconds"] > 0
    assert numbers["model"] == "unconditional_256" and list(numbers["sections"]) == ["denoise"]
    assert numbers["gflop_per_step"] == pytest.approx(8 * 42, rel=0.01)


def test_without_the_peer_and_with_tables(capsys, tmp_path):
    words = "benchmark --model tiny --only denoise --batch 1 4 --num-repeats 1 --no-peer"
    main([*words.split(), "--json", str(tmp_path / "n.json"), "--chart", str(tmp_path / "c.png")])
    numbers = json.loads((tmp_path / "n.json").read_text())
    rows = numbers["sections"]["denoise"]
    assert [row["batch"] for row in rows] == [1, 4]
    assert all(set(row["seconds"]) == {"keras", "openvino"} for row in rows)
    assert "denoise step, batch 4" in capsys.readouterr().out
    assert (tmp_path / "c.png").is_file()


@pytest.mark.parametrize("bfloat16", [True, False])
def test_bfloat16_is_measured_where_the_processor_has_it(capsys, monkeypatch, bfloat16):
    from keras_bld.benchmark import machine_limit

    monkeypatch.setattr(machine_limit, "has_bfloat16", lambda: bfloat16)
    words = "benchmark --model tiny --only denoise --batch 1 --num-repeats 1 --json -"
    main(words.split())
    numbers = json.loads(capsys.readouterr().out)
    [row] = numbers["sections"]["denoise"]
    assert ("peer_bfloat16" in row["seconds"]) == bfloat16
    assert ("bfloat16" in row["gemm_gflops"]) == bfloat16
    assert "openvino" in row["share_of_limit"]
    assert ("bfloat16" in numbers["notes"]) == (not bfloat16)


def test_a_gpu_is_measured_in_both_precisions(capsys, monkeypatch, tmp_path):
    (tmp_path / "device").touch()
    monkeypatch.setattr("keras_bld.base.processor._NVIDIA", tmp_path / "device")
    main("benchmark --model tiny --only denoise --batch 1 --num-repeats 1 --json -".split())
    [row] = json.loads(capsys.readouterr().out)["sections"]["denoise"]
    assert set(row["seconds"]) == set(row["share_of_limit"]) == {"keras", "keras_bfloat16"}
    assert set(row["gemm_gflops"]) == {"float32", "bfloat16"}


def test_only_the_columns_that_were_asked_for(capsys):
    words = "--model tiny --only denoise --batch 1 --num-repeats 1 --path peer keras --json -"
    main(["benchmark", *words.split()])
    [row] = json.loads(capsys.readouterr().out)["sections"]["denoise"]
    assert set(row["seconds"]) == {"peer", "keras"}


def test_a_column_that_does_not_run_on_a_gpu_is_refused(capsys, monkeypatch, tmp_path):
    (tmp_path / "device").touch()
    monkeypatch.setattr("keras_bld.base.processor._NVIDIA", tmp_path / "device")
    with pytest.raises(SystemExit) as refused:
        main("benchmark --model tiny --only denoise --path openvino".split())
    assert "`path`: received 'openvino'" in str(refused.value)


@pytest.mark.parametrize("words", ["--batch 0", "--num-repeats 0"])
def test_bad_numbers_are_refused_before_any_work(words):
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", *words.split()])
    assert words.split()[0].removeprefix("--").replace("-", "_") in str(caught.value.code)
