"""A worker with another penstock than the submitter's refuses the job, by its first step."""

import pickle

import pytest

import penstock
from penstock.io.chain.pacing import Pacing
from penstock.io.chain.unbounded import Plan, _ReadDoFn
from penstock.io.errors import WrongRelease
from penstock.io.release import require_release, this_release


def test_another_release_is_named_and_the_same_one_is_not():
    require_release(this_release())
    with pytest.raises(WrongRelease, match=r"has penstock .*, and the job was submitted with 0\.0\.1\."):
        require_release("0.0.1")


def test_the_reading_step_carries_the_version_that_it_was_submitted_with(monkeypatch):
    monkeypatch.setattr(penstock, "__version__", "9.9.9", raising=False)
    sent = pickle.dumps(_ReadDoFn(Plan("key", dict, Pacing.of("Flink"), apart=False)))
    monkeypatch.undo()
    with pytest.raises(WrongRelease, match=r"submitted with 9\.9\.9"):
        pickle.loads(sent).setup()
