"""What a station makes of the hub's refusals and silence."""

from stationmaster.api_client import session
from stationmaster.model import errors, protocol
from stationmaster.station import board, health, hub_link, plan, report, visible_record
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock
from stationmaster.testing import stations as make


class ScriptedLink:
    """Raises what the test wants, one after another; the last again and again."""

    def __init__(self, *told: errors.StationmasterError) -> None:
        self.told = list(told)

    def heartbeat(self, message: protocol.StationHeartbeat, desired: protocol.StationDesired | None) -> None:
        del message, desired
        raise self.told.pop(0) if len(self.told) > 1 else self.told[0]


def beaten(*told: errors.StationmasterError) -> snapshots.Snapshot:
    shown = board.Board(make.snapshot())

    def compose() -> protocol.StationHeartbeat:
        present = shown.read()
        return report.heartbeat(present, plan.Plan(), health.readiness.judge(present, make.NOW_AT, make.NOW), make.NOW)

    link, clock, reader = ScriptedLink(*told), manual_clock.ManualClock(), visible_record.Reader(b"")
    thread = hub_link.HeartbeatThread(link, shown, clock, compose, reader)  # type: ignore[arg-type]
    for _ in told:
        thread.beat()
    return shown.read()


DELETED = session.HubRefusedError(404, "NotAuthorizedOrNotFound", "Unknown management station x.")
AWAY = errors.PeerError("No answer from the hub.")


def test_a_station_that_was_deleted_gets_no_more_work() -> None:
    """Rules R12-R18: told "gone" it answers `no`, at once and not as one of last resort."""
    world = beaten(DELETED)
    verdict = health.readiness.judge(world, make.NOW_AT, make.NOW)
    assert verdict.readiness is protocol.Readiness.NO
    assert "Gone" in [one.code for one in verdict.reasons]


def test_a_hub_that_is_away_afterwards_does_not_bring_it_back() -> None:
    assert beaten(DELETED, AWAY).contact.is_gone


def test_a_hub_that_is_away_or_refuses_otherwise_deletes_nothing() -> None:
    for told in (AWAY, session.HubRefusedError(401, "NotAuthenticated", "The clock is off.")):
        assert not beaten(told).contact.is_gone
