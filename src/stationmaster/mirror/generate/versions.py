"""How RPM and DEB order versions: pure, and equal to what rpm and dpkg say (the tests ask them)."""

from __future__ import annotations

import re
from collections.abc import Callable

Compare = Callable[[str, str], int]

_RPM_PARTS = re.compile(r"[0-9]+|[a-zA-Z]+|~|\^")
_DEB_PARTS = re.compile(r"([^0-9]*)([0-9]*)")


def compare_rpm_parts(one: str, other: str) -> int:
    """Order of two versions or two releases: -1, 0, 1 (rpm's rpmvercmp: a tilde is older than the end, a caret newer).

    Other characters than letters and digits only part the rest.
    """
    left, right = _RPM_PARTS.findall(one), _RPM_PARTS.findall(other)
    for mine, theirs in zip(left, right, strict=False):
        if mine != theirs and (found := _compare_rpm_part(mine, theirs)):
            return found
    shared = min(len(left), len(right))
    if len(left) == len(right):
        return 0
    longer, sign = (left, 1) if len(left) > len(right) else (right, -1)
    return -sign if longer[shared] == "~" else sign


def compare_rpm(one: str, other: str) -> int:
    """Order of two EVRs, each ``[epoch:]version[-release]``; a release that one of them lacks is not compared."""
    mine, theirs = split_evr(one), split_evr(other)
    found = _compare_numbers(mine[0], theirs[0]) or compare_rpm_parts(mine[1], theirs[1])
    if found or not (mine[2] and theirs[2]):
        return found
    return compare_rpm_parts(mine[2], theirs[2])


def split_evr(text: str) -> tuple[str, str, str]:
    """Epoch, version, release; empty where the text has none, as is an epoch that is no number."""
    epoch, colon, rest = text.rpartition(":")
    version, _, release = rest.partition("-")
    return (epoch if colon and epoch.isascii() and epoch.isdigit() else ""), version, release


def compare_deb(one: str, other: str) -> int:
    """Order of two Debian versions, ``[epoch:]upstream[-revision]`` (Debian policy 5.6.12)."""
    mine, theirs = _split_deb(one), _split_deb(other)
    return (
        _compare_numbers(mine[0], theirs[0])
        or _compare_deb_part(mine[1], theirs[1])
        or _compare_deb_part(mine[2], theirs[2])
    )


def _compare_rpm_part(mine: str, theirs: str) -> int:
    for mark in "~^":  # a caret is newer than the end, but older than anything that goes on in its place
        if mark in (mine, theirs):
            return -1 if mine == mark else 1
    if mine[0].isdigit() != theirs[0].isdigit():
        return 1 if mine[0].isdigit() else -1
    return _compare_numbers(mine, theirs) if mine[0].isdigit() else (mine > theirs) - (mine < theirs)


def _compare_numbers(one: str, other: str) -> int:
    """Order of two runs of digits of whatever length; none is zero."""
    mine, theirs = one.lstrip("0"), other.lstrip("0")
    left, right = (len(mine), mine), (len(theirs), theirs)
    return (left > right) - (left < right)


def _split_deb(text: str) -> tuple[str, str, str]:
    epoch, colon, rest = text.partition(":")
    if not (colon and epoch.isascii() and epoch.isdigit()):
        epoch, rest = "0", text
    version, dash, revision = rest.rpartition("-")
    return (epoch, version, revision) if dash else (epoch, rest, "")


def _compare_deb_part(one: str, other: str) -> int:
    left, right = _DEB_PARTS.findall(one), _DEB_PARTS.findall(other)
    for index in range(max(len(left), len(right))):
        mine = left[index] if index < len(left) else ("", "")
        theirs = right[index] if index < len(right) else ("", "")
        words = _deb_order(mine[0]), _deb_order(theirs[0])
        if words[0] != words[1]:
            return 1 if words[0] > words[1] else -1
        if found := _compare_numbers(mine[1], theirs[1]):
            return found
    return 0


def _deb_order(word: str) -> list[int]:
    """Tilde before the end of the word, then the end, letters, all other characters."""
    ranks = [-1 if one == "~" else ord(one) + (0 if one.isalpha() else 256) for one in word]
    return [*ranks, 0]
