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


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SystemExit(143), 143, ""),
        (SystemExit("error: no images"), 1, "error: no images\n"),
        (SystemExit(), 0, ""),
        (ZeroDivisionError("of what"), 1, "ZeroDivisionError: of what\n"),
    ],
)
@pytest.mark.parametrize("others_come", [True, False])
def test_a_program_ends_without_those_that_do_not(
    others_come, error, code, said, monkeypatch, capsys
):
    def end(code):
        raise KeyboardInterrupt(code)

    processes.leave(error)  # alone: as always
    monkeypatch.setattr(processes, "has_joined", lambda: True)
    monkeypatch.setattr(processes, "leave_processes_within", lambda seconds: others_come)
    monkeypatch.setattr(processes.os, "_exit", end)
    with pytest.raises(SystemExit if others_come else KeyboardInterrupt) as ended:
        processes.leave(error)
    assert ended.value.args == (code,) and capsys.readouterr().err == said
