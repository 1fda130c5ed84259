"""Text that came from elsewhere, made harmless for a terminal, a log and a database."""

from __future__ import annotations

# Control characters of both ranges: a terminal obeys some of them, PostgreSQL has no place for NUL.
_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


def without_control(text: str) -> str:
    """``text`` without control characters; tabs and line ends stay."""
    return text.translate(_CONTROL)


def one_line(text: str) -> str:
    """``text`` on a line of its own: what came from elsewhere begins no second one."""
    return " ".join(without_control(text).split())
