"""A folder that someone else works in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event, Thread

from unigen.disk import alone_in


@contextmanager
def held_elsewhere(path: Path, hold: Callable[[Path], AbstractContextManager[None]] = alone_in) -> Iterator[None]:
    """By another thread, which a lock tells apart as it does another process."""
    held, done = Event(), Event()

    def work() -> None:
        with hold(path):
            held.set()
            done.wait()

    thread = Thread(target=work)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()
