"""Blows to stations while instances work, and what instances met: the table that the demo ends with."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
from collections.abc import Sequence

from stationmaster.lab import balancer_watch, load, machines, measure, probes, waiting
from stationmaster.lab import world as guidebook
from stationmaster.lab.addressing import Network
from stationmaster.lab.world import RPM, World
from stationmaster.model import errors

OPERATIONS = ("dnf refresh", "dnf download", "apt refresh", "apt download", "agent")
REQUESTS = ("GET http", "GET https", "GET through proxy")
_QUIET_SECONDS = 6.0
_NOTICE_SECONDS = 30.0
_RETURN_SECONDS = 60.0
_SETTLE_SECONDS = 3.0
_BIG = "lab-big-001"
_EVERY_SECONDS = 0.1


class Kind(enum.Enum):
    """What is done to a station's host."""

    KILL = "kill"
    FREEZE = "freeze"
    CUT = "cut"


@dataclasses.dataclass(frozen=True)
class Blow:
    """One failure: which host, what, and for how long at least."""

    name: str
    host: str
    kind: Kind
    seconds: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Everything that was measured."""

    events: tuple[measure.Event, ...]
    operations: tuple[measure.Operation, ...]

    def effect(self, event: measure.Event, kinds: Sequence[str]) -> measure.Effect:
        """What an event did to operations of some kinds."""
        typical = measure.typical_durations(self.operations, self.events[0].started)
        later = [other.started for other in self.events if other.started > event.started]
        chosen = [entry for entry in self.operations if entry.kind in kinds]
        return measure.effect_of(event, chosen, typical, until=min(later, default=math.inf))

    def failures(self) -> tuple[str, ...]:
        """Everything that failed, at any time."""
        return tuple(f"{entry.kind}: {entry.failure}" for entry in self.operations if entry.failure)

    def failed_operations(self) -> int:
        """How many operations of package managers and agents failed, at any time."""
        return sum(bool(entry.failure) for entry in self.operations if entry.kind in OPERATIONS)


def run(world: World, blows: Sequence[Blow]) -> Outcome:
    """Let both instances work, strike, mend, and wait for each station's return before the next blow."""
    if world.balancer is None:
        raise errors.CallerError("Start the balancer first.")
    time = world.lab.clock
    workers = [*instance_workers(world), *probe_workers(world)]
    watch = balancer_watch.BalancerWatch(world.balancer.socket, world.station_addresses(), time)
    with watch, load.Load(workers, time) as work:
        with world.show.step("Both instances download in a loop"):
            time.sleep(_QUIET_SECONDS)
            for kind in (*OPERATIONS, *REQUESTS):
                waiting.until(functools.partial(work.count, kind), 30, f"a first {kind}")
        events = []
        for blow in blows:
            with world.show.step(blow.name):
                events.append(_strike(world, blow, watch, work))
    return Outcome(tuple(events), tuple(work.operations()))


