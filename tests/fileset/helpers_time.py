"""Ends what takes too long, by the processor and by the clock."""

import contextlib
import faulthandler
import signal
import sys
from collections.abc import Iterator

LIMIT = 30.0
"""Longest time of the processor for one small file [s]; without damage it takes 0.2 s."""
WAIT = 300.0
"""Longest time by the clock [s]: of a deadlock the processor knows nothing."""


class TooLongError(BaseException):
    """Of no kind that anybody catches."""


@contextlib.contextmanager
def limited(limit: float = LIMIT, wait: float = WAIT, more: float = 60.0) -> Iterator[None]:
    """End what takes too long; after some more time [s] with all of Python, if nothing else did."""
    timers = (signal.ITIMER_PROF, signal.SIGPROF, limit), (signal.ITIMER_REAL, signal.SIGALRM, wait)

    def stop(number: int, _: object) -> None:
        raise TooLongError(f"not done: {signal.Signals(number).name}")

    with contextlib.ExitStack() as stack:
        for timer, number, seconds in timers:
            stack.callback(signal.signal, number, signal.signal(number, stop))
            signal.setitimer(timer, seconds)
            stack.callback(signal.setitimer, timer, 0.0)
        # Of a library that never comes back, Python's signal handlers wait too.
        faulthandler.dump_traceback_later(wait + more, exit=True, file=sys.__stderr__)
        stack.callback(faulthandler.cancel_dump_traceback_later)
        yield
