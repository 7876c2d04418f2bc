"""`examples` sets the number of examples of a property: all by `./run_local.sh test --full`, few by `--fast`."""

from hypothesis import settings

FEW, USUAL, FULL = 10, 30, 100
"""Examples of a property that asks for no number: of the profile "fast", of "penstock", and of "full"."""


def examples(number: int) -> settings:
    """Decorates a property that deserves so many, in full."""
    return settings(max_examples=max(10, number * settings().max_examples // FULL))
