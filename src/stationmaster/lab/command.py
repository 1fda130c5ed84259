"""``stationmaster demo`` and ``stationmaster lab``: what is tried out on hosts made on this machine."""

from __future__ import annotations

from pathlib import Path

import click

_DIRECTORY = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/var/tmp/stationmaster-lab"),  # noqa: S108  the lab checks whose it is
    show_default=True,
    metavar="DIR",
    help="Where labs lie, and what they keep for later ones.",
)


@click.command()
@click.option(
    "--part",
    type=click.Choice(["guide", "move"]),
    default="guide",
    show_default=True,
    help="guide: a new environment; move: one that exists without HA.",
)
@click.option("--keep", is_flag=True, help="Leave the lab running at the end, and say how to look around in it.")
@_DIRECTORY
@click.option("--down", is_flag=True, help="Remove every lab that was kept or left behind, and do nothing else.")
def demo(*, part: str, keep: bool, directory: Path, down: bool) -> int:
    """Build a lab of network namespaces on this machine and run the HA guide in it, with the real programs.

    Upstream, hub, two stations, HAProxy and two instances come up; then stations are killed and frozen while the
    instances work, and a table shows what they met. Needs root; no traffic leaves the machine. Ctrl-C removes it all.

    Exit status: 0 when no dnf, apt or agent operation failed, 1 otherwise.
    """
    import rich.console

    from stationmaster.host import clock
    from stationmaster.lab import demo as demonstration
    from stationmaster.lab import show

    console = rich.console.Console()
    if down:
        removed = demonstration.take_down(directory)
        console.print(f"Removed: {', '.join(removed)}." if removed else "There was nothing to remove.", markup=False)
        return 0
    reporter = show.TerminalReporter(console, clock.SystemClock())
    outcome = demonstration.run(demonstration.Part(part), reporter, is_kept=keep, base=directory)
    console.print(demonstration.summary(outcome), markup=False)
    return 1 if outcome.failed_operations() else 0


@click.group()
def lab() -> None:
    """Trials in a lab on this machine. Needs root; no traffic leaves the machine."""


@lab.command()
@click.option("--minutes", type=click.FloatRange(min=0), default=10.0, show_default=True, help="How long to strike.")
@click.option("--strikes", type=click.IntRange(min=1), help="So many faults, however long they take.")
@click.option("--seed", type=int, default=1, show_default=True, help="What is drawn: faults, targets, lengths.")
@click.option("--only", multiple=True, metavar="FAULT", help="Draw from these faults alone; may be repeated.")
@click.option("--sqlite", is_flag=True, help="A hub on SQLite; default: on PostgreSQL, which is killed too.")
@click.option(
    "--json-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Default: DIR/chaos.json."
)
@_DIRECTORY
def chaos(
    *,
    minutes: float,
    strikes: int | None,
    seed: int,
    only: tuple[str, ...],
    sqlite: bool,
    json_file: Path | None,
    directory: Path,
) -> int:
    """Strike a group of three stations under load with faults drawn from a seed, and look at every byte afterwards.

    Two stations share a GlusterFS volume, one has its own; instances run dnf and apt through HAProxy, and upstream
    publishes every few seconds. After each fault the group must come to rest at the newest generation. Ctrl-C removes
    it all.

    Exit status: 0 when nothing was violated, 1 otherwise.
    """
    import msgspec
    import rich.console

    from stationmaster.host import clock
    from stationmaster.lab import show
    from stationmaster.lab.chaos import campaign, tabulation

    console = rich.console.Console()
    if not console.is_terminal:
        console.width = 150  # a table that a file or a log can hold
    reporter = show.TerminalReporter(console, clock.SystemClock())
    orders = campaign.Orders(seed, minutes, strikes, only, has_database=not sqlite)
    result = campaign.run(orders, reporter, base=directory)
    reporter.table("What each fault did, as measured", *tabulation.table(result))
    for words in result.all_violations:
        reporter.say(f"violated: {words}")
    target = json_file or directory / "chaos.json"
    target.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    console.print(f"{tabulation.summary(result)} {target}", markup=False, soft_wrap=True)
    return 1 if result.all_violations else 0
