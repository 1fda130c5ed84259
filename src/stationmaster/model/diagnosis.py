"""What is wrong with an HA group, for the operator at 3 a.m.: findings in the order in which they should be read. Pure.

The most severe come first, and within one severity what clients feel before what only threatens. A finding says what is
the case, where, why it matters, and what to do next; nothing is found that the hub does not know.
"""

from __future__ import annotations

from stationmaster.model import client_findings, conditions, group_findings, station_findings

_ORDER = list(conditions.Severity)


def diagnose(group: conditions.GroupCondition) -> tuple[conditions.Finding, ...]:
    """Every finding, most severe first; none when all is well."""
    found = [*group_findings.about_group(group), *client_findings.about_clients(group)]
    found += group_findings.about_hub(group)
    for station in sorted(group.stations, key=lambda one: one.name):
        found += station_findings.about_station(station, group)
    for source in sorted(group.sources, key=lambda one: one.name):
        found += group_findings.about_source(source)
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.severity)))
