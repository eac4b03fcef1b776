"""Files that are written whole or not at all, and where a user's cache lies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tinygrad_like.io.errors import InputError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write ``path`` through a temporary file beside it, which replaces ``path`` only once it is complete on disk.

    A crash, a full disk or Ctrl-C leaves the previous file as it was. Missing parent directories are made.

    >>> with atomic_write("notes.txt") as file:
    ...     file.write(b"all or nothing")
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would hide the file from the user's group
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def read_bytes(path: str | os.PathLike[str], kind: str = "file") -> bytes:
    """The bytes of ``path``; a missing or unreadable file is an InputError that names it as a ``kind``."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no {kind} {path}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a directory; expected a {kind}") from error
    except OSError as error:
        raise InputError(f"cannot read {kind} {path}: {error.strerror}") from error


def cache_directory() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/tinygrad_like``, by default ``~/.cache/tinygrad_like``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "tinygrad_like"


def _umask() -> int:
    mask = os.umask(0)  # the only way to ask is to set
    os.umask(mask)
    return mask
