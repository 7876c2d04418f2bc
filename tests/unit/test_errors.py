"""Errors cross process borders in Beam, and hold nothing when they are kept."""

import gc
import pickle
import threading
import types
import weakref

import pytest

from penstock.io import errors
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper()])
def test_every_error_survives_pickling_with_its_text(name):
    error = getattr(errors, name)("what, where, what to do")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == "what, where, what to do"
    assert again.exit_code == {"OptionError": 2, "PipelineError": 2, "StopTimeout": 0}.get(name, 1)


class _BrokenStore:
    """Gives a body that breaks at each read."""

    def __init__(self):
        self.stopping = threading.Event()
        self.stopping.set()

    def get(self, *_):
        def read(_size):
            message = "broken"
            raise ConnectionError(message)

        return types.SimpleNamespace(read=read, close=lambda: None), None


def _read_stream(found):
    stream = ObjectStream(_BrokenStore(), found)
    with pytest.raises(errors.Unreachable):
        stream.read()
    return stream


def test_a_broken_s3_reader_is_in_no_cycle():
    gc.collect()
    gc.disable()
    try:
        reader = _read_stream(S3Object("bucket", "key", 10, "etag", 0))
        forgotten = weakref.ref(reader)
        del reader
        assert forgotten() is None
    finally:
        gc.enable()
