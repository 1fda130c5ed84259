"""Machines that send what no machine of ours would."""

import datetime
import math
from typing import Any

import pytest

from stationmaster.api_client import session
from stationmaster.model import protocol

NAIVE = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - the nonsense under test


def test_nonsense_of_a_machine_hurts_nobody_else(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    group.b.held[group.source.id] = ["g1"]
    group.b.beat()
    odd = protocol.StationHeartbeat(
        time_sent=NAIVE,
        daemon_version="\x00" * 100,
        addresses=["nowhere", "10.0.0.1"],
        volume=protocol.VolumeReport(
            volume_id="\x00", directory="/", own_nonce="\x00", nonces={"\x00": "\x00"}, writer_token=10**15
        ),
        readiness=protocol.Readiness.READY,
        reasons=[protocol.Problem(code="\x00", message="\x00")],
        sources=[
            protocol.SourceReport(
                source_id=group.source.id,
                state=protocol.MirrorState.SYNCED,
                held=[
                    protocol.HeldGeneration(
                        generation=name, is_fetchable=True, package_count=1, size_bytes=1, time_root=NAIVE
                    )
                    for name in ("\x00", "x" * 500, "../..", "g1")
                ],
                lease_token=10**15,
                shown=protocol.Visible(source_id="other", number=10**15, generation="\x00"),
                sync=protocol.SyncReport(number=10**15, is_running=False, bytes_downloaded=10**18),
            )
        ],
    )
    for _ in range(5):
        group.b.beat()
        group.a.post(f"/stationmaster/v1/stations/{group.a.answer.station_id}/heartbeat", odd)
        fleet.tick(5)
    assert [(one.number, one.generation) for one in group.b.beat().visible] == [(1, "g1")]


def test_an_agents_nonsense_is_stored_without_harm_or_refused(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    agent.check_in(
        time_sent=NAIVE,
        inventory_digest="\x00" * 100,
        applied_digest="\x00" * 100,
        problems=[protocol.Problem(code="\x00", message="\x00 \x1b[31m \\u0000")],
        reports=[protocol.JobReport(work_request_id="\x00", number=1, state=protocol.JobState.FAILED)],
    )
    for number in (0, -1, 2**40):
        with pytest.raises(session.HubRefusedError) as caught:
            agent.check_in(
                reports=[protocol.JobReport(work_request_id="x", number=number, state=protocol.JobState.FAILED)]
            )
        assert caught.value.status == 400
    with pytest.raises(session.HubRefusedError):
        agent.post(f"/stationmaster/v1/managedInstances/{agent.answer.managed_instance_id}/checkin", odd_json())


def odd_json() -> Any:
    """Not a check-in."""
    return protocol.Problem(code=str(math.pi), message="")
