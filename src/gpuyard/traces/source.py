"""Files as bytes and text: what a reader may assume about them, and what is refused.

A source is a plain or gzip file (told by its first bytes, not by its name) of UTF-8 text, with or
without a byte order mark.  Everything else is an InputError that says where and what to do.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gpuyard.errors import InputError

__all__ = [
    "BYTE_ORDER_MARK",
    "HEAD_BYTES",
    "ReadOptions",
    "check_utf8",
    "head",
    "open_source",
    "read_bytes",
    "read_text",
]

HEAD_BYTES = 64 * 1024
"""How much of a file, unpacked, is looked at to recognise its format."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 20
UNPACKED_LIMIT = 4 << 30
"""A packed file may never unpack to more bytes than this."""
RATIO_FREE = 64 << 20
"""Below this many unpacked bytes the ratio is not looked at."""
RATIO_LIMIT = 250
"""Above that, a packed file may unpack to at most this many times its size."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the user knows about a trace that the file does not say.

    Parameters
    ----------
    gpu_rule
        How GPUs follow from processors in formats that count processors only: ``processor:K`` is K
        GPUs for each processor (K a decimal or a fraction such as ``1/8``), ``node:K:P`` is K GPUs
        for each started P processors.
    zone
        IANA name of the time zone of timestamps that state none.  Without it they are taken as they
        are, as if they were UTC, and the trace says so in a note.
    """

    gpu_rule: str = "processor:1"
    zone: str | None = None


def head(path: str | Path, size: int = HEAD_BYTES) -> bytes:
    """Return the first ``size`` bytes of the file, unpacked, without a byte order mark."""
    with open_source(path) as stream:
        return _guarded(stream, path, size).removeprefix(BYTE_ORDER_MARK)


def read_bytes(path: str | Path) -> bytes:
    """Return the whole file, unpacked, without a byte order mark.

    Raises
    ------
    InputError
        For a file that is missing, empty, no file at all, not readable, damaged, or that unpacks to
        far more than its size.
    """
    path = Path(path)
    packed = _size(path)
    total, chunks = 0, []
    with open_source(path) as stream:
        is_packed = isinstance(stream, gzip.GzipFile)
        while chunk := _guarded(stream, path, CHUNK_BYTES):
            total += len(chunk)
            if is_packed:
                _check_ratio(path, packed, total)
            chunks.append(chunk)
    data = b"".join(chunks).removeprefix(BYTE_ORDER_MARK)
    if _is_blank(data):
        raise InputError("the file is empty", path=path, remedy="give a file with at least one job")
    return data


def _is_blank(data: bytes) -> bool:
    """Return whether there is nothing but white space of any kind."""
    return not data[:HEAD_BYTES].decode("utf-8", "replace").strip() and not data.decode("utf-8", "replace").strip()


def read_text(path: str | Path) -> str:
    """Return the whole file as text; InputError names the line that is not UTF-8."""
    data = read_bytes(path)
    check_utf8(data, path)
    return data.decode("utf-8")


def check_utf8(data: bytes, path: str | Path) -> None:
    """Raise InputError with the line where the bytes stop being UTF-8."""
    if data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise InputError(
            "the text is not UTF-8",
            path=path,
            row=data.count(b"\n", 0, problem.start) + 1,
            value=data[problem.start : problem.start + 8],
            remedy="convert the file to UTF-8, for example with iconv",
        ) from None


def open_source(path: str | Path) -> BinaryIO:
    """Return a stream of the file's bytes, unpacked where its first bytes say gzip.

    A byte order mark is still there; the limits on unpacked size are kept by :func:`read_bytes`.
    """
    path = Path(path)
    _size(path)
    try:
        stream: BinaryIO = path.open("rb")
        magic = stream.read(len(GZIP_MAGIC))
        stream.seek(0)
    except OSError as problem:
        raise InputError(f"the file cannot be read: {problem.strerror}", path=path) from None
    if magic == GZIP_MAGIC:
        stream.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    return stream


def _size(path: Path) -> int:
    """Return the file's size in bytes; refuse what is missing, empty or no regular file."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError("there is no such file", path=path, remedy="check the path") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"the file cannot be read: {problem}", path=path) from None
    if path.is_dir():
        raise InputError("this is a folder, not a file", path=path, remedy="name one file in it")
    if not path.is_file():
        raise InputError("this is not a regular file", path=path, remedy="save the data to a file first")
    if size == 0:
        raise InputError("the file is empty", path=path, remedy="give a file with at least one job")
    return size


def _guarded(stream: BinaryIO, path: str | Path, size: int) -> bytes:
    """Read at most ``size`` bytes; damage in a packed file becomes an InputError."""
    try:
        return stream.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise InputError(
            f"the packed file is damaged: {problem}", path=path, remedy="fetch it again or unpack it by hand"
        ) from None
    except OSError as problem:
        raise InputError(f"the file cannot be read: {problem.strerror}", path=path) from None


def _check_ratio(path: Path, packed: int, unpacked: int) -> None:
    """Refuse a packed file that unpacks to far more than any trace would."""
    if unpacked > UNPACKED_LIMIT or (unpacked > RATIO_FREE and unpacked > RATIO_LIMIT * packed):
        raise InputError(
            f"the packed file of {packed} bytes unpacks to more than {unpacked >> 20} MiB",
            path=path,
            remedy="if the file is what it should be, unpack it first",
        )
