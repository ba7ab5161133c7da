"""Work that is done beside other work: most of what takes long here lets other threads run.

What is done beside depends on nothing that is done meanwhile, so that results are the same in whatever order it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

__all__ = ["beside", "together"]

T = TypeVar("T")


def beside(act: Callable[[], T]) -> Callable[[], T]:
    """Begin to act in a thread; return what waits for it and then returns what it returned, or raises what it raised.

    The thread is a daemon: a process that ends for another reason, such as an interrupt, does not wait for it.
    """
    outcome: list[T] = []
    problem: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(act())
        except BaseException as error:  # handed to whoever waits, whole
            problem.append(error)

    thread = threading.Thread(target=work, daemon=True, name=f"gpuyard-{getattr(act, '__name__', 'beside')}")
    thread.start()

    def result() -> T:
        thread.join()
        if problem:
            raise problem[0]
        return outcome[0]

    return result


def together(*acts: Callable[[], T]) -> list[T]:
    """Act in as many threads; return what they return, in their order, once all are done, or raise the first problem.

    Whatever interrupts it, no thread is left at work.
    """
    waits = [beside(act) for act in acts]
    try:
        return [wait() for wait in waits]
    finally:
        for wait in waits:
            with suppress(BaseException):
                wait()
