"""Renewals that fail: what is kept of an error."""

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.io.errors import AccessDenied, PenstockError, Unreachable
from penstock.io.kinesis.lease.renewals import Renewals
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.rarely import Rarely


@pytest.mark.parametrize("kind", [Unreachable, AccessDenied])
def test_an_error_is_kept_without_what_its_frames_hold(kind: type[PenstockError]) -> None:
    def fail(*_: Any) -> None:
        message = "no"
        raise kind(message)

    store: Any = SimpleNamespace(replace=fail)
    options = KinesisReadOptions("stream", application_name="app")
    renewals: Renewals[Any] = Renewals(store, options, Rarely(60.0), lambda: 100.0)
    lease: Any = SimpleNamespace(renewed=lambda *_, **__: SimpleNamespace(position=None), position=None)
    held: Any = SimpleNamespace(
        lease=lease, news=None, renew_at=0.0, checkpoint_at=0.0, read_until_ms=lambda: 0
    )
    with contextlib.suppress(AccessDenied):
        renewals.renew_due([held])
    kept = renewals._failure
    assert isinstance(kept, kind)
    assert kept.__traceback__ is None
