"""The HA guide's second half: an existing environment is reconfigured for high availability."""

from pathlib import Path

import pytest

from stationmaster.lab import demo, failures, network, record, show

pytestmark = pytest.mark.lab


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cache").symlink_to(record.BASE / "cache")
    return tmp_path / "b"


def test_an_existing_station_and_its_instances_become_highly_available(base: Path) -> None:
    reporter = show.SilentReporter()
    outcome = demo.run(demo.Part.MOVE, reporter, base=base)
    assert [words for words in outcome.failures() if words.startswith(("dnf", "apt", "agent", "GET http:"))] == []
    assert [event.name for event in outcome.events] == ["StationA killed (SIGKILL)", "StationB killed (SIGKILL)"]
    for event in outcome.events:
        assert outcome.effect(event, failures.OPERATIONS).done >= 5
        assert event.noticed is not None
        assert event.returned is not None
    assert list((base / "labs").iterdir()) == []
    assert not network.PER_NAMESPACE_ETC.exists() or not list(network.PER_NAMESPACE_ETC.glob("sm-*-rpm1"))
