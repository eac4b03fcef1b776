"""Downloads: hashed, cached under the user's cache directory, fetched once."""

from __future__ import annotations

import os
from pathlib import Path

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import cache_directory


class DownloadError(InputError):
    """A file is neither cached nor reachable, or what arrived is not what was expected."""


def cached_path(name: str) -> Path:
    """Where the download called ``name`` lies once it has been fetched."""
    return cache_directory() / "downloads" / name


def fetch(url: str, digest: str, name: str) -> Path:
    """The file at ``url``, from the cache where it is there with the right hash.

    digest: SHA-256, or another one with its name before it, as in ``md5:c32a...``.

    Errors: DownloadError, one line, where pooch is missing, the network is not reachable or the hash differs.
    """
    try:
        import pooch
    except ImportError as error:
        raise DownloadError("downloading needs pooch: python -m pip install pooch") from error
    folder = os.fspath(cached_path(name).parent)
    pooch.get_logger().setLevel("ERROR")
    known = digest if ":" in digest else f"sha256:{digest}"
    try:
        return Path(pooch.retrieve(url, known_hash=known, fname=name, path=folder))
    except (OSError, ValueError) as error:  # requests' exceptions are OSErrors; a wrong hash is a ValueError
        reason = "its hash is not the expected one" if isinstance(error, ValueError) else type(error).__name__
        raise DownloadError(f"cannot download {url}: {reason}") from error
