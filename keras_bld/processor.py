"""What the processor is, and what it computes itself."""

import platform

_CPUINFO = "/proc/cpuinfo"
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # the last on ARM


def processor_name():
    """Name of the processor, as the system gives it; "" where it gives none."""
    return _first("model name") or platform.processor()


def lacks_bfloat16():
    """Whether the processor only imitates bfloat16; False where the system does not tell.

    On a processor without it, networks in bfloat16 ran 4 (TensorFlow) to 20 times (torch) slower
    than in float32 (AMD EPYC with AVX2).
    """
    flags = _first("flags") or _first("Features")
    return bool(flags) and not _BFLOAT16 & set(flags.split())


def _first(key):
    """The value of the first line "key : value", or ""."""
    try:
        with open(_CPUINFO) as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""
