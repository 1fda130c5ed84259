"""`stationmaster mirror …`: the mirror engine alone, without hub or station. Exit status: 0 done, 1 failed, 2 usage."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stationmaster.cli import amounts, mirror_generate, mirror_sync

if TYPE_CHECKING:
    from stationmaster.mirror import volume

_DEST = click.option(
    "--dest", required=True, type=click.Path(path_type=Path, file_okay=False), help="The mirror directory."
)
_JSON_ASKED = "stationmaster.cli.json"  # as ``cli.main`` reads it: errors are one object, too


def _remember_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001 (click's shape)
    if value:
        context.meta[_JSON_ASKED] = True
    return value


_JSON = click.option("--json", "as_json", is_flag=True, callback=_remember_json, help="Print one JSON object.")


@click.group()
def mirror() -> None:
    """Mirror RPM and DEB repositories into a directory that a web server serves.

    \b
      stationmaster mirror init --dest /srv/mirror
      stationmaster mirror sync --format rpm --url https://example.com/el9/ --name el9 --dest /srv/mirror
      ls /srv/mirror/published/el9/
    """


@mirror.command()
@_DEST
@_JSON
def init(dest: Path, *, as_json: bool) -> None:
    """Make an empty directory a mirror volume."""
    from stationmaster.host import clock, files
    from stationmaster.mirror import volume

    made = volume.init_volume(files.Files(), dest, clock.SystemClock())
    if as_json:
        _print_json({"id": made.id, "dest": str(dest)})
    else:
        click.echo(f"{dest} is volume {made.id}.")


mirror.add_command(mirror_sync.sync)


@mirror.command()
@_DEST
@click.option("--limit-rate", type=amounts.AMOUNT, help="Read at most so many bytes a second: 50M.")
@click.option("--repair", is_flag=True, help="Fetch damaged and missing content again.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="The file of `mirror sync`: its credentials, to repair."
)
@_JSON
def verify(dest: Path, *, limit_rate: int | None, repair: bool, config: Path | None, as_json: bool) -> int:
    """Check every byte that is held against the manifests. Exit status 1: damage was found, and is still there."""
    from stationmaster.cli import mirror_config, mirror_repair, output
    from stationmaster.host import clock
    from stationmaster.mirror import inspection

    tasks = mirror_config.read_plan(config, dest).tasks if config else ()
    report = inspection.verify(_open(dest), clock.SystemClock(), rate=limit_rate)
    repairs = mirror_repair.repair_findings(_open(dest), report, tasks) if repair and not report.is_whole else []
    is_mended = repair and all(one.is_mended for one in repairs)
    if as_json:
        state = "OK" if report.is_whole else "REPAIRED" if is_mended else "DAMAGED"
        _print_json({"state": state, **dataclasses.asdict(report), "repairs": [dataclasses.asdict(r) for r in repairs]})
        return 0 if report.is_whole or is_mended else 1
    for finding in report.findings:
        click.echo(
            f"{finding.source}/{finding.generation} {finding.path}: {finding.problem}, "
            f"expected {finding.expected}, found {finding.found}"
        )
    word = "all as it should be" if report.is_whole else f"{len(report.findings)} damaged"
    read = f"{report.generations} generations, {report.files} files, {output.format_size(report.bytes)} read"
    click.echo(f"{read}: {word}.")
    for one in repairs:
        click.echo(f"{one.source}/{one.generation} {one.path}: {one.problem or 'repaired'}")
    return 0 if report.is_whole or is_mended else 1


@mirror.command()
@_DEST
@_JSON
def status(dest: Path, *, as_json: bool) -> None:
    """Show what the volume holds, read off the volume itself."""
    from stationmaster.cli import mirror_status
    from stationmaster.host import clock

    found = mirror_status.describe(_open(dest), clock.SystemClock().now())
    if as_json:
        _print_json(found)
    else:
        mirror_status.print_description(found)


@mirror.command()
@_DEST
@click.option("--dry-run", is_flag=True, help="Say what would go, and why; remove nothing.")
@click.option("--generations", type=click.IntRange(1), default=2, show_default=True, help="Keep so many.")
@click.option("--days", type=click.IntRange(0), default=3, show_default=True, help="Keep what was superseded later.")
@_JSON
def clean(dest: Path, *, dry_run: bool, generations: int, days: int, as_json: bool) -> None:
    """Remove what nobody needs: old generations, then content without reference. The newest good one always stays."""
    import datetime

    from stationmaster.cli import output
    from stationmaster.host import clock, files
    from stationmaster.mirror import retention

    policy = retention.RetentionPolicy(generations, datetime.timedelta(days=days))
    cleaner = retention.Cleaner(files.Files(), _open(dest), clock.SystemClock(), policy=policy, is_dry=dry_run)
    verdicts = []
    for verdict in cleaner.clean():
        verdicts.append(verdict)
        if not as_json:
            word = "keep" if not verdict.is_removed else "would remove" if dry_run else "removed"
            click.echo(f"{word} {verdict.what}: {verdict.reason}")
    freed = sum(verdict.size_bytes for verdict in verdicts if verdict.is_removed)
    if as_json:
        _print_json({"dry_run": dry_run, "bytes": freed, "verdicts": [dataclasses.asdict(one) for one in verdicts]})
    else:
        click.echo(f"{output.format_size(freed)} {'would be' if dry_run else 'were'} freed.")


for _command in (mirror_generate.generate, mirror_generate.manifest, mirror_generate.new_key):
    mirror.add_command(_command)


def _open(dest: Path) -> volume.Volume:
    from stationmaster.host import files
    from stationmaster.mirror import volume

    return volume.open_volume(files.Files(), dest)


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())
