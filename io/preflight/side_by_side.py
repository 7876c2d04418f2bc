"""`side_by_side` does several works at a time, and gives their results in their order.

Most trials wait for the answer of a peer, so a job's start takes the longest of them, and not their sum. The threads are
daemons: a start that fails doesn't wait for a peer that answers late.
"""

import threading
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["MOST", "side_by_side"]

MOST = 8
"""Works at a time: about as many as a job has that wait for nothing but a peer. They ask three or four peers."""

_Result = TypeVar("_Result")


def side_by_side(
    needs: Sequence[Collection[int]], work: Callable[[int], _Result], most: int = MOST
) -> Generator[_Result, None, None]:
    """Gives each work's result as soon as it and all before it are done. Whoever leaves early begins no more of them.

    Args:
        needs: for each work, the numbers of those before it that must be done when it begins.
        work: does one, by its number. What it raises is raised here, in its turn.
        most: how many at a time.
    """
    todo = _Todo(needs, work)
    for number in range(min(most, len(needs))):
        threading.Thread(target=todo.run, name=f"penstock-trial-{number}", daemon=True).start()
    try:
        for result in todo.results:
            yield result.result()
    finally:
        todo.leave()


class _Todo(Generic[_Result]):
    def __init__(self, needs: Sequence[Collection[int]], work: Callable[[int], _Result]) -> None:
        self.results: list[Future[_Result]] = [Future() for _ in needs]
        self._needs = needs
        self._work = work
        self._left = list(range(len(needs)))
        self._changed = threading.Condition()

    def run(self) -> None:
        """Does works until none is left."""
        while (number := self._take()) is not None:
            result = self.results[number]
            try:
                result.set_result(self._work(number))
            except BaseException as error:
                result.set_exception(error)
            with self._changed:
                self._changed.notify_all()

    def leave(self) -> None:
        """Leaves the works undone that have not begun."""
        with self._changed:
            self._left.clear()
            self._changed.notify_all()

    def _take(self) -> int | None:
        with self._changed:
            while self._left:
                for number in self._left:
                    if all(self.results[each].done() for each in self._needs[number]):
                        self._left.remove(number)
                        return number
                self._changed.wait()
        return None
