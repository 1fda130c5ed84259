"""ADR 24 on the real stack: all ports of a group change while dnf, apt and agents work, and none of them fails."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stationmaster.lab import lab, load, machines, record, scenario, show, waiting
from stationmaster.lab import world as guidebook
from stationmaster.lab.world import DEB, RPM, World

pytestmark = pytest.mark.lab
ORDER = ("ha", "change-ports", "--hostname", guidebook.BALANCER)
NEW = {"proxy": 26080, "http": 27080, "https": 27443}


def set_up(world: World) -> None:
    scenario.publish_upstream(world)
    scenario.start_hub(world)
    for name, display_name in (("sta", "StationA"), ("stb", "StationB")):
        scenario.create_station(world, name, display_name, guidebook.BALANCER)
    scenario.create_sources_and_profiles(world, "sta")
    scenario.wait_until_synced(world)
    world.balancer = machines.Balancer(world.lab["lb"])
    world.balancer.follow(guidebook.BALANCER, world.desk.environment)
    for name, kind in (("rpm1", RPM), ("deb1", DEB)):
        scenario.register_instance(world, name, kind)
    world.instances["rpm1"].manage("dnf", "-y", "install", guidebook.UPDATED_RPM).require_success("dnf install")


def operations(world: World) -> list[load.Worker]:
    def task(name: str, *command: str) -> load.Task:
        instance = world.instances[name]

        def attempt() -> str:
            done = instance.manage(*command) if command else instance.check_in()
            return "" if done.is_success else (done.stderr or done.stdout)[-400:]

        return load.Task(command[0] if command else "agent", attempt)

    dnf = task("rpm1", "dnf", "-y", "-q", "reinstall", guidebook.UPDATED_RPM)
    apt = task("deb1", "apt-get", "update")
    return [load.Worker("rpm1", (dnf, task("rpm1")), 0.2), load.Worker("deb1", (apt, task("deb1")), 0.2)]


def change(world: World) -> Any:
    (group,) = json.loads(world.desk.stationmaster("ha", "status", "--hostname", guidebook.BALANCER, "--json").stdout)
    return group["portChange"]


def answers(world: World, port: int) -> bool:
    """As an instance sees the mirror behind the balancer."""
    url = f"http://{guidebook.BALANCER}:{port}/m/{world.sources[RPM]}"
    return world.instances["rpm1"].on.run(["curl", "-sf", "-m", "5", "-o", "/dev/null", url]).is_success


def test_no_operation_fails_while_the_ports_of_a_group_change() -> None:
    with lab.Lab.build(guidebook.guide_hosts()) as made:
        world = World(made, show.SilentReporter(), record.BASE / "cache", is_debian_wanted=False)
        set_up(world)
        with load.Load(operations(world), made.clock) as at_work:
            words = [word for name, port in NEW.items() for word in (f"--{name}", str(port))]
            world.desk.stationmaster(*ORDER, *words).require_success("ha change-ports")
            waiting.until(lambda: (change(world) or {}).get("phase") == "MOVING", 30, "clients to be told")
            assert answers(world, NEW["http"])
            assert answers(world, guidebook.HTTP_PORT)
            waiting.until(lambda: change(world) is None, 60, "the former ports to close")
            waiting.until(lambda: not answers(world, guidebook.HTTP_PORT), 20, "the balancer to close them, too")
            time.sleep(2)
        assert [one for one in at_work.operations() if one.failure] == []
        for kind in ("dnf", "apt-get", "agent"):
            assert at_work.count(kind) >= 3
        for name, directory in (("rpm1", "etc/yum.repos.d"), ("deb1", "etc/apt/sources.list.d")):
            written = "".join(
                one.read_text() for one in (world.instances[name].root / directory).glob("stationmaster.*")
            )
            assert f"{guidebook.BALANCER}:{NEW['http']}/m/" in written
