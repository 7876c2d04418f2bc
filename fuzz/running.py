"""`run` fuzzes one target; its corpus begins with seeds unless the command line names another folder."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import atheris


def run(test_one_input: Callable[[bytes], None], seeds: Callable[[Path], None]) -> None:
    """Fuzzes until libFuzzer's options say that it is enough.

    Args:
        test_one_input: raises for an input that shows a fault.
        seeds: writes inputs to begin with into a folder.
    """
    if not any(Path(argument).is_dir() for argument in sys.argv[1:]):
        corpus = Path(os.environ.get("PENSTOCK_FUZZ_CORPUS", Path(__file__).parent / ".corpus"))
        corpus.mkdir(exist_ok=True)
        seeds(corpus)
        sys.argv.append(str(corpus))
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
