"""Reading of zchunk files (zchunk_format.txt of zchunk 1.2): their chunks in order make the plain file.

Digests inside are not checked: the whole file's digest stands in repomd.xml, and was. Every size that the file states
is held against a limit before memory is taken, and against what comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAGIC = b"\x00ZCK1"
_DIGEST_SIZES = (20, 32, 64, 16)
_HAS_STREAMS, _HAS_OPTIONS, _HAS_PLAIN_DIGESTS = 1, 2, 4
_LARGEST_HEADER = 32 << 20
_LARGEST_CHUNK = 64 << 20  # zck makes chunks of at most 10 MB
_LONGEST_NUMBER = 5


class Reader:
    """The plain bytes of a zchunk file, as a file that can only be read on. ValueError when it is malformed."""

    def __init__(self, path: Path) -> None:
        self._stream: BinaryIO = path.open("rb")
        try:
            self._pieces = self._chunks()
        except BaseException:
            self._stream.close()
            raise
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def close(self) -> None:
        """No more of it."""
        self._stream.close()

    def _chunks(self) -> Iterator[bytes]:
        lead = _Fields(self._stream.read(5 + 2 * _LONGEST_NUMBER))
        if lead.take(5) != MAGIC:
            raise ValueError("no zchunk file")
        digest_size = _digest_size(lead.number())
        header_size = lead.number()
        if header_size > _LARGEST_HEADER:
            raise ValueError("the zchunk header is too long")
        self._stream.seek(lead.position + digest_size)
        header = _Fields(self._stream.read(header_size))
        if len(header.content) != header_size:
            raise ValueError("the zchunk file is cut")
        is_packed, sizes = _read_header(header, digest_size)
        return self._unpacked(is_packed=is_packed, sizes=sizes)

    def _unpacked(self, *, is_packed: bool, sizes: Iterator[tuple[int, int]]) -> Iterator[bytes]:
        """The chunks; the first is the dictionary of the others, and is no content."""
        dictionary = b""
        for number, (packed_size, plain_size) in enumerate(sizes):
            if max(packed_size, plain_size) > _LARGEST_CHUNK:
                raise ValueError("a zchunk chunk is too large")
            packed = self._stream.read(packed_size)
            if len(packed) != packed_size:
                raise ValueError("the zchunk file is cut")
            plain = _unpack(packed, plain_size, dictionary) if is_packed and packed else packed
            if len(plain) != plain_size:
                raise ValueError("a zchunk chunk has another size than stated")
            if number == 0:
                dictionary = plain
            elif plain:
                yield plain


class _Fields:
    """The fields of a header, one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def take(self, size: int) -> bytes:
        found = self.content[self.position : self.position + size]
        if len(found) != size:
            raise ValueError("the zchunk header is cut")
        self.position += size
        return found

    def number(self) -> int:
        """A compressed integer: seven bits a byte, lowest first; the highest bit marks the last byte."""
        found = 0
        for index in range(_LONGEST_NUMBER):
            (byte,) = self.take(1)
            found |= (byte & 0x7F) << (7 * index)
            if byte & 0x80:
                return found
        raise ValueError("a number of the zchunk header is too long")


def _read_header(header: _Fields, digest_size: int) -> tuple[bool, Iterator[tuple[int, int]]]:
    """Whether chunks are compressed, and packed and plain size of each."""
    header.take(digest_size)  # of the data
    flags, compression = header.number(), header.number()
    if flags & _HAS_OPTIONS:
        for _ in range(header.number()):
            header.number()
            header.take(header.number())
    if compression not in (0, 2) or flags & ~(_HAS_STREAMS | _HAS_OPTIONS | _HAS_PLAIN_DIGESTS):
        raise ValueError("the zchunk file uses what is not known here")
    header.number()  # size of the index
    chunk_digest = _digest_size(header.number()) * (2 if flags & _HAS_PLAIN_DIGESTS else 1)
    count = header.number()
    return compression == 2, _read_index(header, count, chunk_digest, has_streams=bool(flags & _HAS_STREAMS))


def _read_index(header: _Fields, count: int, digest_size: int, *, has_streams: bool) -> Iterator[tuple[int, int]]:
    for _ in range(count):
        if has_streams:
            header.number()
        header.take(digest_size)
        yield header.number(), header.number()


def _digest_size(kind: int) -> int:
    if kind >= len(_DIGEST_SIZES):
        raise ValueError("the zchunk file uses an unknown digest")
    return _DIGEST_SIZES[kind]


def _unpack(packed: bytes, plain_size: int, dictionary: bytes) -> bytes:
    import zstandard

    known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    decompressor = zstandard.ZstdDecompressor(dict_data=known, max_window_size=1 << 27)
    with decompressor.stream_reader(packed) as reader:
        return reader.read(plain_size + 1)
