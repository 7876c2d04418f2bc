"""`io/elements` joins batches and the elements of any Beam pipeline: dicts, rows, texts, bytes.

- `from_elements`: batches made of elements.    - `_element_bytes`: an element as bytes.
- `completing`: a source's events as elements.   - `refused`: what a sink refused, as elements.
- `arguments`: options given as keywords.
"""

from penstock.io.elements.arguments import options_of, takes
from penstock.io.elements.completing import EventRow, GiveElements, Output
from penstock.io.elements.from_elements import FromElements, IdFunction, as_batches
from penstock.io.elements.refused import Refused, WithRefused

__all__ = [
    "EventRow",
    "FromElements",
    "GiveElements",
    "IdFunction",
    "Output",
    "Refused",
    "WithRefused",
    "as_batches",
    "options_of",
    "takes",
]
