"""`wait_until` waits for a condition, with patience for a machine ten times slower than ours."""

import time
from collections.abc import Callable
from typing import Any

TIMEOUT_S = 120.0
LONGEST_PAUSE_S = 0.1


def wait_until(
    condition: Callable[[], Any], what: str = "the condition", timeout_s: float = TIMEOUT_S
) -> Any:
    """Returns the first true value of `condition`; fails, naming `what`, when there is none in time.

    It looks after pauses that grow: what is quick is seen at once, and a server is not asked all the time.
    """
    deadline, pause = time.monotonic() + timeout_s, 0.001
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
