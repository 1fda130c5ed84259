"""Takes one step of a plan. Each is a single effect that is safe to repeat; slow ones go to threads."""

from __future__ import annotations

import dataclasses
import functools

from stationmaster.host import files as host_files
from stationmaster.station import background, engine_keeper, memory, mending, slow_steps, steps, sync
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import snapshot as snapshots
from stationmaster.station.sites import spec as site_spec


@dataclasses.dataclass(frozen=True)
class Doors:
    """All that quick steps act through. A hanging volume holds up ``volume_work``, and nothing else."""

    files: host_files.Files
    memory: memory.Memory
    nginx: engine_keeper.EngineKeeper[site_spec.NginxSpec]
    squid: engine_keeper.EngineKeeper[site_spec.SquidSpec]
    syncs: sync.Syncs
    mending: mending.Mending
    work: background.Background
    volume_work: background.Background


class Apply:
    """Takes steps. What a step changed is put on the board at once, so that the next plan sees it."""

    def __init__(
        self, state: configs.StateDirectory, board: boards.Board, doors: Doors, slow: slow_steps.SlowSteps
    ) -> None:
        self._state = state
        self._board = board
        self._doors = doors
        self._slow = slow

    def take(self, step: steps.Step) -> None:
        """One step. StationmasterError or OSError when it cannot be taken now."""
        if isinstance(step, steps.SlowStep):
            work = self._doors.volume_work if isinstance(step, steps.VolumeStep) else self._doors.work
            work.start(_subject(step), functools.partial(self._slow.take, step))
            return
        match step:
            case steps.KeepDesired() | steps.KeepVisible() | steps.KeepTokens() | steps.KeepRecord():
                self._keep(step)
            case steps.WriteWww() | steps.LinkWww() | steps.RemoveWww():
                self._change_www(step)
            case steps.ApplyNginx():
                self._doors.nginx.want(step.spec, step.digest)
            case steps.ApplySquid():
                self._doors.squid.want(step.spec, step.digest)
            case steps.StartSync():
                self._doors.syncs.start(step)
            case steps.StartCopy():
                self._doors.syncs.start_copy(step)
            case steps.Mend() | steps.CheckHoldings():
                self._doors.mending.start(step)

    def _keep(self, step: steps.KeepDesired | steps.KeepVisible | steps.KeepTokens | steps.KeepRecord) -> None:
        if isinstance(step, steps.KeepDesired):
            self._keep_desired(step)
        elif isinstance(step, steps.KeepRecord):
            self._doors.memory.keep_record(step.record.content)
            self._board.update(stored_record=step.record.name)
        elif isinstance(step, steps.KeepTokens):
            self._keep_tokens(step)
        else:
            self._doors.memory.keep_visible(step.told, step.shown)
            self._board.update(stored_told=step.told, shown=step.shown)

    def _keep_desired(self, step: steps.KeepDesired) -> None:
        snapshot = self._board.read()
        if snapshot.desired is not None and snapshot.desired_digest == step.digest:
            in_force = snapshot.record.name if snapshot.record is not None else snapshots.RecordName()
            self._doors.memory.keep_desired(step.digest, snapshot.desired, in_force)
            self._board.update(stored_desired=step.digest, desired_record=in_force)

    def _keep_tokens(self, step: steps.KeepTokens) -> None:
        tokens = snapshots.frozen_map(dict(step.tokens))
        self._doors.memory.keep_tokens(tokens)
        self._board.change(
            lambda present: dataclasses.replace(
                present, orders=dataclasses.replace(present.orders, stored_tokens=tokens)
            )
        )

    def _change_www(self, step: steps.WriteWww | steps.LinkWww | steps.RemoveWww) -> None:
        path = self._state.www / step.path
        self._doors.files.make_directory(path.parent)
        if path.is_dir() and not path.is_symlink():  # `scp -r` of a state directory follows links
            self._doors.files.remove_tree(path)
        if isinstance(step, steps.WriteWww):
            self._doors.files.write_atomic(path, step.content.encode())
            content = step.content
        elif isinstance(step, steps.LinkWww):
            self._doors.files.replace_symlink(path, step.target)
            content = f"->{step.target}"
        else:
            self._doors.files.remove(path)
            content = ""
        self._board.change(lambda present: _with_www(present, step.path, content))


def _with_www(present: snapshots.Snapshot, path: str, content: str) -> snapshots.Snapshot:
    entries = {name: text for name, text in present.www.items() if name != path}
    if content:
        entries[path] = content
    return dataclasses.replace(present, www=snapshots.frozen_map(entries))


def _subject(step: steps.SlowStep) -> str:
    """What at most one slow step works on at a time."""
    match step:
        case steps.FetchKeys():
            return f"keys {step.source.source_id}"
        case steps.ProbeFetchable():
            return f"proof {step.source_id}"
        case steps.RecordVisible():
            return f"record {step.visible.source_id}"
        case steps.Clean() | steps.MakeRoom():
            return "removal"
        case _:
            return type(step).__name__
