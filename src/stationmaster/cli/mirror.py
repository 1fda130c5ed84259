"""`stationmaster mirror …`: the mirror engine alone, without hub or station. Exit status: 0 done, 1 failed, 2 usage."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stationmaster.cli import list_options, mirror_generate, mirror_source

if TYPE_CHECKING:
    from stationmaster.mirror import outcome, volume

_DEST = click.option(
    "--dest", required=True, type=click.Path(path_type=Path, file_okay=False), help="The mirror directory."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


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


@mirror.command(cls=list_options.ListCommand, lists=("--suite", "--component", "--arch", "--gpg-key"))
@click.option("--format", "kind", type=click.Choice(["rpm", "deb"]), required=True)
@mirror_source.address_options
@click.option("--name", required=True, help="Name of the source; it is served from DEST/published/NAME/.")
@_DEST
@click.option("--suite", "suites", multiple=True, help="DEB: a suite; `./` for a flat repository.")
@click.option("--component", "components", multiple=True, help="DEB: a component, e.g. main.")
@click.option("--arch", "architectures", multiple=True, help="DEB: an architecture, `source` for source packages.")
@click.option("--gpg-key", "key_files", multiple=True, type=click.Path(path_type=Path), help="A key to trust; pins it.")
@click.option("--allow-rollback", is_flag=True, help="Accept an upstream that is older than what is held.")
@click.option("--allow-shrink", is_flag=True, help="Accept an upstream that lost most of its packages.")
@click.option(
    "--allow-expired", is_flag=True, help="Accept a Release whose Valid-Until has passed, and keys that expired."
)
@click.option("--connections", type=click.IntRange(1, 32), default=8, show_default=True)
@_JSON
def sync(dest: Path, *, as_json: bool, connections: int, **options: Any) -> int:
    """Bring the upstream's present state, verified, and publish it by one switch.

    Nothing changes for clients unless everything is there. Run it again after any interruption: it resumes.
    """
    from stationmaster.cli import mirror_run
    from stationmaster.mirror import outcome

    policy = outcome.SyncPolicy(
        allow_rollback=options["allow_rollback"],
        allow_shrink=options["allow_shrink"],
        allow_expired=options["allow_expired"],
    )
    wanted, credentials = mirror_source.read_source(options)
    run = mirror_run.SyncRun(dest, wanted, policy, credentials=credentials, connections=connections, is_quiet=as_json)
    result = run.run()
    if as_json:
        _print_json(_outcome_object(result))
    else:
        mirror_run.print_outcome(result, dest, wanted.name)
    return 1 if result.state is outcome.State.FAILED else 0


@mirror.command()
@_DEST
@click.option("--rate", type=click.IntRange(1), help="Read at most so many MiB per second.")
@click.option("--repair", is_flag=True, help="Fetch damaged and missing content again.")
@_JSON
def verify(dest: Path, *, rate: int | None, repair: bool, as_json: bool) -> int:
    """Check every byte that is held against the manifests. Exit status 1: damage was found, and is still there."""
    from stationmaster.cli import mirror_repair
    from stationmaster.host import clock
    from stationmaster.mirror import inspection

    report = inspection.verify(_open(dest), clock.SystemClock(), rate=rate * (1 << 20) if rate else None)
    repairs = mirror_repair.repair_findings(_open(dest), report) if repair and not report.is_whole else []
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
    click.echo(f"{report.generations} generations, {report.files} files, {report.bytes} bytes read: {word}.")
    for one in repairs:
        click.echo(f"{one.source}/{one.generation} {one.path}: {one.problem or 'repaired'}")
    return 0 if report.is_whole or is_mended else 1


@mirror.command()
@_DEST
@_JSON
def status(dest: Path, *, as_json: bool) -> None:
    """Show what the volume holds, read off the volume itself."""
    from stationmaster.cli import mirror_status

    found = mirror_status.describe(_open(dest))
    if as_json:
        _print_json(found)
    else:
        mirror_status.print_description(found)


@mirror.command()
@_DEST
@click.option("--dry-run", is_flag=True, help="Say what would go, and why; remove nothing.")
@_JSON
def clean(dest: Path, *, dry_run: bool, as_json: bool) -> None:
    """Remove what nobody needs: old generations (2 and 3 days are kept), then content without reference."""
    from stationmaster.host import clock, files
    from stationmaster.mirror import retention

    cleaner = retention.Cleaner(files.Files(), _open(dest), clock.SystemClock(), is_dry=dry_run)
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
        click.echo(f"{freed} bytes {'would be' if dry_run else 'were'} freed.")


for _command in (mirror_generate.generate, mirror_generate.manifest, mirror_generate.new_key):
    mirror.add_command(_command)


def _open(dest: Path) -> volume.Volume:
    from stationmaster.host import files
    from stationmaster.mirror import volume

    return volume.open_volume(files.Files(), dest)


def _outcome_object(result: outcome.SyncOutcome) -> dict[str, object]:
    error = result.error
    return {
        "state": result.state.value,
        "generation": result.generation,
        "packages": result.packages,
        "bytes_downloaded": result.bytes_downloaded,
        "requests": result.requests,
        "error": None if error is None else {"code": error.code, "message": str(error)},
        "warnings": list(result.warnings),
    }


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())
