"""A network of the peer at its best setting: threads, and for bfloat16 weights or autocast."""

import copy
import os
import time

import torch

_NUM_PROBES = 3
_LONG = 4.0  # seconds after which one probe is enough: starting up weighs little in it


def fastest_num_threads(function):
    """1 or the number of cores: with which `function` runs faster once."""
    seconds = {}
    for num_threads in sorted({1, os.cpu_count() or 1}, reverse=True):
        torch.set_num_threads(num_threads)
        begun = time.perf_counter()
        function()
        seconds[num_threads] = time.perf_counter() - begun
    return min(seconds, key=seconds.get)


class Inference:
    """Runs a network without gradients, in the way that a probe found fastest.

    Args:
        module: float32 network, in evaluation mode.
        bfloat16: False keeps float32; True tries a bfloat16 copy of the weights and autocast.
        probe: callable of a network, a call of the size that will be timed.

    Attributes:
        setting: in words, what was chosen.
    """

    def __init__(self, module, bfloat16, probe):
        self._networks = {"float32": module}
        if bfloat16:
            weights = copy.deepcopy(module).to(torch.bfloat16)
            self._networks = {"bfloat16 weights": weights, "autocast": module}
        seconds = {}
        for _ in range(_NUM_PROBES):  # in turn, so that a burst of other work favours none
            for way in self._networks:
                for num_threads in sorted({1, os.cpu_count() or 1}):
                    self._way, self._num_threads = way, num_threads
                    seconds.setdefault((way, num_threads), []).append(self._timed(probe))
            if min(map(min, seconds.values())) > _LONG:
                break
        self._way, self._num_threads = min(seconds, key=lambda setting: min(seconds[setting]))
        self._networks = {self._way: self._networks[self._way]}  # frees the other
        self.setting = f"{self._way}, {self._num_threads} threads"

    def __call__(self, function):
        """`function(network)`."""
        torch.set_num_threads(self._num_threads)
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=self._way == "autocast")
        with torch.inference_mode(), autocast:
            return function(self._networks[self._way])

    def _timed(self, probe):
        begun = time.perf_counter()
        self(probe)
        return time.perf_counter() - begun
