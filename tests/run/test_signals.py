"""A Ctrl-C before the first step stops the run, also where Python or a library has lost it."""

from __future__ import annotations

import signal
import weakref

import pytest

from base.errors import ConfigError, Interrupted
from run.signals import Interruption, heeded

lost = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Thing:
    pass


def lose(number: signal.Signals) -> None:
    """The signal comes while the callback of a weak reference runs."""
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    assert reference() is None


@lost
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_that_python_drops_stops_the_run_when_it_begins(number: signal.Signals) -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), heeded(), heeded():  # the inner one forgets nothing
        lose(number)
        reached = True
        with Interruption(patient=False):
            pytest.fail("the run has begun")
    assert reached


@lost
def test_an_error_that_it_has_become_is_turned_back() -> None:
    with pytest.raises(KeyboardInterrupt), heeded():
        lose(signal.SIGINT)
        raise ConfigError("what OmegaConf makes of it")
    with pytest.raises(Interrupted), heeded():
        lose(signal.SIGINT)
        raise Interrupted("all is kept")


@lost
def test_nothing_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGINT)
    with heeded():
        lose(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with Interruption(patient=False):
        pass  # of another run
    with pytest.raises(ConfigError), heeded():
        raise ConfigError("a mistake")
