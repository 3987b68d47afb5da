"""Ray on one machine: two nodes, workers that are killed, and the results of the plain loop."""

import sys

import numpy as np
import pytest
from harness import PROJECT_ROOT
from hypothesis import given
from hypothesis import strategies as st
from ray_work import BATCH_SIZE, deadly, refuses, squares
from small_models import small_autoencoder, small_diffusion

from keras_bld.base import ray_engine
from keras_bld.base.bulk import open_engine, run_here
from keras_bld.base.ray_engine import cut
from keras_bld.data import ArraySource, write_code_store

pytestmark = pytest.mark.once
NUM_IMAGES = 40
WITHOUT = "Ray is not installed (extra `ray`)"


@given(st.lists(st.integers(1, 60), max_size=5), st.integers(1, 9), st.integers(1, 5))
def test_pieces_are_whole_batches_of_the_ranges(lengths, batch_size, num_workers):
    ends = np.cumsum([0, *lengths]) + 7
    ranges = list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
    pieces = cut(ranges, batch_size, num_workers)
    # The same batches as of ranges in one piece.
    batches = [
        (first, min(first + batch_size, stop))
        for parts in (ranges, pieces)
        for start, stop in parts
        for first in range(start, stop, batch_size)
    ]
    assert batches[: len(batches) // 2] == batches[len(batches) // 2 :]
    assert {start for start, _ in ranges} <= {start for start, _ in pieces}


def test_no_cluster_at_the_address():
    """Nor is Ray imported for it, which takes seconds."""
    before = set(sys.modules)
    with pytest.raises(ConnectionError, match="`ray_address`.*'127.0.0.1:1'.*ray start --head"):
        with open_engine("ray", "127.0.0.1:1"):
            pass
    assert "ray" not in set(sys.modules) - before


@pytest.fixture(scope="module")
def two_nodes():
    """The address of a Ray cluster of two nodes of one processor each, on this machine."""
    pytest.importorskip("ray.data", reason=WITHOUT)
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # Workers import the library and `ray_work` from this clone.
        patch.setenv("PYTHONPATH", f"{PROJECT_ROOT}:{PROJECT_ROOT / 'tests'}")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # or on a busy machine they hardly run
        size = {"num_cpus": 1, "object_store_memory": 100 << 20}
        cluster = Cluster(initialize_head=True, head_node_args=size)
        try:
            cluster.add_node(**size)
            yield cluster.address
        finally:
            cluster.shutdown()


@pytest.fixture
def engine(two_nodes):
    with open_engine("ray", two_nodes) as found:
        assert found.num_workers == 2
        yield found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
class TestTwoNodes:
    """One cluster for all."""

    def test_errors_are_those_of_the_plain_loop(self, engine, tmp_path, monkeypatch):
        with pytest.raises(ValueError, match="^row 0 cannot be read$"):
            list(engine(refuses, [(0, 3)]))
        monkeypatch.setattr(ray_engine, "_MOST_DEATHS", 1)
        with pytest.raises(RuntimeError, match="has cost 1 workers their life"):
            list(deadly(engine, 2, tmp_path, deaths=99)(squares, [(0, 6)], BATCH_SIZE))

    def test_codes_and_images_with_a_lost_worker(self, engine, tmp_path):
        marks = [tmp_path / name for name in ("died_encoding", "died_generating")]
        for folder in marks:
            folder.mkdir()
        autoencoder = small_autoencoder()
        model = small_diffusion(autoencoder, num_classes=3)
        images = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 8, 8, 3), "uint8")
        source = ArraySource(images, np.arange(NUM_IMAGES) % 3)
        for name, encoding, generating in (
            ("plain", run_here, run_here),
            ("ray", deadly(engine, 21, marks[0]), deadly(engine, 11, marks[1])),
        ):
            arguments = (source, autoencoder.encode, autoencoder.code_shape, "fingerprint")
            write_code_store(
                tmp_path / name / "codes", *arguments, num_shards=3, batch_size=4, engine=encoding
            )
            labels = np.arange(NUM_IMAGES) % 3
            model.generate_to_store(
                tmp_path / name / "made", NUM_IMAGES, labels, 3, batch_size=4, engine=generating
            )
        assert [len(list(folder.iterdir())) for folder in marks] == [1, 1]
        written = {
            name: {
                str(path.relative_to(tmp_path / name)): path.read_bytes()
                for path in (tmp_path / name).rglob("*.*")
            }
            for name in ("plain", "ray")
        }
        assert len(written["plain"]) == 8
        assert written["ray"] == written["plain"]
