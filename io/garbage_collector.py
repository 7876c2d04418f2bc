"""`calm_garbage_collector` keeps Python's garbage collector out of the way of a process that moves events."""

import gc

__all__ = ["calm_garbage_collector"]


def calm_garbage_collector() -> None:
    """Lets the cyclic garbage collector look less often, and never again at what is there now.

    Batches hold thousands of objects without a cycle between them; walking them again and again cost 0.4 to 1.0
    CPU-s per million events. Reference counting frees them at once all the same.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
