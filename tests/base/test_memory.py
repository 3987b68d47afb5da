import pytest

from keras_bld.base import memory

pytestmark = pytest.mark.once


def test_a_machine_has_memory_and_a_container_less(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", (tmp_path / "none",))
    whole = memory.available_bytes()
    assert whole > 2**28
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text(f"{2**20}\n")
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", (tmp_path / "max", tmp_path / "limit"))
    assert memory.available_bytes() == 2**20


def test_an_accelerator_says_for_itself(monkeypatch):
    monkeypatch.setattr(memory, "runs_on_cpu", lambda: False)
    monkeypatch.setattr(memory, "device_bytes", lambda: 123)
    assert memory.available_bytes() == 123


class ResourceExhaustedError(Exception):
    """As TensorFlow's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor with shape[8,1024,1024,128]"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes."),
    ],
)
def test_the_words_of_the_backends(error):
    assert memory.is_out_of_memory(error)
    assert not memory.is_out_of_memory(ValueError("no room for labels"))
