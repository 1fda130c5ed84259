"""The file of `mirror sync --config`: many sources under common limits, in TOML. What is wrong is told with its line.

Paths in it are relative to the file's own directory. A password comes by `credentials-file` only: what the environment
says of one would go to every upstream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from stationmaster.cli import amounts, mirror_plan, mirror_source
from stationmaster.mirror import limits, outcome

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_-]+)\s*\]\]?")
_KEY = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")
Place = tuple[str, int]  # a table's name, and which of that name it is


class _File:
    """The text, where keys stand in it, and how complaints about them read."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines: dict[tuple[Place, str], int] = {}
        place: Place = ("", 0)
        for number, line in enumerate(text.splitlines(), 1):
            if found := _HEADER.match(line):
                last = max((at for (name, at), _ in self._lines if name == found.group(2)), default=-1)
                place = (found.group(2), last + 1)
                self._lines[place, ""] = number
            elif found := _KEY.match(line):
                self._lines.setdefault((place, found.group(1)), number)

    def complaint(self, place: Place, key: str, words: str) -> click.UsageError:
        line = self._lines.get((place, key)) or self._lines.get((place, ""))
        table = f"[{place[0]}] " if place[0] else ""
        where = f"{self.path}:{line}" if line else f"{self.path}"
        return click.UsageError(f"{where}: {table}{key + ': ' if key else ''}{words}")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected is a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(one) for one in (value if isinstance(value, list) else [value]))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected is true or false")  # noqa: TRY004 - whatever is wrong with a value is one error
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("expected is a number from 1")
    return value


def _amount(value: Any) -> int:
    return amounts.parse_amount(str(value))


def _format(value: Any) -> str:
    if value not in ("rpm", "deb"):
        raise ValueError("expected is rpm or deb")
    return str(value)


Reader = Callable[[Any], Any]
_TOP: dict[str, Reader] = {"dest": _text, "clean": _flag}
_LIMITS: dict[str, Reader] = {
    "rate": _amount, "rate-per-host": _amount, "reserve": _amount, "connections": _count,
    "connections-per-host": _count, "connections-per-source": _count, "sources-at-once": _count,
}  # fmt: skip
_RETENTION: dict[str, Reader] = {"generations": _count, "days": _count}
_SOURCE: dict[str, Reader] = {
    "name": _text, "format": _format, "url": _texts, "mirrorlist": _text, "metalink": _text,
    "suites": _texts, "components": _texts, "architectures": _texts, "gpg-keys": _texts,
    "credentials-file": _text, "client-cert": _text, "client-key": _text, "ca-file": _text,
    "check-packages": _flag, "package-keys": _texts,
    "allow-rollback": _flag, "allow-shrink": _flag, "allow-expired": _flag,
}  # fmt: skip


def read_plan(path: Path, dest: Path | None) -> mirror_plan.Plan:
    """The plan in the file; ``dest`` of the command line goes before the file's. click.UsageError names the line."""
    import tomllib

    try:
        text = path.read_text()
        found = tomllib.loads(text)
    except OSError as exc:
        raise click.UsageError(f"Cannot read {path}: {exc.strerror}.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"{path} is no TOML: {exc}.") from exc
    file = _File(path, text)
    tables = {name: found.pop(name, {}) for name in ("limits", "retention")}
    entries = found.pop("source", [])
    top = _checked(file, ("", 0), found, _TOP)
    bounds, kept = (
        _checked(file, (name, 0), table, known)
        for (name, table), known in zip(tables.items(), (_LIMITS, _RETENTION), strict=True)
    )
    if not isinstance(entries, list) or not entries:
        raise file.complaint(("source", 0), "", "expected is at least one table [[source]].")
    place = dest or (path.parent / top["dest"] if "dest" in top else None)
    if place is None:
        raise file.complaint(("", 0), "dest", "is missing, as is the option --dest.")
    tasks = tuple(_task(file, number, entry, bounds) for number, entry in enumerate(entries))
    _require_different_names(file, tasks)
    return mirror_plan.Plan(
        dest=place,
        tasks=tasks,
        settings=limits.LimitSettings(
            bounds.get("rate"),
            bounds.get("rate-per-host"),
            bounds.get("connections"),
            bounds.get("connections-per-host"),
        ),
        threads=bounds.get("connections-per-source", 8),
        at_once=bounds.get("sources-at-once", 4),
        cleaning=mirror_plan.Cleaning(**kept) if top.get("clean") else None,
    )


def _checked(file: _File, place: Place, table: Any, known: Mapping[str, Reader]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise file.complaint(place, "", "expected is a table.")
    read: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise file.complaint(place, key, f"is not known here; known are {', '.join(sorted(known))}.")
        try:
            read[key] = known[key](value)
        except ValueError as exc:
            raise file.complaint(place, key, f"{value!r} cannot be used: {str(exc).rstrip('.')}.") from exc
    return read


def _task(file: _File, number: int, entry: Any, bounds: Mapping[str, Any]) -> mirror_plan.Task:
    place = ("source", number)
    table = _checked(file, place, entry, _SOURCE)
    for key in ("name", "format"):
        if key not in table:
            raise file.complaint(place, key, "is missing.")
    below = file.path.parent
    options = {
        "name": table["name"], "kind": table["format"], "urls": table.get("url", ()),
        "mirrorlist": table.get("mirrorlist", ""), "metalink": table.get("metalink", ""),
        "suites": table.get("suites", ()), "components": table.get("components", ()),
        "architectures": table.get("architectures", ()),
        "key_files": tuple(below / one for one in table.get("gpg-keys", ())),
        "package_key_files": tuple(below / one for one in table.get("package-keys", ())),
        "check_packages": table.get("check-packages", False),
        **{
            key.replace("-", "_"): below / table[key] if key in table else None
            for key in ("credentials-file", "client-cert", "client-key", "ca-file")
        },
    }  # fmt: skip
    policy = outcome.SyncPolicy(
        allow_rollback=table.get("allow-rollback", False),
        allow_shrink=table.get("allow-shrink", False),
        allow_expired=table.get("allow-expired", False),
        **({"reserve_bytes": bounds["reserve"]} if "reserve" in bounds else {}),
    )
    try:
        return mirror_plan.Task(*mirror_source.read_source(options, environment={}), policy)
    except click.UsageError as exc:
        raise file.complaint(place, "name", f"{table['name']}: {exc.message}") from exc


def _require_different_names(file: _File, tasks: tuple[mirror_plan.Task, ...]) -> None:
    seen: set[str] = set()
    for number, task in enumerate(tasks):
        if task.source.name in seen:
            raise file.complaint(("source", number), "name", f"{task.source.name} is the name of a source above.")
        seen.add(task.source.name)
