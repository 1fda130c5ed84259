"""The demo: a scenario from nothing to the closing table, cleaned up however it ends."""

from __future__ import annotations

import enum
from pathlib import Path

from stationmaster.lab import endings, failures, guide, lab, moving, record, show
from stationmaster.lab import world as guidebook
from stationmaster.lab.addressing import Network
from stationmaster.lab.world import World
from stationmaster.model import errors

NEEDED_PROGRAMS = (
    *("nginx", "squid", "haproxy", "gpg", "gpgv", "curl"),
    *("rpmbuild", "rpmsign", "createrepo_c", "modifyrepo_c", "dnf", "rpm"),
    *("apt-get", "apt-ftparchive", "dpkg-deb"),
)
_ABOUT_TABLE = (
    "Operations are runs of dnf, apt and the agent; requests are single GETs on the three ports, never tried again. A "
    "stall is what exceeds the usual duration of its kind. Taken out and back is HAProxy's own view of the station."
)
_ABOUT_REQUESTS = (
    "HTTPS and proxy pass this balancer as TCP: what is under way to a station that goes is lost. Package "
    "managers and agents ask again, so no operation need fail with it."
)


class Part(enum.StrEnum):
    """Which half of the guide: a new environment, or moving one that exists."""

    GUIDE = "guide"
    MOVE = "move"


def run(
    part: Part,
    reporter: show.Reporter,
    *,
    is_kept: bool = False,
    is_debian_wanted: bool = True,
    base: Path = record.BASE,
) -> failures.Outcome:
    """Run one part. Nothing is left behind, unless it is to be kept and all went well."""
    with endings.terminations_are_interrupts():
        endings.tidy(base)
        legs = (Network.EDGE,) if part is Part.GUIDE else (Network.CORE, Network.EDGE)
        made = lab.Lab.build(guidebook.guide_hosts(legs), base=base, note={"part": part})
        is_left = False
        try:
            for name in NEEDED_PROGRAMS:
                made.programs.require(name)
            world = World(made, reporter, base / "cache", is_debian_wanted=is_debian_wanted)
            outcome = _run_guide(world) if part is Part.GUIDE else _run_move(world)
            columns, rows = failures.table(outcome)
            reporter.table("What the instances met, as measured", columns, rows)
            reporter.say(_ABOUT_TABLE)
            for words in outcome.failures():
                reporter.say(f"failed: {words}")
            if any(outcome.effect(event, failures.REQUESTS).failed for event in outcome.events):
                reporter.say(_ABOUT_REQUESTS)
            if is_kept:
                _leave(world)
                is_left = True
        except errors.StationmasterError as exc:
            kept = endings.save_logs(made, base)
            raise errors.HostError(f"{exc.message} The logs of all hosts are in {kept}.", hint=exc.hint) from exc
        finally:
            if not is_left:
                with reporter.step("Removing the lab"):
                    endings.close_undisturbed(made)
        return outcome


def take_down(base: Path = record.BASE) -> list[str]:
    """Remove every lab whose process has ended, kept or not; returns their ids. One that runs ends with Ctrl-C."""
    return lab.remove_leftovers(base)


def _run_guide(world: World) -> failures.Outcome:
    guide.set_up(world)
    with world.show.step("Both instances install packages, signatures checked"):
        guide.install_packages(world)
    with world.show.step("An update job by the `oci` command runs on both instances"):
        guide.order_updates(world)
    return guide.run_failures(world)


def _run_move(world: World) -> failures.Outcome:
    moving.set_up_single(world)
    moving.add_second(world)
    moving.re_point(world)
    return moving.run_failures(world)


def _leave(world: World) -> None:
    world.lab.notes.record.note[endings.KEPT] = "yes"
    world.lab.notes.save()
    desk = guidebook.write_operator_script(world)
    say = world.show.say
    say("The lab goes on running. Hosts and their namespaces (`ip netns exec NAMESPACE COMMAND`):")
    for spec in world.lab.plan.hosts:
        say(f"  {spec.name:5} {', '.join(world.lab[spec.name].addresses()):28} {world.lab[spec.name].namespace}")
    station = world.stations["sta"].station_id
    say("Try, as its operator:")
    say(f"  {desk} oci os-management-hub management-station list --compartment-id {world.desk.compartment_id}")
    say(f"  {desk} oci os-management-hub management-station list-mirrors --management-station-id {station}")
    say(f"  {desk} oci os-management-hub managed-instance list --compartment-id {world.desk.compartment_id}")
    say("`make demo-down` removes it.")


def summary(outcome: failures.Outcome) -> str:
    """One sentence that is true of what was measured."""
    failed = outcome.failed_operations()
    done = sum(entry.kind in failures.OPERATIONS for entry in outcome.operations) - failed
    return f"{done} dnf, apt and agent operations done, {failed} failed."
