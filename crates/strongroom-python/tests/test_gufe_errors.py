"""Section 2.1 of the description of gufe, and what each error is besides."""

from __future__ import annotations

import pickle

import pytest

import strongroom
from strongroom.gufe import errors
from strongroom.gufe.errors import (
    ChangedExternalResourceError,
    ExternalResourceError,
    MissingExternalResourceError,
    translated,
)

KINDS = [getattr(strongroom.errors, name) for name in strongroom.errors.__all__ if name != "Error"]


def test_2_1_all_errors_have_one_base() -> None:
    assert ExternalResourceError.__bases__ == (Exception,)
    assert MissingExternalResourceError.__bases__ == (ExternalResourceError,)
    assert ChangedExternalResourceError.__bases__ == (ExternalResourceError,)


def test_2_1_what_is_missing_is_no_builtin() -> None:
    assert not issubclass(MissingExternalResourceError, (KeyError, FileNotFoundError))


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_one_of_gufe(name: str) -> None:
    assert issubclass(getattr(errors, name), ExternalResourceError)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_error_of_strongroom_has_one_of_gufe(kind: type[strongroom.Error]) -> None:
    error = translated(kind("what happened", "load", "a", True))
    assert isinstance(error, ExternalResourceError)
    assert str(error) == "what happened"
    if kind is not strongroom.MissingError:
        assert isinstance(error, kind)
        assert error.subject == "a"
        assert error.may_have_happened


def test_only_what_is_missing_is_missing() -> None:
    missing = [kind for kind in KINDS if isinstance(translated(kind("")), MissingExternalResourceError)]
    assert missing == [strongroom.MissingError]


def test_what_changed_and_what_is_corrupt_are_changed() -> None:
    changed = {kind for kind in KINDS if isinstance(translated(kind("")), ChangedExternalResourceError)}
    assert changed == {strongroom.ChangedError, strongroom.CorruptError}


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_pickles(name: str) -> None:
    error = getattr(errors, name)("what happened")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error) == "what happened"
