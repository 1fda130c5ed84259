"""The HA guide's second half: an existing environment is reconfigured for high availability."""

import os

import pytest

from stationmaster.lab import demo, failures, record, show

pytestmark = pytest.mark.lab


def test_an_existing_station_and_its_instances_become_highly_available() -> None:
    reporter = show.SilentReporter()
    outcome = demo.run(demo.Part.MOVE, reporter, is_debian_wanted=False)
    assert [words for words in outcome.failures() if words.startswith(("dnf", "apt", "agent", "GET http:"))] == []
    assert [event.name for event in outcome.events] == ["StationA killed (SIGKILL)", "StationB killed (SIGKILL)"]
    for event in outcome.events:
        assert outcome.effect(event, failures.OPERATIONS).done >= 5
        assert event.noticed is not None
        assert event.returned is not None
    assert [made.lab_id for made in record.find_records(record.BASE) if made.owner.pid == os.getpid()] == []
