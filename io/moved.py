"""`moved` keeps old import paths working where stored state or users' own code names them.

A Flink savepoint holds pickled splits and positions, and pickle names a class by its module. A pipeline of one's own
imports by the paths that the documentation of 0.1.0 showed. Each old path is one line of `MOVED`; a finder, asked only
for names that nothing else finds, gives the module at its new place.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "install"]

MOVED = {
    # Named by savepoints (docs/design.md, "Stored state").
    "penstock.io.batch_coder": "penstock.io.chain.batch_coder",
    "penstock.io.live": "penstock.io.chain.live_objects",
    "penstock.io.unbounded": "penstock.io.chain.unbounded",
    "penstock.io.kinesis.source": "penstock.io.kinesis.read.source",
    "penstock.io.s3.lease_read": "penstock.io.archive.source",
    # Named by the documentation and its examples.
    "penstock.io.acknowledge": "penstock.io.chain.acknowledge",
    "penstock.pipelines.job": "penstock.pipelines.run.streaming",
}
"""Old module -> new module."""


class _MovedFinder(Loader):
    """Finds a module by its old path. Both paths give the same module object."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(MOVED[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module ran when it was imported by its new path, and keeps the name of that."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Makes the old paths importable, once per process."""
    if not any(type(finder).__name__ == _MovedFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.append(_MovedFinder())
