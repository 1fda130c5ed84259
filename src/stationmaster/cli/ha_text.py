"""A group in words and rows: the first lines say what is broken, what still works, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stationmaster.cli import output

Group = Mapping[str, Any]
Station = Mapping[str, Any]
Source = Mapping[str, Any]
_MOST_FINDINGS = 4
_SHORT = 12
# Short enough for 80 columns, with usual names; whatever is a sentence comes below the tables.
STATION_HEADINGS = ["station", "state", "since", "last heard", "volume", "free", "missing"]
SOURCE_HEADINGS = ["source", "visible", "since", "leader", "held by", "missing"]
DETAIL_HEADINGS = ["station", "shown", "held", "missing", "sync", "last result"]
REASON_HEADINGS = ["source", "needed by", "name", "through station"]


def summarize(group: Group) -> str:
    """The one line that is read first."""
    stations = group["stations"]
    waiting = [one for one in group["sources"] if one["visible"] is None]
    line = f"{len(_ready(group))} of {len(stations)} stations ready"
    if group["sources"]:
        line += f"; {len(group['sources']) - len(waiting)} of {len(group['sources'])} sources served"
    return line + "."


def head_lines(group: Group) -> list[str]:
    """The three questions at 3 a.m., each answered on lines of its own."""
    trouble = [one for one in group["findings"] if one["severity"] != "INFO"]
    lines = [f"{group['hostname']}: {summarize(group)}"]
    lines += [f"BROKEN  {one['subject']}: {one['message']}" for one in trouble[:_MOST_FINDINGS]]
    if len(trouble) > _MOST_FINDINGS:
        more = len(trouble) - _MOST_FINDINGS
        lines.append(f"        and {more} more: stationmaster ha doctor --hostname {group['hostname']}")
    lines.append(f"WORKS   {what_works(group)}")
    hints = list(dict.fromkeys(f"{one['subject']}: {one['hint']}" for one in trouble[:_MOST_FINDINGS]))
    return [*lines, *(f"TO DO   {one}" for one in hints)]


def what_works(group: Group) -> str:
    """Who serves clients now, as far as the hub can know."""
    ready = [one["displayName"] for one in _ready(group)]
    last = [one["displayName"] for one in group["stations"] if one["isInTouch"] and one["readiness"] == "LAST_RESORT"]
    served = [one["displayName"] for one in group["sources"] if one["visible"] is not None]
    what = (
        f"{len(served)} of {len(group['sources'])} sources" if group["sources"] else "the proxy; no source is mirrored"
    )
    if ready:
        return f"Clients are served by {_and(ready)}: {what}."
    if last:
        return f"No station is ready. One of last resort serves clients: {_and(last)} ({what})."
    return "Nothing that the hub hears of. Stations that cannot reach the hub go on serving as a last resort."


def describe_readiness(station: Station) -> str:
    """What a station is good for now, as far as the hub can know: what a silent one said last is not repeated."""
    if not station["isRegistered"]:
        return "not registered"
    if station["timeLastHeartbeat"] is None:
        return "never heard"
    if not station["isInTouch"]:
        return "silent"
    words = str(station["readiness"]).lower().replace("_", "-")
    return f"{words}, draining" if station["isDraining"] else words


def describe_reasons(station: Station) -> str:
    """Why it is not ready, and what else it complains of."""
    found = [one["message"] for one in [*station["reasons"], *station["problems"]]]
    return " ".join(dict.fromkeys(found))


def station_rows(group: Group, show_time: output.Show = output.format_time) -> list[list[str]]:
    """One row per station."""
    names = _names(group)
    return [
        [
            one["displayName"],
            describe_state(one),
            output.show_value(one["timeHealthChanged"], show_time),
            output.show_value(one["timeLastHeartbeat"], show_time),
            describe_volume(one, names),
            describe_room(one),
            describe_missing(one["missingBytes"]),
        ]
        for one in _by_name(group["stations"])
    ]


def describe_state(station: Station) -> str:
    """Readiness, and that the others do not wait for it."""
    is_out = station["isInTouch"] and station["isRegistered"] and not station["isInRotation"]
    return describe_readiness(station) + (", out of rotation" if is_out else "")


def describe_room(station: Station) -> str:
    """What is free on its volume, and until when, where that is known."""
    free = output.show_value((station["volume"] or {}).get("availableBytes"), output.format_size)
    days = station["outlook"]["days"]
    return free if days is None else f"{free}, full in {describe_outlook(station['outlook'])}"


def reason_lines(group: Group) -> list[str]:
    """Why stations are not ready, and what else they complain of: a line for each, said once for all who say it."""
    found: dict[str, list[str]] = {}
    for one in _by_name(group["stations"]):
        for told in [*one["reasons"], *one["problems"]] if one["isInTouch"] else ():
            names = found.setdefault(told["message"], [])
            names += [one["displayName"]] * (one["displayName"] not in names)
    return [f"{_and(names)}: {output.show_value(message)}" for message, names in found.items()]


def decision_lines(group: Group) -> list[str]:
    """What happens next to each source of which something is on its way or lacking."""
    return [
        f"{one['displayName']}: {one['decision']}"
        for one in _by_name(group["sources"])
        if one["decision"] and (one["candidate"] or one["visible"] is None or _lacking(one, _names(group)))
    ]


def describe_volume(station: Station, names: Mapping[str, str]) -> str:
    """Which volume, shared with whom, and whether it can be written."""
    volume = station["volume"]
    if volume is None or not volume["volumeId"]:
        return "-"
    words = [volume["volumeId"][:8]]
    if station["sharedWith"]:
        words.append(f"shared with {_and([names.get(one, one) for one in station['sharedWith']])}")
    if volume["problem"]:
        words.append("unusable")
    elif not volume["isWritable"]:
        words.append("not writable")
    return ", ".join(words)


def describe_outlook(outlook: Mapping[str, Any]) -> str:
    """Days until full; mostly not known."""
    if outlook["trend"] == "UNKNOWN":
        return "not known yet"
    if outlook["days"] is None:
        return "over a year"
    return "less than a day" if outlook["days"] < 1 else f"{outlook['days']:.0f} days"


def describe_missing(missing: int | None) -> str:
    """Bytes that are lacking."""
    if missing is None:
        return "not known yet"
    return output.format_size(missing) if missing else "nothing"


def source_rows(group: Group, show_time: output.Show = output.format_time) -> list[list[str]]:
    """One row per source: what clients are told, who leads, who has it, who lacks what."""
    names = _names(group)
    return [
        [
            one["displayName"],
            describe_visible(one),
            output.show_value(one["timeVisible"], show_time),
            describe_leader(one, names),
            _held_by(_holders(one, names), len(names)),
            _lacking(one, names) or "nothing",
        ]
        for one in _by_name(group["sources"])
    ]


def describe_visible(source: Source) -> str:
    """The number and the beginning of the generation's name."""
    visible = source["visible"]
    shown = f"#{visible['number']} {visible['generation'][:_SHORT]}" if visible else "nothing yet"
    staged = source["candidate"]
    if staged and not (visible and visible["generation"] == staged["generation"]):
        shown += f", next {staged['generation'][:_SHORT]}"
    return shown


