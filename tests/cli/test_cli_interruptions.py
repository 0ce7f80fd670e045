"""Ctrl-C and SIGTERM are answered while a command is still busy with what cannot be broken off."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from ulmfit_jax.cli import termination
from ulmfit_jax.cli.termination import interruptions_answered

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
SENTENCE = "ulmfit: wait a moment …\n"


@pytest.fixture(autouse=True)
def ignored() -> Iterator[None]:
    """Signals that a Python function hears and does nothing about."""
    before = {number: signal.signal(number, lambda *_: None) for number in HEARD}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def answer(capfd: pytest.CaptureFixture[str], seconds: float = 60.0) -> str:
    """What is said next on standard error, waited for as long as a busy machine may need."""
    end, said = time.monotonic() + seconds, ""
    while not said.endswith("\n") and time.monotonic() < end:
        time.sleep(0.05)
        said += capfd.readouterr().err
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_answered_and_no_other(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    with interruptions_answered("wait a moment …"):
        os.kill(os.getpid(), number)
        assert answer(capfd) == SENTENCE
        os.kill(os.getpid(), number)
        time.sleep(termination.PATIENCE + 0.3)
    assert capfd.readouterr().err == ""


def test_a_second_signal_at_once_is_no_end(capfd: pytest.CaptureFixture[str]) -> None:
    with interruptions_answered("wait a moment …"):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(termination.PATIENCE / 10)
        os.kill(os.getpid(), signal.SIGINT)
        assert answer(capfd) == SENTENCE
    assert capfd.readouterr().err == ""


def test_a_command_that_ends_at_once_needs_no_answer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(termination, "PATIENCE", 60.0)
    started = time.monotonic()
    with interruptions_answered("wait a moment …"):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
    assert time.monotonic() - started < 30  # it is not waited for either
    assert capfd.readouterr().err == ""


def test_other_signals_and_none_are_not_answered(capfd: pytest.CaptureFixture[str]) -> None:
    with interruptions_answered("wait a moment …"):
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(termination.PATIENCE + 0.3)
    with interruptions_answered("wait a moment …"):
        pass
    assert capfd.readouterr().err == ""


def test_what_listened_before_listens_again() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    threads = threading.active_count()
    try:
        with pytest.raises(ZeroDivisionError), interruptions_answered("wait a moment …"):
            raise ZeroDivisionError
        os.kill(os.getpid(), signal.SIGUSR1)
        assert os.read(reader, 1) == bytes([signal.SIGUSR1])
        assert threading.active_count() == threads
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def test_outside_of_the_main_thread_nothing_is_changed() -> None:
    done = []

    def run() -> None:
        with interruptions_answered("wait a moment …"):
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]
