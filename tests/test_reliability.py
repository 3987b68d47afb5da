"""Each test that docs/reliability.md names is there."""

import re

import pytest
from harness import PROJECT_ROOT

pytestmark = pytest.mark.once
ROW = re.compile(r"^\|(.+)\|(.+)\| `([\w/]+\.py)::(\w+)` \|$")


def test_every_fault_has_a_test():
    lines = (PROJECT_ROOT / "docs/reliability.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    rows = [line for line in rows if not line.startswith(("| Fault |", "|---"))]
    assert len(rows) > 30
    for row in rows:
        match = ROW.match(row)
        assert match, row
        assert f"def {match[4]}(" in (PROJECT_ROOT / match[3]).read_text(), row
