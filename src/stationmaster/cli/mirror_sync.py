"""`stationmaster mirror sync`: one source by options, or many by a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stationmaster.cli import amounts, list_options, mirror_plan, mirror_source

_LISTS = ("--suite", "--component", "--arch", "--gpg-key")
_OF_ONE_SOURCE = (
    "kind", "name", "urls", "mirrorlist", "metalink", "suites", "components", "architectures", "key_files",
    "credentials_file", "client_cert", "client_key", "ca_file", "allow_rollback", "allow_shrink", "allow_expired",
    "check_packages", "package_key_files",
)  # fmt: skip


@click.command(cls=list_options.ListCommand, lists=_LISTS)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file: many sources, one command.")
@click.option("--format", "kind", type=click.Choice(["rpm", "deb"]))
@mirror_source.address_options
@click.option("--name", help="Name of the source; it is served from DEST/published/NAME/.")
@click.option("--dest", type=click.Path(path_type=Path, file_okay=False), help="The mirror directory.")
@click.option("--suite", "suites", multiple=True, help="DEB: a suite; `./` for a flat repository.")
@click.option("--component", "components", multiple=True, help="DEB: a component, e.g. main.")
@click.option("--arch", "architectures", multiple=True, help="DEB: an architecture, `source` for source packages.")
@click.option("--gpg-key", "key_files", multiple=True, type=click.Path(path_type=Path), help="A key to trust; pins it.")
@click.option("--allow-rollback", is_flag=True, help="Accept an upstream that is older than what is held.")
@click.option("--allow-shrink", is_flag=True, help="Accept an upstream that lost most of its packages.")
@click.option(
    "--allow-expired", is_flag=True, help="Accept a Release whose Valid-Until has passed, and keys that expired."
)
@click.option("--limit-rate", type=amounts.AMOUNT, help="Bytes a second, over all sources: 10M.")
@click.option("--connections", type=click.IntRange(1, 256), help="Over all sources  [default: 8 for each]")
@click.option("--connections-per-host", type=click.IntRange(1, 256), help="To one upstream host, over all sources.")
@click.option("--reserve", type=amounts.AMOUNT, help="Leave so much of the volume free  [default: 64M]")
@click.option("--dry-run", is_flag=True, help="Bring metadata only; say what the rest would cost and whether it fits.")
@click.option("--clean", is_flag=True, help="Afterwards remove what nobody needs, as `mirror clean` does.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each source.")
def sync(*, as_json: bool, **options: Any) -> int:
    """Bring the upstream's present state, verified, and publish it by one switch.

    Nothing changes for clients unless everything is there. Run it again after any interruption: it resumes.
    """
    from stationmaster.cli import mirror_display, mirror_run
    from stationmaster.mirror import outcome

    plan = _plan(options)
    results = []
    for task, result in mirror_run.SyncRun(plan, is_quiet=as_json).run():
        results.append(result)
        name = task.source.name
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(mirror_display.outcome_object(name, result)).decode())
        else:
            mirror_display.print_outcome(name, result, f"{plan.dest / 'published' / name}/")
    removed = mirror_run.clean_after(plan, results)
    if removed and not as_json:
        click.echo(f"Cleaned: {len(removed)} removed, {sum(one.size_bytes for one in removed)} bytes freed.")
    return 1 if any(result.state is outcome.State.FAILED for result in results) else 0


def _plan(options: dict[str, Any]) -> mirror_plan.Plan:
    if options["config"] is not None:
        return _plan_of_file(options)
    for key, option in (("kind", "--format"), ("name", "--name"), ("dest", "--dest")):
        if options[key] is None:
            raise click.UsageError(f"Missing option '{option}' (or '--config', for many sources).")
    from stationmaster.mirror import limits, outcome

    wanted, credentials = mirror_source.read_source(options)
    guards = {key: options[key] for key in ("allow_rollback", "allow_shrink", "allow_expired")}
    task = mirror_plan.Task(wanted, credentials, outcome.SyncPolicy(**guards))
    plan = mirror_plan.Plan(options["dest"], (task,), limits.LimitSettings())
    return mirror_plan.overridden(plan, options, threads=options["connections"])


def _plan_of_file(options: dict[str, Any]) -> mirror_plan.Plan:
    given = [key for key in _OF_ONE_SOURCE if options[key]]
    if given:
        raise click.UsageError(f"--config names its sources itself; leave out what says {', '.join(given)}.")
    from stationmaster.cli import mirror_config

    return mirror_plan.overridden(mirror_config.read_plan(options["config"], options["dest"]), options)
