"""Compressed metadata as a stream of plain bytes, bounded: a bomb is found while it unpacks, not afterwards."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from stationmaster.mirror import failures, zchunk

_BLOCK = 1 << 17
_ABSOLUTE_LIMIT = 16 << 30
_FREE_OF_RATIO = 64 << 20  # small files may shrink as they like
_LARGEST_RATIO = 200  # real indexes reach 30; a bomb of zeros 1000
_SUFFIXES = (".gz", ".xz", ".lzma", ".zst", ".bz2")


def plain_name(path: str) -> str:
    """The name without the suffix of its compression."""
    for suffix in _SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    return path


def unpacked_blocks(path: Path, *, stated_size: int | None = None) -> Iterator[bytes]:
    """The plain bytes of a file, by what its first bytes say it is (names lie), in blocks.

    MetadataTooLargeError as soon as it exceeds its stated size, an absolute limit, or a ratio no real index has.
    """
    packed_size = path.stat().st_size
    limit = min(_ABSOLUTE_LIMIT, max(_FREE_OF_RATIO, packed_size * _LARGEST_RATIO))
    if stated_size is not None:
        limit = min(limit, stated_size)
    total = 0
    try:
        with contextlib.closing(_open_plain(path)) as stream:
            while block := stream.read(_BLOCK):
                total += len(block)
                if total > limit:
                    raise failures.MetadataTooLargeError(
                        f"{path.name} ({packed_size} bytes) unpacks to more than {limit} bytes.",
                        hint="It is no honest index; the last good generation stays.",
                    )
                yield block
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, _zstd_error(), ValueError) as exc:
        raise failures.MetadataInvalidError(f"{path.name} cannot be unpacked: {exc}.") from exc
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise failures.MetadataInvalidError(f"{path.name} cannot be unpacked: {exc}.") from exc  # bz2 says OSError


def _open_plain(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        beginning = stream.read(6)
    for magic, open_packed in _OPENERS:
        if beginning.startswith(magic):
            return cast("BinaryIO", open_packed(path))
    if path.name.endswith(".lzma"):
        return cast("BinaryIO", lzma.open(path, "rb", format=lzma.FORMAT_ALONE))
    return path.open("rb", buffering=0)


def _open_zstd(path: Path) -> BinaryIO:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        path.open("rb"), read_across_frames=True, closefd=True
    )
    return io.BufferedReader(cast("io.RawIOBase", reader), _BLOCK)


_OPENERS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
    (b"\x28\xb5\x2f\xfd", _open_zstd),
    (zchunk.MAGIC, zchunk.Reader),
)


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError
