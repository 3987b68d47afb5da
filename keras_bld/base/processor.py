"""The processor: its name, what it computes itself, oneDNN's kernels; whether there is a GPU."""

import os
import pathlib
import platform

_CPUINFO = "/proc/cpuinfo"
_NVIDIA = "/dev/nvidiactl"
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # the last on ARM


def turn_on_onednn():
    """Let TensorFlow use oneDNN's kernels on every x86 processor; called before Keras is imported.

    TensorFlow takes them by itself only where it finds AVX-512 VNNI or newer. With AVX2 alone they
    made training steps and denoising 1.1 to 1.6 times as fast (docs/performance.md). TensorFlow
    reads the variable once, at its own import: where that came first, nothing changes. A value
    that is set already stays.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def processor_name():
    """Name of the processor, as the system gives it; "" where it gives none."""
    return _first("model name") or platform.processor()


def computes_bfloat16():
    """Whether the processor computes bfloat16 itself, or imitates it; None where nothing tells.

    On a processor without it, networks in bfloat16 ran 4 (TensorFlow) to 20 times (torch) slower
    than in float32 (AMD EPYC with AVX2).
    """
    flags = _first("flags") or _first("Features")
    return bool(_BFLOAT16 & set(flags.split())) if flags else None


def has_gpu():
    """Whether the system has an NVIDIA GPU, without asking a framework."""
    return pathlib.Path(_NVIDIA).exists()


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
