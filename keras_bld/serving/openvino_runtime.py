"""OpenVINO's runtime, one for the process."""

import functools


@functools.cache
def openvino_core():
    """The `openvino.Core` of this process, which stays to its end.

    The plugin of a second one takes the first one's stack for signals (sigaltstack). Where the
    first is freed before the second, that stack is gone and put back all the same, and the next
    signal, such as Ctrl-C, is a segmentation fault (seen with OpenVINO 2026 on an AMD EPYC).

    Raises:
        ImportError: OpenVINO is not installed.
    """
    import openvino

    return openvino.Core()


def has_bfloat16():
    """Whether the processor multiplies bfloat16 natively, as OpenVINO sees it."""
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
