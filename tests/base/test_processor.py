import pytest

from keras_bld.base import processor

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("flags\t\t: fpu sse avx2 avx512f", True),
        ("flags\t\t: fpu avx512f avx512_bf16", False),
        ("flags\t\t: fpu amx_bf16 amx_tile", False),
        ("Features\t: fp asimd bf16 i8mm", False),
        ("Features\t: fp asimd", True),
        ("", False),
    ],
)
def test_bfloat16_is_read_from_the_processors_flags(line, lacks, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: A Processor: 2\n{line}\n")
    monkeypatch.setattr(processor, "_CPUINFO", file)
    assert processor.lacks_bfloat16() is lacks
    assert processor.processor_name() == "A Processor: 2"


def test_a_system_that_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "missing")
    assert not processor.lacks_bfloat16()
    assert isinstance(processor.processor_name(), str)
