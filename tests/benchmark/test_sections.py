import numpy as np
import pytest
from benchmark import fake_team

from keras_bld.benchmark import sections
from keras_bld.benchmark.report import headline

pytestmark = pytest.mark.once
PATHS = ("keras", "openvino", "peer", "peer_bfloat16")


class Recorder:
    """Every case returns at once; `asked` holds (case, settings)."""

    def __init__(self, asked):
        self.asked, self.notes = asked, {}

    def __getattr__(self, case):
        def prepare(**settings):
            self.asked.append((case, settings))

            def run(lap):
                lap("denoise")
                lap("decode")
                return {"codes": np.zeros(4)}

            return run

        return prepare


@pytest.fixture
def asked(monkeypatch):
    asked = []
    names = (*PATHS, "limit")
    fake_team.use(monkeypatch, **{name: lambda: Recorder(asked) for name in names})
    return asked


def test_denoise_asks_for_steps_and_limits(asked):
    benchmark = sections.Benchmark("tiny", (8, 32), num_repeats=1)
    rows = sections.denoise(benchmark)
    assert [row["batch"] for row in rows] == [8, 32]
    chains = {(s["batch"], s["num_steps"]) for case, s in asked if case == "denoise"}
    assert chains == {(8, 4), (32, 1)}
    limits = [settings for case, settings in asked if case == "product"]
    assert {settings["rows"] for settings in limits} == {8 * 66, 32 * 66}
    assert {settings["precision"] for settings in limits} == {"float32", "bfloat16"}
    assert set(rows[0]["share_of_limit"]) == set(PATHS)
    numbers = {"sections": {"denoise": rows}}
    flat = headline(numbers)
    assert flat["batch"] == 8
    assert flat["denoise_step_seconds"] == min(rows[0]["seconds"][p] for p in PATHS[:2])
    assert flat["peer_denoise_step_seconds"] == rows[0]["seconds"]["peer"]
    assert flat["peer_bfloat16_denoise_step_seconds"] == rows[0]["seconds"]["peer_bfloat16"]
    assert flat["gemm_bfloat16_gflops"] > 0


def test_generate_asks_for_guidance_where_there_are_classes(asked):
    rows = sections.generate(sections.Benchmark("tiny", num_steps=(3, 5), num_repeats=1))
    assert [(row["num_steps"], row["guided"]) for row in rows] == [
        (3, False), (3, True), (5, False), (5, True)
    ]  # fmt: skip
    assert set(rows[1]["times_unguided"]) == set(PATHS)
    assert "denoising_peer_ratio" in rows[0]
    # A guided step is two calls.
    decoding = 2 * rows[0]["gflop"] - rows[1]["gflop"]
    assert rows[2]["gflop"] - decoding == pytest.approx(
        5 / 3 * (rows[0]["gflop"] - decoding), rel=1e-3
    )


def test_end_to_end_sets_few_steps_beside_the_peers_many(asked):
    rows = sections.end_to_end(sections.Benchmark("tiny", (2,), num_repeats=1))
    assert [row["batch"] for row in rows] == [2, 2, 1, 1]
    full, few = rows[:2]
    assert set(full["seconds"]) == set(few["seconds"]) == set(PATHS)
    assert few["seconds"]["peer"] == full["seconds"]["peer"]
    assert few["seconds_an_image"] == pytest.approx(few["seconds"][few["fastest"]] / 2, rel=1e-4)
    asked_for = [(s["num_steps"], s.get("decoder")) for _, s in asked if s["model"] == "tiny"]
    assert sorted(asked_for, key=str) == [(16, None)] * 4 + [(4, "small")] * 2


def test_train_leaves_fast_inference_out(asked):
    rows = sections.train(sections.Benchmark("tiny", num_repeats=1))
    assert [row["batch"] for row in rows] == [2, 8]
    assert all(set(row["seconds"]) == set(row["peak_gib"]) == {"keras", "peer"} for row in rows)


def test_stage_2_is_compared_with_the_limit(asked):
    (step,) = sections.denoise(sections.Benchmark("tiny", (8,), num_repeats=1))
    row = sections.train(sections.Benchmark("tiny", (8,), num_repeats=1))[-1]
    assert row["gflop"] == pytest.approx(3 * step["gflop"], rel=1e-3)  # forward, two gradients
    share = row["gflop"] / row["lowest_seconds"]["keras"] / row["gemm_gflops"]["float32"]
    assert row["share_of_limit"]["keras"] == pytest.approx(share, rel=1e-2)
    assert set(row["share_of_limit"]) == {"keras", "peer"}


def test_encode_and_decode_at_both_sizes(asked):
    for section in (sections.encode, sections.decode):
        rows = section(sections.Benchmark("tiny", num_repeats=1, paths=("keras",)))
        assert [(row["image_size"], row["batch"]) for row in rows] == [(16, 8), (32, 1)]


def test_linearity_has_four_points_each(asked):
    rows = sections.linearity(sections.Benchmark("tiny", num_repeats=1, paths=("keras",)))
    assert [row["x"] for row in rows] == [[1, 2, 4, 8], [4, 8, 12, 16]]


def test_fit_by_hand():
    line = sections.fit((1, 2, 3, 4), (3.0, 5.0, 7.0, 9.0))
    assert (line["slope"], line["intercept"], line["r_squared"]) == (2.0, 1.0, 1.0)
    bent = sections.fit((0, 1, 2), (0.0, 1.0, 0.0))
    assert (bent["slope"], bent["r_squared"]) == (0.0, 0.0)
