"""The disk cache: entries survive, and nothing that happens to its directory is worse than a missing entry."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from runtime import disk_cache
from runtime.disk_cache import DiskCache, cache_directory, cache_key


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "objects")


def entry(cache: DiskCache, key: str) -> Path:
    assert cache.directory is not None
    return cache.directory / key


def test_entries_survive_the_object(cache: DiskCache) -> None:
    assert cache.get("key") is None
    assert cache.put("key", b"code")
    assert DiskCache(cache.directory).get("key") == b"code"


@pytest.mark.parametrize("payload", [b"", b"\0" * 100_000])
def test_any_payload(cache: DiskCache, payload: bytes) -> None:
    cache.put("key", payload)
    assert cache.get("key") == payload


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:20], lambda data: data[:-1], lambda data: data + b"x",
    lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], lambda data: b"something else entirely" * 9,
], ids=["empty", "short", "truncated", "longer", "flipped bit", "foreign"])
def test_a_damaged_entry_is_removed_and_rebuilt(cache: DiskCache, damage: object) -> None:
    cache.put("key", b"some machine code")
    path = entry(cache, "key")
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cache.get("key") is None
    assert not path.exists()
    cache.put("key", b"some machine code")
    assert cache.get("key") == b"some machine code"


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands where the directory should be: that fails for every user, root included."""
    (tmp_path / "file").write_text("")
    cache = DiskCache(tmp_path / "file" / "objects")
    assert cache.put("key", b"code") is False
    assert cache.get("key") is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write to any directory")
def test_read_only_directory_is_still_read(cache: DiskCache) -> None:
    cache.put("key", b"code")
    directory = entry(cache, "key").parent
    directory.chmod(0o500)
    try:
        assert cache.get("key") == b"code"
        assert cache.put("other", b"code") is False
    finally:
        directory.chmod(0o700)


def test_failed_write_leaves_nothing_behind(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    cache.put("first", b"code")
    monkeypatch.setattr(disk_cache.os, "replace", full_disk)
    assert cache.put("key", b"code") is False
    assert [path.name for path in entry(cache, "first").parent.iterdir()] == ["first"]


def test_least_recently_used_entries_leave(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=10_000)
    for number in range(9):
        cache.put(f"key{number}", b"x" * 1000)
        os.utime(tmp_path / f"key{number}", (number + 1, number + 1))
    assert cache.get("key0") is not None  # used now: younger than all others
    cache.put("key9", b"x" * 2000)
    cache.prune()
    kept = {path.name for path in tmp_path.iterdir()}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    assert {"key0", "key9"} <= kept and "key1" not in kept


def test_writing_prunes_by_itself(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=10_000)
    for number in range(100):
        cache.put(f"key{number}", b"x" * 1000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 13_000


def test_many_writers_of_one_entry(cache: DiskCache) -> None:
    def write(byte: int) -> None:
        for _ in range(50):
            cache.put("key", bytes([byte]) * 5000)
            found = cache.get("key")
            assert found is not None and len(set(found)) == 1

    threads = [threading.Thread(target=write, args=(byte,)) for byte in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("key") in [bytes([byte]) * 5000 for byte in range(4)]


def test_keys_depend_on_every_part() -> None:
    assert cache_key("ab", "c") != cache_key("a", "bc")
    assert cache_key("ab", "c") == cache_key("ab", "c")
    assert len(cache_key()) == 64


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TGL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "tinygrad_like"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG specification: to be ignored
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "tinygrad_like"
    monkeypatch.setenv("TGL_CACHE", "0")
    assert cache_directory() is None
    none = DiskCache.default("objects")
    assert none.put("key", b"code") is False and none.get("key") is None
