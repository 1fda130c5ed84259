"""`ha status --watch`: drawn anew on a terminal, a line per change elsewhere, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import msgspec

from stationmaster.cli import ha_text
from stationmaster.host import clock as clocks
from stationmaster.model import errors

SECONDS = 2.0
Groups = Sequence[Mapping[str, Any]]


def watch(fetch: Callable[[], Groups], draw: Callable[[Groups], None], clock: clocks.Clock, *, as_json: bool) -> None:
    """Look every two seconds. A hub that is away is said, and asked again."""
    show: Callable[[Groups | None, str], None]
    if as_json:
        show = _JsonLines().show
    elif sys.stdout.isatty():
        show = _Screen(draw).show
    else:
        show = _Lines(clock).show
    try:
        while True:
            try:
                show(fetch(), "")
            except errors.NotFoundError:
                raise
            except errors.StationmasterError as exc:
                show(None, str(exc))
            clock.sleep(SECONDS)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            click.echo()


class _Screen:
    """The whole picture again and again; the last one stays when the hub is away."""

    def __init__(self, draw: Callable[[Groups], None]) -> None:
        self._draw = draw
        self._last: Groups = ()

    def show(self, found: Groups | None, problem: str) -> None:
        self._last = found if found is not None else self._last
        click.clear()
        if problem:
            click.echo(f"The hub does not answer; what follows is old. {problem}")
        self._draw(self._last)


class _Lines:
    """What changed since the last look, with the time."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._last: dict[str, str] = {}

    def show(self, found: Groups | None, problem: str) -> None:
        present = {"hub": f"does not answer: {problem}" if problem else "answers"}
        for group in found or ():
            prefix = "" if len(found or ()) == 1 else f"{group['compartmentId']} "
            present |= {prefix + name: words for name, words in ha_text.facts(group).items()}
        if found is None:
            present = {**self._last, **present}
        for name in sorted({*present, *self._last}):
            words = present.get(name, "gone")
            if words != self._last.get(name) and not (name == "hub" and not self._last and not problem):
                click.echo(f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ} {name}: {words}")
        self._last = present


class _JsonLines:
    """One document on a line whenever something but the times of heartbeats changed."""

    def __init__(self) -> None:
        self._last = b""

    def show(self, found: Groups | None, problem: str) -> None:
        shown: object = {"error": problem} if found is None else found
        quiet = msgspec.json.encode([_without_times(one) for one in found]) if found is not None else problem.encode()
        if quiet != self._last:
            self._last = quiet
            click.echo(msgspec.json.encode(shown).decode())


def _without_times(group: Mapping[str, Any]) -> object:
    """What a heartbeat alone changes is no news."""
    stations = [
        {
            **one,
            "timeLastHeartbeat": None,
            "volume": {**(one["volume"] or {}), "availableBytes": 0, "nonces": {}, "ownNonce": ""},
        }
        for one in group["stations"]
    ]
    sources = [{**one, "leader": {**(one["leader"] or {}), "timeRenewed": None}} for one in group["sources"]]
    return {**group, "stations": stations, "sources": sources}
