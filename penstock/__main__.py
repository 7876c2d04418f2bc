"""`python -m penstock` does what the console script `penstock` does."""

import sys

from penstock.pipelines.__main__ import main

__all__: list[str] = []

sys.exit(main())
