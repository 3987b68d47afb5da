"""Each test that docs/reliability.md names is there."""

import re

import pytest
from harness import PROJECT_ROOT

pytestmark = pytest.mark.once
NAMED = re.compile(r"`(tests/[\w/]+(?:\.py)?)(?:::(\w+))?`")


def test_every_fault_has_a_test():
    lines = (PROJECT_ROOT / "docs/reliability.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    rows = [line for line in rows if not line.lower().startswith(("| fault |", "|---"))]
    assert len(rows) > 30
    for row in rows:
        named = NAMED.findall(row.rstrip("| ").rpartition("|")[2])
        assert named, row
        for place, test in named:
            path = PROJECT_ROOT / place
            assert path.exists(), row
            assert not test or f"def {test}(" in path.read_text(), row
