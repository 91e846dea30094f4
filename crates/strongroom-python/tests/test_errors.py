"""Exceptions."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

import strongroom
from strongroom import errors


def test_each_kind_is_the_builtin_that_a_program_would_catch() -> None:
    for kind, builtin in (
        (errors.MissingError, FileNotFoundError),
        (errors.AlreadyExistsError, FileExistsError),
        (errors.ChangedError, OSError),
        (errors.ConflictError, OSError),
        (errors.CorruptError, OSError),
        (errors.DeniedError, PermissionError),
        (errors.UnavailableError, ConnectionError),
        (errors.InvalidError, ValueError),
        (errors.UnsupportedError, OSError),
        (errors.InternalError, RuntimeError),
    ):
        assert issubclass(kind, builtin) and issubclass(kind, strongroom.Error)
        assert errors._KINDS[kind.kind] is kind and kind.__doc__


def test_an_error_says_what_on_what_and_why(tmp_path: Path) -> None:
    with pytest.raises(strongroom.MissingError) as raised:
        strongroom.create(tmp_path).load("a/b/c")
    error = raised.value
    assert str(error) == "load a/b/c: there is nothing at this location"
    assert (error.operation, error.subject, error.may_have_happened) == ("load", "a/b/c", False)
    assert (error.kind, error.errno, error.filename) == ("missing", errno.ENOENT, "a/b/c")


def test_errors_go_to_other_processes() -> None:
    error = strongroom.UnavailableError("store x: nobody knows", "store", "x", True)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert (again.operation, again.subject, again.may_have_happened) == ("store", "x", True)


def test_a_file_in_the_way_is_a_conflict_and_no_absence(tmp_path: Path) -> None:
    plain = strongroom.open_storage(tmp_path)
    plain.store_bytes("x", b"1")
    with pytest.raises(strongroom.ConflictError):
        plain.store_bytes("x/y", b"1")
    with pytest.raises(OSError) as raised:
        plain.store_bytes("x/y", b"1")
    assert not isinstance(raised.value, FileNotFoundError)


def test_all_causes_are_in_the_text() -> None:
    with pytest.raises(strongroom.Error) as raised:
        strongroom.open("http://127.0.0.1:9/none")
    assert "127.0.0.1" in str(raised.value)
