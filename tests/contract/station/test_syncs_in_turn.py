"""A sync that is wanted while the thread of the last one is still ending must start, sooner or later."""

import threading
from typing import Any, cast

from stationmaster.model import protocol
from stationmaster.station import board, memory, snapshot, steps, sync


def test_a_sync_that_could_not_be_queued_does_not_look_queued() -> None:
    present = board.Board(snapshot.Snapshot(station_id="s", volume_id="v", address="127.0.0.1"))
    nothing = cast("Any", None)
    syncs = sync.Syncs(present, cast("memory.Memory", nothing), nothing, 1, threading.Event())
    source = protocol.MirrorSource(source_id="one", name="one", format=protocol.SourceFormat.RPM, url="http://up.lab/")
    is_ending = threading.Event()
    syncs._work.start("one", is_ending.wait)  # type: ignore[arg-type]
    syncs._change("one", is_queued=False, number=0)
    syncs.start(steps.StartSync(source, 1))
    view = present.read().syncs["one"]
    assert (view.is_busy, view.number) == (False, 0)
    is_ending.set()
    syncs.close()
