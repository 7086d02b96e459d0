"""What a terminal shows of work under way, in a terminal that a test holds the other end of."""

import os
import sys
import time

import pytest

from pad_jax import progress


@pytest.fixture
def terminal(monkeypatch):
    """A function of a width: a terminal as standard error; what is read from it after the work."""
    ends = []

    def open_one(columns):
        ours, theirs = os.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 0, columns, 0, 0))
        file = os.fdopen(theirs, "w", buffering=1)
        ends.extend((ours, file))
        monkeypatch.setattr(sys, "stderr", file)
        os.set_blocking(ours, False)
        return lambda: os.read(ours, 10_000).decode()

    monkeypatch.setattr(progress, "_DELAY", 0.0)
    yield open_one
    for i in range(0, len(ends), 2):
        ends[i + 1].close()
        os.close(ends[i])


@pytest.mark.parametrize("columns", [0, 100])
def test_a_bar_also_where_the_width_is_not_known(terminal, columns):
    shown = terminal(columns)
    steps = progress.bar(iter("abc"), 150, "epoch 1/2", each=64)  # the last one has 22
    for step in steps:
        assert step in "abc"
        time.sleep(0.15)  # tqdm draws ten times a second
    text = shown()
    assert "epoch 1/2:" in text
    assert "| 128/150 [" in text  # with a bar before it
    assert "img/s" in text


def test_a_clock(terminal):
    shown = terminal(0)
    with progress.clock("affinity graph"):
        time.sleep(0.3)
    assert "affinity graph: 00:00" in shown()


def test_nothing_elsewhere(capsys):
    steps = iter("abc")
    assert list(progress.bar(steps, 3, "title")) == ["a", "b", "c"]
    with progress.clock("title"):
        pass
    assert capsys.readouterr() == ("", "")
