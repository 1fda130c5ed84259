"""Conducts a campaign: strike, wait, mend, let the group come to rest, look at every byte, and strike again."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import random
from collections.abc import Iterator
from pathlib import Path

from stationmaster.lab import (
    balancer_watch,
    endings,
    failures,
    lab,
    load,
    machines,
    measure,
    probes,
    record,
    rest,
    show,
    virtual_address,
    waiting,
)
from stationmaster.lab.chaos import churn, faults, inventory, outcome, plan, report, witness
from stationmaster.lab.chaos import stage as stages
from stationmaster.lab.world import World
from stationmaster.model import errors

REST_SECONDS = 90.0
_ASK_AGAIN_SECONDS = 30.0
_QUIET_SECONDS = 6.0
_PATIENCE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Orders:
    """What a campaign is to do: for so many minutes, or so many strikes where ``strikes`` is given."""

    seed: int
    minutes: float = 0.0
    strikes: int | None = None
    only: tuple[str, ...] = ()
    has_database: bool = True
    longest_seconds: float = plan.LONGEST

    def drawn(self) -> Iterator[plan.Strike]:
        """The strikes of this seed."""
        names = self.only or tuple(
            name for name, fault in faults.TABLE.items() if self.has_database or not fault.needs_database
        )
        unknown = sorted(set(names) - set(faults.TABLE))
        if unknown:
            raise errors.CallerError(f"No such fault: {', '.join(unknown)}; there are {', '.join(faults.TABLE)}.")
        targets = {name: faults.TABLE[name].targets for name in names}
        return itertools.islice(plan.draw(self.seed, targets, self.longest_seconds), self.strikes)


def run(orders: Orders, reporter: show.Reporter, *, base: Path = record.BASE) -> report.CampaignResult:
    """Build the stage, conduct the campaign, take everything down; logs are kept when something was violated."""
    strikes = orders.drawn()
    with endings.terminations_are_interrupts():
        endings.tidy(base)
        made = lab.Lab.build(
            stages.hosts(has_database=orders.has_database),
            floating=stages.FLOATING,
            base=base,
            note={"part": "chaos"},
        )
        is_good = False
        try:
            stage = stages.build(made, reporter, base / "cache", has_database=orders.has_database)
            result = Campaign(stage, orders, reporter).conduct(strikes)
            is_good = not result.all_violations
        finally:
            if not is_good:
                reporter.say(f"The logs of all hosts are in {endings.save_logs(made, base)}.")
            with reporter.step("Removing the lab"):
                endings.close_undisturbed(made)
    return result


class Campaign:
    """One run over a stage."""

    def __init__(self, stage: stages.Stage, orders: Orders, reporter: show.Reporter) -> None:
        self._stage = stage
        self._orders = orders
        self._show = reporter
        self._time = stage.world.lab.clock
        self._looks: list[tuple[plan.Strike, report.Look]] = []

    def conduct(self, strikes: Iterator[plan.Strike]) -> report.CampaignResult:
        """Strike until the time is over or no strike is left."""
        world = self._stage.world
        assert world.balancer is not None  # noqa: S101  the stage has started it
        assert world.server is not None  # noqa: S101
        workers = [*failures.instance_workers(world), *failures.probe_workers(world), *_controls(world)]
        world.server.forget()
        watch = balancer_watch.BalancerWatch(world.balancer.socket, world.station_addresses(), self._time)
        upstream = churn.Churn(world, random.Random(self._orders.seed))
        seen = witness.Witness(world, world.balancer.on)
        with watch, load.Load(workers, self._time) as work, upstream, seen:
            with self._show.step("Instances download in a loop, upstream publishes in a loop"):
                self._time.sleep(_QUIET_SECONDS)
            began = self._time.monotonic()
            until = math.inf if self._orders.strikes is not None else began + self._orders.minutes * 60
            for strike in strikes:
                if self._time.monotonic() > until:
                    break
                self._one(strike, watch, upstream, work)
                if self._looks[-1][1].rest is None:
                    break  # nothing that is seen from here on would mean anything
        seed, has_database = self._orders.seed, self._orders.has_database
        told = outcome.Told(seed, has_database, upstream.publications, seen.looks, tuple(dict.fromkeys(seen.faults)))
        return outcome.gather(world, self._looks, work.operations(), told)

    def _one(
        self, strike: plan.Strike, watch: balancer_watch.BalancerWatch, upstream: churn.Churn, work: load.Load
    ) -> None:
        fault = faults.TABLE[strike.fault]
        found: list[str] = []
        self._time.sleep(strike.delay)
        repeated = self._repeated()
        with self._show.step(f"{fault.about}: {strike.target}"):
            started = self._time.monotonic()
            mend = fault.strike(self._stage, strike.target)
            self._time.sleep(max(0.0, started + strike.seconds - self._time.monotonic()))
            noticed = None
            if strike.target in self._stage.world.stations:
                noticed = watch.first(strike.target, in_work=False, after=started)
            mended = self._time.monotonic()
            mend()
        upstream.hold_still()
        with self._show.step("  comes to rest"):
            returned = self._wait_for_balancers(strike.target, found)
            rested, ordered = self._wait_for_rest(upstream, mended, found)
            self._wait_for_clients(work, mended, found)
        files = self._inspect(found) if rested is not None else 0
        upstream.go_on()
        for words in found:
            self._show.say(words)
        event = measure.Event(strike.fault, started, self._time.monotonic(), noticed, mended, returned)
        look = report.Look(
            event=event,
            bound=fault.bound,
            excused=fault.excused,
            rest=rested,
            orders=ordered,
            files=files,
            faults=tuple(found),
            repeated=self._repeated() - repeated,
            unbounded=fault.unbounded,
            is_balancer=fault.is_balancer,
            is_hub=fault.is_hub,
        )
        self._looks.append((strike, look))

    def _repeated(self) -> int:
        assert self._stage.world.server is not None  # noqa: S101
        return self._stage.world.server.sent().repeated

    def _wait_for_balancers(self, target: str, found: list[str]) -> float | None:
        """Until one node holds the address, and it alone; when a node that was struck had it back."""
        nodes = self._stage.nodes
        try:
            if target in nodes:
                waiting.until(nodes[target].holds_address, REST_SECONDS, f"the address to return to {target}")
                virtual_address.wait_for_holder([*nodes.values()])
                return self._time.monotonic()
        except errors.HostError as exc:
            found.append(exc.message)
        return None

    def _wait_for_clients(self, work: load.Load, before: float, found: list[str]) -> None:
        """Until what was begun while a fault lasted has ended, so that it is counted for that fault."""
        try:
            waiting.until(lambda: work.is_done_with(before), _PATIENCE_SECONDS, "operations begun during a fault")
        except errors.HostError as exc:
            found.append(exc.message)

    def _wait_for_rest(self, upstream: churn.Churn, since: float, found: list[str]) -> tuple[float | None, int]:
        """Seconds until all is as it should be, and how often an operator, who saw nothing happen, ordered a sync."""
        world = self._stage.world
        newest = churn.newest_roots(world)
        deadline = self._time.monotonic() + REST_SECONDS
        last, orders = "", 0
        while self._time.monotonic() < deadline:
            waiting.until(upstream.order_sync, 30, "the hub to take an order", every=0.5)
            orders += 1
            with contextlib.suppress(errors.HostError):
                rest.wait_until_settled(world, _ASK_AGAIN_SECONDS, newest)
                return self._time.monotonic() - since, orders
            last = "; ".join(rest.unrest(world, newest))
        found.append(f"No rest within {REST_SECONDS:g} s: {last}")
        return None, orders

    def _inspect(self, found: list[str]) -> int:
        files, newest = 0, churn.newest_roots(self._stage.world)
        for station in self._stage.world.stations.values():
            reader = inventory.inspect(station, self._stage.world.sources, newest)
            found += reader.faults
            files += reader.files
        found += inventory.conflicting_records(self._stage.world)
        return files


def _controls(world: World) -> list[load.Worker]:
    """GETs of the operator, past balancers and stations: from upstream's server, and from the hub."""
    assert world.hub is not None  # noqa: S101
    ops, hub = world.desk.at, world.hub
    up = probes.Target(world.lab["up"].address, "up.lab", 80, "/rpm/repodata/repomd.xml")
    health = probes.Target(hub.on.address, machines.HUB_NAME, machines.HUB_PORT, "/stationmaster/v1/health")
    tasks = (probes.task(report.CONTROL, ops, up), probes.task(report.HUB_CONTROL, ops, health, hub.ca))
    return [load.Worker(task.kind, (task,), pause=0.1) for task in tasks]
