"""`local` goes on here behind its virtual environment: it loads this folder as the package `local`.

By hand, because the checkout must not be on `sys.path`: its `io` is not the standard library's.
"""

import importlib.util
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

if "local" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "local", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    if _spec is None or _spec.loader is None:
        sys.exit(f"run_local.sh: {_FOLDER} is incomplete")
    sys.modules["local"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["local"])

from local.command import main  # noqa: E402  only now there is such a package

if __name__ == "__main__":
    sys.exit(main())