def describe_leader(source: Source, names: Mapping[str, str]) -> str:
    """Who talks to the upstream, under which lease."""
    leader = source["leader"]
    return f"{names.get(leader['stationId'], leader['stationId'])} (lease {leader['token']})" if leader else "nobody"


def detail_rows(group: Group, source: Source) -> list[list[str]]:
    """One source on each station."""
    names = _names(group)
    rows = []
    for one in sorted(source["stations"], key=lambda one: names.get(one["stationId"], one["stationId"])):
        shown, sync = one["shown"], one["sync"]
        rows.append(
            [
                names.get(one["stationId"], one["stationId"]),
                f"#{shown['number']} {shown['generation'][:_SHORT]}" if shown else "nothing",
                ", ".join(held["generation"][:_SHORT] for held in one["held"]) or "-",
                describe_missing(one["missingBytes"]),
                f"runs, {sync['percentage']} %" if sync and sync["isRunning"] else "idle",
                sync["problem"]["message"] if sync and sync["problem"] else "-",
            ]
        )
    return rows


def reason_rows(group: Group, sources: Sequence[Source]) -> list[list[str]]:
    """Why each source is on the mirror list: which profile or instance, through which station (I3)."""
    names = _names(group)
    return [
        [source["displayName"], need["kind"], need["displayName"], names.get(need["stationId"], need["stationId"])]
        for source in _by_name(sources)
        for need in source["needs"]
    ]


def facts(group: Group) -> dict[str, str]:
    """What a watcher is told of when it changes: one line per station and source."""
    names = _names(group)
    found = {}
    for one in _by_name(group["stations"]):
        rotation = "in rotation" if one["isInRotation"] else "out of rotation"
        why = f": {describe_reasons(one)}" if one["reasons"] else ""
        found[f"station {one['displayName']}"] = f"{describe_readiness(one)}, {rotation}{why}"
    changing = group.get("portChange")
    if changing:
        found["ports"] = f"{changing['phase'].lower()}: {' '.join(changing['waiting']) or 'going on'}"
    for one in _by_name(group["sources"]):
        held = ", ".join(_holders(one, names)) or "nobody"
        line = f"{describe_visible(one)}, led by {describe_leader(one, names)}, held by {held}"
        found[f"source {one['displayName']}"] = line
    return found


def _ready(group: Group) -> list[Station]:
    return [one for one in _by_name(group["stations"]) if one["isInTouch"] and one["readiness"] == "READY"]


def _holders(source: Source, names: Mapping[str, str]) -> list[str]:
    visible = source["visible"]
    held = [one for one in source["stations"] if visible and _holds(one, visible["generation"])]
    return sorted(names.get(one["stationId"], one["stationId"]) for one in held)


def _held_by(holders: Sequence[str], count: int) -> str:
    return f"all {count}" if len(holders) == count > 1 else ", ".join(holders) or "-"


def _holds(one: Mapping[str, Any], generation: str) -> bool:
    return any(held["generation"] == generation for held in one["held"])


def _lacking(source: Source, names: Mapping[str, str]) -> str:
    found = [
        f"{names.get(one['stationId'], one['stationId'])} {describe_missing(one['missingBytes'])}"
        for one in source["stations"]
        if one["missingBytes"] != 0
    ]
    return ", ".join(sorted(found))


def _names(group: Group) -> dict[str, str]:
    return {one["id"]: one["displayName"] for one in group["stations"]}


def _by_name(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(items, key=lambda one: (one["displayName"], one["id"]))


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
