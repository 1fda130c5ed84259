"""What commands print: tables for people, JSON for programs, sizes with units, times with zones.

Colour and frames only on a terminal; NO_COLOR is honoured there by the library that draws. Elsewhere plain aligned
columns, so that `grep` and `awk` find what they expect.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from stationmaster.model import plain_text

Show = Callable[[Any], str]


class Column(msgspec.Struct, frozen=True):
    """A heading, the key (dots go deeper), and how its value reads."""

    heading: str
    key: str
    show: Show | None = None


def print_json(value: object) -> None:
    """One JSON document, indented; keys in the order of the API."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_items(items: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, none: str) -> None:
    """A list: as JSON, as a table, or as the sentence ``none`` when it is empty."""
    if as_json:
        print_json(list(items))
        return
    if not items:
        click.echo(none, err=True)
        return
    rows = [[show_value(lookup(item, column.key), column.show) for column in columns] for item in items]
    print_table([column.heading for column in columns], rows)


def print_object(item: Mapping[str, Any], columns: Sequence[Column], *, as_json: bool) -> None:
    """One thing: as JSON, or a line per field."""
    if as_json:
        print_json(item)
        return
    width = max(len(column.heading) for column in columns)
    for column in columns:
        click.echo(f"{column.heading:<{width}}  {show_value(lookup(item, column.key), column.show)}")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; framed and coloured on a terminal, plain elsewhere."""
    lines = [list(row) for row in rows]
    if sys.stdout.isatty():
        _print_rich(headings, lines)
        return
    widths = [max(len(line[index]) for line in [list(headings), *lines]) for index in range(len(headings))]
    for line in [[heading.upper() for heading in headings], *lines]:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def lookup(item: Mapping[str, Any], key: str) -> Any:
    """The value under ``key``; dots go deeper, None when something on the way is missing."""
    value: Any = item
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def show_value(value: Any, show: Show | None = None) -> str:
    """A value as a person reads it; nothing is a dash."""
    if value is None or value in ("", []):
        return "-"
    if show is not None:
        return show(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(show_value(one) for one in value)
    # A terminal obeys control characters, and names may come from anywhere.
    return plain_text.without_control("; ".join(str(value).splitlines()))


def format_size(size_bytes: float) -> str:
    """Bytes with a binary unit: `1.5 GiB`."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def format_time(text: str) -> str:
    """A time of the API in this machine's zone, with the zone: `2026-11-22 15:30:01 CET`."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def time_format() -> Show:
    """On a terminal the date of today is left out; elsewhere, where it may be kept, never."""
    if not sys.stdout.isatty():
        return format_time
    from stationmaster.host import clock

    today = f"{clock.SystemClock().now().astimezone():%Y-%m-%d} "
    return lambda text: format_time(text).removeprefix(today)


def _print_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box, console, table, text

    drawn = table.Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        # Identifiers are for copying: folded over lines if need be, never cut.
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(text.Text(cell) for cell in row))
    console.Console().print(drawn)
