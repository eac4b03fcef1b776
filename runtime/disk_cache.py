"""Compiled code on disk: a bounded table of files that survives the process, and never has to be there.

    >>> cache = DiskCache.default("objects")
    >>> code = cache.get(key)          # None: not there, or damaged
    >>> cache.put(key, code)

Every file carries a checksum of its contents, and is written under another name first, so that a reader sees a whole
entry or none. A directory that cannot be written, a full disk or a damaged entry costs a compilation and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DEFAULT_LIMIT = 512 << 20
_MAGIC = b"TGLCACHE1\n"
_DIGEST_BYTES = 32
_KEPT_AFTER_PRUNING = 0.8  # of the limit


class _Entry(NamedTuple):
    last_used: float
    nbytes: int
    path: Path


def cache_directory() -> Path | None:
    """``$XDG_CACHE_HOME/tinygrad_like`` (``~/.cache/tinygrad_like`` without it); None where there is no home, or
    where TGL_CACHE=0 asks for none."""
    if os.environ.get("TGL_CACHE") == "0":
        return None
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured):  # the XDG specification ignores relative paths
        return Path(configured) / "tinygrad_like"
    try:
        return Path.home() / ".cache" / "tinygrad_like"
    except RuntimeError:
        return None


def cache_key(*parts: str) -> str:
    """The name of the entry that depends on exactly these texts: a SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


class DiskCache:
    """Entries of bytes by key in one directory; the least recently used leave when ``limit`` bytes are exceeded.

    directory: made when first written to; None for a cache that keeps nothing. Several processes may share it.
    """

    def __init__(self, directory: Path | None, limit: int = DEFAULT_LIMIT) -> None:
        self.directory, self.limit = directory, limit
        self._written_since_pruning = limit  # the first write looks at what earlier processes left

    @staticmethod
    def default(kind: str) -> DiskCache:
        """The cache of that kind under ``cache_directory()``."""
        parent = cache_directory()
        return DiskCache(None if parent is None else parent / kind)

    def get(self, key: str) -> bytes | None:
        """The entry, or None. A damaged entry is removed, so that the next ``put`` rebuilds it."""
        if self.directory is None:
            return None
        path = self.directory / key
        try:
            contents = path.read_bytes()
        except OSError:
            return None
        payload = _checked(contents)
        with contextlib.suppress(OSError):
            if payload is None:
                path.unlink()
            else:
                os.utime(path)
        return payload

    def put(self, key: str, payload: bytes) -> bool:
        """Stores an entry; False where that is not possible (read-only directory, full disk)."""
        if self.directory is None:
            return False
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(key, payload)
        except OSError:
            return False
        self._written_since_pruning += len(payload)
        if self._written_since_pruning > self.limit * (1 - _KEPT_AFTER_PRUNING):
            self.prune()
        return True

    def _write(self, key: str, payload: bytes) -> None:
        assert self.directory is not None
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=self.directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, self.directory / key)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def prune(self) -> None:
        """Removes the least recently used entries until the rest is well under the limit."""
        self._written_since_pruning = 0
        entries = sorted(self._entries())
        total = sum(entry.nbytes for entry in entries)
        if total <= self.limit:
            return
        for entry in entries:
            if total <= self.limit * _KEPT_AFTER_PRUNING:
                break
            with contextlib.suppress(OSError):
                entry.path.unlink()
            total -= entry.nbytes

    def _entries(self) -> Iterator[_Entry]:
        assert self.directory is not None
        with contextlib.suppress(OSError), os.scandir(self.directory) as listing:
            for item in listing:
                with contextlib.suppress(OSError):
                    status = item.stat()
                    yield _Entry(status.st_mtime, status.st_size, Path(item.path))


def _checked(contents: bytes) -> bytes | None:
    """The payload of a file whose checksum holds."""
    start = len(_MAGIC) + _DIGEST_BYTES
    if len(contents) < start or not contents.startswith(_MAGIC):
        return None
    payload = contents[start:]
    return payload if hashlib.sha256(payload).digest() == contents[len(_MAGIC) : start] else None