def table(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Columns (one per event) and rows of the closing table, from measurements alone."""
    rows: dict[str, list[str]] = {}
    for event in outcome.events:
        operations, requests = outcome.effect(event, OPERATIONS), outcome.effect(event, REQUESTS)
        for name, value in (
            ("operations done", str(operations.done)),
            ("  failed", str(operations.failed)),
            ("  longest stall", _stall(operations)),
            ("requests done", str(requests.done)),
            ("  failed ", str(requests.failed)),
            ("  longest stall ", _stall(requests)),
            ("taken out after", _seconds(event.seconds_until_noticed)),
            ("taken back after", _seconds(event.seconds_until_returned)),
        ):
            rows.setdefault(name, []).append(value)
    return ["", *(event.name for event in outcome.events)], [[name, *values] for name, values in rows.items()]


def instance_workers(world: World) -> list[load.Worker]:
    """Instances at work: refresh, download, check in, over and over, by their own package managers."""
    rpm, deb = world.instances["rpm1"], world.instances["deb1"]
    rpm.manage("dnf", "-y", "-q", "install", _BIG).require_success(f"Installing {_BIG}")
    stanzas = sorted(world.deb.stanzas if world.deb else (), key=lambda stanza: stanza.size_bytes)
    chosen = " ".join(f"{stanza.name}={stanza.version}" for stanza in stanzas[-4:-1])
    fetch = f"rm -rf /var/tmp/lab && mkdir -p /var/tmp/lab && cd /var/tmp/lab && apt-get -q download {chosen}"
    limits = ("-o", "Acquire::http::Dl-Limit=4000", "-o", "APT::Sandbox::User=root")
    return [
        load.Worker(
            "rpm1",
            (
                _command(rpm, "dnf refresh", "dnf", "-y", "-q", "--refresh", "makecache"),
                # A bounded rate keeps downloads running long enough to be struck in the middle.
                _command(rpm, "dnf download", "dnf", "-y", "-q", "--setopt=throttle=6M", "reinstall", _BIG),
                _check_in(rpm),
            ),
        ),
        load.Worker(
            "deb1",
            (
                # By default apt calls a refresh that failed a success with warnings.
                _command(deb, "apt refresh", "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"),
                _command(deb, "apt download", "sh", "-c", f"{fetch} {' '.join(limits)}"),
                _check_in(deb),
            ),
        ),
    ]


def probe_workers(world: World) -> list[load.Worker]:
    """Small requests from an instance through each of the three ports."""
    if world.hub is None:
        raise errors.CallerError("Start the hub first.")
    seen_from, ca = world.instances["rpm1"].on, world.hub.ca
    address = world.client_address or world.lab["lb"].address_on(Network.EDGE)
    path = f"/m/{world.sources[RPM]}"

    def port(number: int, source: str) -> probes.Target:
        return probes.Target(address, guidebook.BALANCER, number, path, source)

    hub = probes.Target(world.hub.on.address, machines.HUB_NAME, machines.HUB_PORT, "/stationmaster/v1/health")

    def tunnel(source: str) -> load.Task:
        proxy = port(guidebook.PROXY_PORT, source)
        return load.Task(REQUESTS[2], lambda: probes.get_through_proxy(seen_from, proxy, hub, ca))

    https, plain = guidebook.HTTPS_PORT, guidebook.HTTP_PORT
    sources = world.probe_sources or ("",)
    asked = (
        [probes.task(REQUESTS[0], seen_from, port(plain, source)) for source in sources],
        [probes.task(REQUESTS[1], seen_from, port(https, source), ca) for source in sources],
        [tunnel(source) for source in sources],
    )
    # Where there are several clients, one that waits for an answer must not keep the others from asking.
    every = _EVERY_SECONDS * len(sources)
    return [
        load.Worker(f"{task.kind} {number}", (task,), pause=every, delay=_EVERY_SECONDS * number)
        for tasks in asked
        for number, task in enumerate(tasks)
    ]


def _strike(world: World, blow: Blow, watch: balancer_watch.BalancerWatch, work: load.Load) -> measure.Event:
    time, station = world.lab.clock, world.stations[blow.host]
    started = time.monotonic()
    _hit(station, blow.kind)
    noticed = _seen(watch, blow.host, in_work=False, after=started, seconds=_NOTICE_SECONDS)
    counts = {kind: work.count(kind) for kind in OPERATIONS}
    time.sleep(max(0.0, started + blow.seconds - time.monotonic()))
    for kind, count in counts.items():  # no row of the table rests on operations that never ran
        waiting.until(functools.partial(_is_past, work, kind, count), 60, f"one {kind} during the failure")
    mended = time.monotonic()
    _mend(station, blow.kind)
    returned = _seen(watch, blow.host, in_work=True, after=mended, seconds=_RETURN_SECONDS)
    if returned is not None:
        station.wait_until_ready(30)
        time.sleep(_SETTLE_SECONDS)
    return measure.Event(blow.name, started, time.monotonic(), noticed, mended, returned)


def _is_past(work: load.Load, kind: str, count: int) -> bool:
    return work.count(kind) > count


def _hit(station: machines.Station, kind: Kind) -> None:
    if kind is Kind.KILL:
        station.on.kill_all()
    elif kind is Kind.FREEZE:
        station.on.freeze()
    else:
        station.on.cut()


def _mend(station: machines.Station, kind: Kind) -> None:
    if kind is Kind.KILL:
        station.start()
    elif kind is Kind.FREEZE:
        station.on.thaw()
    else:
        station.on.heal()


def _seen(
    watch: balancer_watch.BalancerWatch, name: str, *, in_work: bool, after: float, seconds: float
) -> float | None:
    """When the balancer's view changed; None when it did not in time, which the table then shows."""
    try:
        return waiting.until(
            lambda: watch.first(name, in_work=in_work, after=after), seconds, "the balancer", every=0.05
        )
    except errors.HostError:
        return None


def _command(instance: machines.Instance, kind: str, *arguments: str) -> load.Task:
    def attempt() -> str:
        answer = instance.manage(*arguments)
        return "" if answer.is_success else " / ".join((answer.stderr or answer.stdout).strip().splitlines()[-4:])

    return load.Task(kind, attempt)


def _check_in(instance: machines.Instance) -> load.Task:
    def attempt() -> str:
        answer = instance.check_in()
        return "" if answer.is_success else f"exit {answer.status}: {answer.stderr.strip()[-300:]}"

    return load.Task("agent", attempt)


def _stall(effect: measure.Effect) -> str:
    return f"{effect.longest_stall:.2f} s ({effect.stalled_kind})" if effect.stalled_kind else "-"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
