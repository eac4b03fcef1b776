"""The files inside of tar and zip archives, as bytes: nothing is written to disk."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Union

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import read_bytes

Source = Union[bytes, str, "os.PathLike[str]"]


def read_tar(archive: Source) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file of a tar archive, compressed or not, which is a path or the bytes themselves.

    Errors: InputError where it is missing, damaged or no tar archive.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_content(archive, "tar archive"))) as opened:
            for member in opened:
                file = opened.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{_name(archive)} is no tar archive, or damaged: {error}") from error


def read_zip(archive: Source) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file of a zip archive, which is a path or the bytes themselves.

    Errors: InputError where it is missing, damaged or no zip archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(_content(archive, "zip archive"))) as opened:
            for member in opened.infolist():
                if not member.is_dir():
                    yield member.filename, opened.read(member)
    except zipfile.BadZipFile as error:
        raise InputError(f"{_name(archive)} is no zip archive, or damaged: {error}") from error


def _content(archive: Source, kind: str) -> bytes:
    return archive if isinstance(archive, bytes) else read_bytes(archive, kind)


def _name(archive: Source) -> str:
    return "what was given" if isinstance(archive, bytes) else os.fspath(archive)
