import pytest

from keras_bld.base import processes

pytestmark = pytest.mark.once


def test_one_process_is_the_chief_and_agrees_with_itself():
    assert processes.is_chief() and processes.num_processes() == 1
    assert processes.agree_on(7) == 7 and processes.all_have(3)


def test_several_processes(monkeypatch):
    """As process 1 of 3; the others call with the numbers of `others`."""
    others = [2, 9]
    monkeypatch.setattr(processes, "process", lambda: (1, 3))
    monkeypatch.setattr(
        processes,
        "largest_of_processes",
        lambda number: max([number, *(other if number >= 0 else -other for other in others)]),
    )
    assert not processes.is_chief() and processes.num_processes() == 3
    assert processes.agree_on(4) == 9 and not processes.all_have(9)
    others[:] = [9, 9]
    assert processes.all_have(9)
    monkeypatch.setattr(processes, "_parted", [])
    processes.part()
    assert processes.is_chief() and processes.num_processes() == 1 and processes.agree_on(4) == 4
