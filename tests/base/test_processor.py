import pytest

from keras_bld.base import processor

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("line", "computes"),
    [
        ("flags\t\t: fpu sse avx2 avx512f", False),
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("Features\t: fp asimd", False),
        ("", None),
    ],
)
def test_bfloat16_is_read_from_the_processors_flags(line, computes, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: A Processor: 2\n{line}\n")
    monkeypatch.setattr(processor, "_CPUINFO", file)
    assert processor.computes_bfloat16() is computes
    assert processor.processor_name() == "A Processor: 2"


def test_a_system_that_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "missing")
    assert processor.computes_bfloat16() is None
    assert isinstance(processor.processor_name(), str)
