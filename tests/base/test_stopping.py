import faulthandler
import os
import signal
import threading

import pytest

from keras_bld.base.stopping import Stopped, keep_python_handler, stops_raise, stops_wait

pytestmark = pytest.mark.once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_where_the_program_is(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=signal.Signals(number).name), stops_raise():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_the_first_signal_waits_for_the_end_of_the_block():
    seen = []
    with pytest.raises(Stopped) as stopped, stops_wait() as asked:
        signal.raise_signal(signal.SIGTERM)
        seen.append(asked[0])
    assert seen == [signal.SIGTERM] and stopped.value.number == signal.SIGTERM
    with pytest.raises(Stopped), stops_wait():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one is at once")


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stops_wait() as asked:
            signal.raise_signal(signal.SIGINT)
        assert not asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_has_no_signals():
    def work():
        with stops_wait():
            done.append(True)

    done = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_a_signal_that_native_code_took_comes_back():
    got = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    with open(os.devnull, "w") as nowhere:
        faulthandler.register(signal.SIGUSR1, file=nowhere)  # as silently as TensorFlow
        try:
            signal.raise_signal(signal.SIGUSR1)
            assert not got
            keep_python_handler(signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR1)
            assert got == [signal.SIGUSR1]
        finally:
            faulthandler.unregister(signal.SIGUSR1)
            signal.signal(signal.SIGUSR1, before)
