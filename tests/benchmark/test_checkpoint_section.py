import json

import pytest

from keras_bld.__main__ import main

pytestmark = pytest.mark.once


def test_a_checkpoint_beside_a_step(capsys):
    main("benchmark --model tiny --only checkpoint --num-repeats 2 --json -".split())
    rows = json.loads(capsys.readouterr().out)["sections"]["checkpoint"]
    assert [row["name"] for row in rows] == [
        "checkpoint, stage 1, batch 2",
        "checkpoint, stage 2, batch 8",
    ]
    for row in rows:
        assert row["step_seconds"] > 0 and row["lock_seconds"] > 0 and row["state_mib"] > 0
        wait = row["copy_seconds"]
        assert row["share_of_time"] == pytest.approx(wait / (900 + wait), rel=0.01)
        assert row["share_with_writing"] > row["share_of_time"]
