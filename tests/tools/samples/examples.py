"""`examples` sets the number of examples of a property: all by `./run_local.sh test --full`, else the profile's share."""

from hypothesis import settings

USUAL, FULL = 30, 100
"""Examples of a property that asks for no number: of the profile "penstock", and of "full"."""


def examples(number: int) -> settings:
    """Decorates a property that deserves so many, in full."""
    return settings(max_examples=max(10, number * settings().max_examples // FULL))
