"""`Restarts` decides when a worker is started again, and when the job ends because of one. Pure: the clock comes in.

Rules.
- A worker that dies (killed, out of memory) is started again, after a pause that doubles from `FIRST_PAUSE_S` to
  `LONGEST_PAUSE_S`. A life that was ready for `STEADY_S` makes the next pause the first again.
- A worker that ends well is not: its source has ended.
- A failure that a worker tells (access denied, a wrong option) is what a job of one process would end with. Before the
  job was ever ready, the first such failure ends it. Later the job goes on while any worker does: it ends once each of
  them has told a failure since it was last ready.
"""

import dataclasses

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Why the whole job ends: an exit code, and what happened."""

    code: int
    text: str


@dataclasses.dataclass
class Life:
    """A worker, with its lives until now.

    Attributes:
        number: from 1.
        state: `new`, `starting`, `ready`, `waiting` (to be started again), or `ended` for good.
        since: when it came into this state.
        starts: how many lives it had.
        failures: lives that ended badly, one after another.
        why: how the last one ended; empty where none did.
        told: whether it told that failure itself.
        again_at: when the next life is due.
    """

    number: int
    state: str = "new"
    since: float = 0.0
    starts: int = 0
    failures: int = 0
    why: str = ""
    told: bool = False
    again_at: float = 0.0

    def turn(self, state: str, now: float) -> None:
        """Takes note of a new state."""
        self.state, self.since = state, now


class Restarts:
    """The lives of all workers of a job.

    Args:
        count: how many workers there are.

    Attributes:
        lives: by number.
        outcome: why the job ends; None while it goes on.
        ever_ready: whether all workers were ready once.
    """

    def __init__(self, count: int) -> None:
        self.lives = {number: Life(number) for number in range(1, count + 1)}
        self.outcome: Outcome | None = None
        self.ever_ready = False

    @property
    def ready(self) -> int:
        """How many workers are ready."""
        return sum(life.state == "ready" for life in self.lives.values())

    @property
    def ended(self) -> bool:
        """Whether every worker has ended well."""
        return all(life.state == "ended" for life in self.lives.values())

    def started(self, number: int, now: float) -> None:
        """Takes note that a worker was started."""
        life = self.lives[number]
        life.starts += 1
        life.turn("starting", now)

    def became_ready(self, number: int, now: float) -> None:
        """Takes note that a worker reads."""
        life = self.lives[number]
        life.turn("ready", now)
        life.told = False
        self.ever_ready = self.ever_ready or self.ready == len(self.lives)

    def has_ended(self, number: int, now: float, failure: Outcome | None, why: str = "") -> None:
        """Takes note that a worker has ended.

        Args:
            number: which one.
            now: seconds.
            failure: the failure that it told; None where it told none.
            why: how it died; empty where it ended well.
        """
        life = self.lives[number]
        if failure is None and not why:
            life.turn("ended", now)
            return
        steady = life.state == "ready" and now - life.since >= STEADY_S
        life.failures = 1 if steady else life.failures + 1
        life.why = failure.text if failure is not None else why
        life.told = failure is not None
        life.again_at = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(30, life.failures - 1))
        life.turn("waiting", now)
        if failure is not None and (not self.ever_ready or self._all_have_told()):
            self.outcome = self.outcome or failure

    def _all_have_told(self) -> bool:
        return all(life.told or life.state == "ended" for life in self.lives.values())

    def due(self, now: float) -> list[int]:
        """Gives the numbers of those that are to be started now."""
        return [
            life.number
            for life in self.lives.values()
            if life.state == "new" or (life.state == "waiting" and life.again_at <= now)
        ]
