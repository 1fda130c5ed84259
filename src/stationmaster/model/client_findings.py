"""What may be wrong between a group and those who use it: its name, its ports, and who goes past them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stationmaster.model import addresses, port_change
from stationmaster.model.conditions import Finding, GroupCondition, Severity

_NAMED = 5
_OPENING_SECONDS = 120.0


def about_clients(group: GroupCondition) -> Iterator[Finding]:
    """All of it."""
    yield from _ports(group)
    yield from _past_the_balancer(group)
    yield from _split(group)


def _ports(group: GroupCondition) -> Iterator[Finding]:
    """A change-over that goes on is worth knowing; one that is stuck, or about to cut somebody off, is trouble."""
    change = group.port_change
    if change is None:
        return
    is_opening = change.phase is port_change.Phase.OPENING
    what = f"{change.beside} are being opened; clients still use {change.told}."
    hint = "It goes on by itself."
    severity = Severity.INFO
    if not is_opening:
        what = f"Clients are told {change.told}; {change.beside} are still served."
    if is_opening and change.seconds > _OPENING_SECONDS:
        severity = Severity.WARNING
        hint = "Mend what is waited for, or take it back: `stationmaster ha change-ports` with the present ports."
    elif not is_opening and change.users and change.seconds_left < 3600:
        severity = Severity.WARNING
        left = port_change.format_seconds(max(change.seconds_left, 0))
        hint = f"In {left} they are closed all the same; those who still use them are cut off. See their agents."
    message = " ".join([what, *change.waiting])
    yield Finding(severity, "PortsChanging", group.hostname, message, hint)


def _past_the_balancer(group: GroupCondition) -> Iterator[Finding]:
    if not group.past_balancer or not group.balancer_addresses:
        return
    found = sorted(group.past_balancer)
    named = ", ".join(f"{name} ({host})" for name, host in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    message = f"{len(found)} instance(s) do not come by {group.hostname}: {named}{more}."
    hint = "They move by themselves once a rehearsal on them holds; what stands against it is among their problems."
    yield Finding(Severity.WARNING, "PastTheBalancer", group.hostname, message, hint)


def _split(group: GroupCondition) -> Iterator[Finding]:
    """I1: a group is its hostname, so a slip of the pen is another group."""
    for other in sorted(group.neighbours, key=lambda one: (one.hostname, one.compartment)):
        if other.hostname == group.hostname:
            how = f"in the compartment {other.compartment}"
        elif are_alike(other.hostname, group.hostname):
            how = f"as {other.hostname}"
        else:
            continue
        message = f"{', '.join(sorted(other.stations))} stand {how}: that is another group."
        hint = "If they should be peers: `stationmaster station update --hostname`, or move them to one compartment."
        yield Finding(Severity.INFO, "GroupSplit", group.hostname, message, hint)


def are_alike(first: str, second: str) -> bool:
    """Whether two canonical host names were perhaps meant to be one: with and without a domain, or one slip apart.

    Names that differ by a number alone (lb1, lb2), or in the last letter of a part (lb-a, lb-b), are meant to.
    """
    if first == second or addresses.is_address(first) or addresses.is_address(second):
        return False
    short, long = sorted((first, second), key=len)
    if long.startswith(f"{short}."):
        return True
    return re.sub(r"\d+", "0", first) != re.sub(r"\d+", "0", second) and _is_one_slip(short, long)


def _is_one_slip(short: str, long: str) -> bool:
    """One letter more, less or other, or two neighbours exchanged; in names so short, it is a name of its own."""
    if len(short) < 5 or len(long) - len(short) > 1:
        return False
    at = next((index for index, letter in enumerate(short) if letter != long[index]), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    is_exchange = short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
    is_other_letter = short[at + 1 :] == long[at + 1 :] and short[at + 1 : at + 2].isalnum()
    return is_other_letter or is_exchange
