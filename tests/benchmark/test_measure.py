import numpy as np
import pytest
from benchmark import fake_team

from keras_bld.benchmark.measure import Team, comparison, differences, measured_row

pytestmark = pytest.mark.once


class Cases:
    def __init__(self, log, name, bits):
        self.log, self.name, self.bits, self.notes = log, name, bits, {"name": name}

    def work(self, size):
        if self.name == "openvino" and size == 13:
            raise ValueError("unlucky")

        def run(lap):
            self.log.append(self.name)
            lap("whole")
            return {"codes": np.array(self.bits)}

        return run


@pytest.fixture
def log(monkeypatch):
    log = []
    fake_team.use(
        monkeypatch,
        keras=lambda: Cases(log, "keras", [0, 0, 1, 1]),
        openvino=lambda: Cases(log, "openvino", [0, 1, 1, 1]),
        peer=lambda: Cases(log, "peer", [0, 0, 1, 1]),
    )
    return log


def quiet(line):
    pass


def test_paths_run_in_turn_and_medians_count(log):
    with Team(("keras", "openvino", "peer"), quiet) as team:
        row, _ = measured_row(team, "w", "work", {"size": 1}, 3, divide_by=2, gflop=5.0)
    assert log == ["keras", "openvino", "peer"] * 4
    assert set(row["seconds"]) == {"keras", "openvino", "peer"}
    assert row["quality"] == {"openvino": {"differing_bits": 0.25}}
    assert row["gflop"] == 5.0 and set(row["parts"]["peer"]) == {"whole"}
    assert row["peer_ratio"] >= 0


def test_each_run_is_told_when_it_is_over(log):
    said = []
    with Team(("keras", "peer"), said.append) as team:
        measured_row(team, "w", "work", {"size": 1}, 2)
    told = [line.split(" ")[:2] + line.split(", ")[1:] for line in said if " of 2" in line]
    assert told == [
        ["w:", path, f"{number} of 2"] for number in (1, 2) for path in ("keras", "peer")
    ]


def test_a_path_that_fails_is_left_out_and_named(log):
    with Team(("keras", "openvino"), quiet) as team:
        row, _ = measured_row(team, "w", "work", {"size": 13}, 2)
        assert team.describe()["keras"]["notes"] == {"name": "keras"}
    assert set(row["seconds"]) == {"keras"}
    assert team.failures == {"openvino, w": "ValueError: unlucky"}
    assert "quality" not in row


def test_comparison_by_hand():
    row = comparison({"keras": [3.0, 1.0, 2.0], "openvino": [1.0, 1.5, 9.0], "peer": [6.0] * 3})
    assert row["seconds"] == {"keras": 2.0, "openvino": 1.5, "peer": 6.0}
    assert row["lowest_seconds"]["keras"] == 1.0
    assert (row["fastest"], row["peer_ratio"]) == ("openvino", 4.0)
    assert "peer_bfloat16_ratio" not in row
    assert "fastest" not in comparison({"peer": [1.0]})


def test_differences_by_hand():
    fast = {"codes": np.array([0, 1, 1, 1]), "images": np.zeros((1, 2, 2, 1), "float32")}
    exact = {"codes": np.array([0, 1, 1, 0]), "images": np.full((1, 2, 2, 1), 0.1, "float32")}
    assert differences(fast, exact) == {"differing_bits": 0.25, "psnr_db": 20.0}
    assert differences({"loss": 1}, {"loss": 2}) == {}
