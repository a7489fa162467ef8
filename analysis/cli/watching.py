"""While something goes on: a bar of progress on stderr, and signals that stop it in order."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fileset import Chunk
    from processors.summary import Tally


@contextlib.contextmanager
def progress_bar(text: str, total: int | None, shown: bool = True) -> Iterator[Any]:
    """Bar on stderr, and its task, for as long as something goes on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        yield bar, bar.add_task(text, total=total)


@contextlib.contextmanager
def watched() -> Iterator[dict[str, Any]]:
    """What a run is told, and tells: progress, and the first Ctrl-C or SIGTERM, to stop in order.

    A second one, and one before the first chunk, interrupts at once.
    """
    begun, stopped = threading.Event(), threading.Event()

    def interrupted(number: int, frame: object) -> None:
        if stopped.is_set() or not begun.is_set():
            interrupt(number, frame)
        stopped.set()

    with (
        progress_bar("processing", None) as (bar, task),
        on_signals(interrupted, signal.SIGINT, signal.SIGTERM),
    ):

        def planned(plan: "Sequence[Chunk]") -> None:
            bar.update(task, total=len(plan))
            begun.set()

        def progress(tally: "Tally") -> None:
            bar.update(task, advance=1, description=f"processing {tally.line()}")

        yield {"planned": planned, "progress": progress, "stop": stopped.is_set}


@contextlib.contextmanager
def on_signals(handler: Callable[[int, Any], None], *numbers: int) -> Iterator[None]:
    """Have signals handled so for a while, where that can be done."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in numbers if main}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def interrupt(number: int, frame: object) -> None:
    """Handle a signal as Ctrl-C is by default: what is half-written is removed on the way out."""
    raise KeyboardInterrupt
