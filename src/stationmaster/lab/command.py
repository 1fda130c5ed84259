"""``stationmaster demo``: build the lab on this machine and run the HA guide in it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--part",
    type=click.Choice(["guide", "move"]),
    default="guide",
    show_default=True,
    help="guide: a new environment; move: one that exists without HA.",
)
@click.option("--keep", is_flag=True, help="Leave the lab running at the end, and say how to look around in it.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/var/tmp/stationmaster-lab"),  # noqa: S108  the lab checks whose it is
    show_default=True,
    metavar="DIR",
    help="Where labs lie, and what they keep for later ones.",
)
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
