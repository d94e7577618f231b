"""How a run is asked to stop."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

import trio

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a terminal that closes hangs up: nothing is left resting


class Stop:
    """Whether, and by which signal, the run was asked to stop.

    Not a task: a simulation lets other tasks have a turn now and then only, and a second signal must not wait for one.
    """

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.signal: int | None = None
        self.asked: Callable[[], None] = lambda: None  # called, within trio, when a signal came

    @property
    def name(self) -> str | None:
        """The signal's name, None without one."""
        return None if self.signal is None else signal.Signals(self.signal).name

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals that ask to stop; from within trio."""
        token = trio.lowlevel.current_trio_token()

        def asked(number: int, frame: FrameType | None) -> None:
            if self.signal is not None:
                _at_once(number)
            self.signal = number
            token.run_sync_soon(lambda: self.asked())

        # What is ignored stays ignored: nohup does so, and the workers of a sweep, which asks them itself.
        heard = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        before = {each: signal.signal(each, asked) for each in heard}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def unless(self, prepare: Callable[[], T]) -> T:
        """Do what comes before the start in a thread; a signal ends the waiting for it."""
        with self.ends_the_wait():
            return await trio.to_thread.run_sync(prepare, abandon_on_cancel=True)
        raise self.left()

    @contextmanager
    def ends_the_wait(self) -> Iterator[trio.CancelScope]:
        """Cancel what is inside when a signal comes, until `begin` is called."""
        with trio.CancelScope() as scope:
            self.asked = scope.cancel
            yield scope

    def begin(self, asked: Callable[[], None] = lambda: None) -> None:
        """From here on a signal ends the run in order; `asked` is called when one comes."""
        self.asked = asked

    def left(self) -> SystemExit:
        """Say that nothing had started; return what ends the program."""
        assert self.signal is not None, "only a signal cancels"
        print("pmrun: stopped before anything started", file=sys.stderr)
        return SystemExit(128 + self.signal)


def _at_once(number: int) -> NoReturn:
    """End at the second signal, whatever is going on; only the terminal gets its cursor back."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")
    os._exit(128 + number)
