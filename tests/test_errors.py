"""Errors: each names what is wrong and the remedy, also after crossing a process border."""

from __future__ import annotations

import pickle

import pytest

from smearscan import errors


@pytest.mark.parametrize(
    "kind", [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.SmearscanError)]
)
def test_an_error_survives_pickling_with_its_remedy(kind: type[errors.SmearscanError]) -> None:
    error = pickle.loads(pickle.dumps(kind("a.svs is cut short", "copy it again")))
    assert (type(error), str(error)) == (kind, "a.svs is cut short. Copy it again")
