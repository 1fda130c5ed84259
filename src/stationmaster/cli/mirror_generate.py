"""`stationmaster mirror generate` and what goes with it: part of what a volume holds, as a source of its own."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stationmaster.cli import list_options

if TYPE_CHECKING:
    from stationmaster.mirror import outcome
    from stationmaster.mirror.generate import recipe

_FILE = click.Path(path_type=Path, dir_okay=False)
_DEST = click.option(
    "--dest", required=True, type=click.Path(path_type=Path, file_okay=False), help="The mirror directory."
)


@click.command(cls=list_options.ListCommand, lists=("--from", "--include", "--exclude", "--arch"))
@_DEST
@click.option("--name", required=True, help="Name of the new source; it is served from DEST/published/NAME/.")
@click.option(
    "--from", "inputs", multiple=True, required=True, metavar="SOURCE[@GENERATION]",
    help="A source on this volume; several in order of preference. With a generation it stays with that one.",
)  # fmt: skip
@click.option("--include", multiple=True, metavar="FILTER", help="Keep what matches one of these; all, without any.")
@click.option("--exclude", multiple=True, metavar="FILTER", help="Then leave out what matches one of these.")
@click.option("--arch", "architectures", multiple=True, help="Keep this architecture, and packages for all of them.")
@click.option("--package-list", type=_FILE, help="Keep what the file names: NAME, NAME.ARCH or NEVRA a line.")
@click.option("--manifest", type=_FILE, help="Keep exactly what `mirror manifest` wrote: names with digests.")
@click.option("--newest", type=click.IntRange(1), help="Of what is kept, so many versions of each package and stream.")
@click.option(
    "--frozen", default="", metavar="VERSION", help="Make it once; it stays as it is, whatever upstream does."
)
@click.option("--signing-key", type=_FILE, help="OpenPGP secret key that signs; see `mirror new-key`.")
@click.option("--dry-run", is_flag=True, help="Print what would be kept, as `mirror manifest` does; change nothing.")
@click.option("--allow-empty", is_flag=True, help="Accept a choice that selects nothing.")
@click.option(
    "--chosen-at", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="When the choice was last changed, UTC. Equal values make equal bytes on volumes with other pasts.",
)  # fmt: skip
@click.option("--again", is_flag=True, help="Make it anew although nothing changed: when its metadata was damaged.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def generate(dest: Path, *, as_json: bool, dry_run: bool, again: bool, **options: Any) -> int:
    """Make a source of part of what the volume holds: filtered, listed, the newest, or frozen.

    Nothing is downloaded and no package is copied: they are linked from the pool. Modules, groups and advisories are
    restricted to what is kept, and the result is signed. The same inputs and options give the same bytes anywhere.

    \b
    A FILTER is one of
      'kernel*'                         names, with * ? [ ]; also NAME.ARCH (NAME:ARCH for DEB)
      'openssl >= 3.0 < 3.2'            with versions: = != < <= > >=
      module:postgresql[:15[/server]]   a module, a stream of it, a profile of that
      group:development                 a package group

    \b
      stationmaster mirror new-key --secret key.asc --public key.pub.asc
      stationmaster mirror generate --dest /srv/mirror --from el9 --name el9-web --signing-key key.asc \\
          --include 'httpd*' module:nginx:1.24 --exclude '*-debuginfo' --newest 2
      stationmaster mirror generate --dest /srv/mirror --from el9 --name el9-2026-03 --signing-key key.asc \\
          --frozen 2026-03

    Exit status: 0 made or unchanged, 1 refused or failed (what was there is still served), 2 usage.
    """
    from stationmaster.cli import mirror_display
    from stationmaster.host import clock, files
    from stationmaster.mirror import outcome, volume
    from stationmaster.mirror.generate import generator, secretkey, signing
    from stationmaster.model import errors

    wanted, signing_key = _recipe(options), options["signing_key"]
    if dry_run:
        return _preview(dest, wanted, as_json=as_json)
    if signing_key is None:
        raise click.UsageError("What is generated is signed: give --signing-key, or --dry-run to see what is kept.")
    try:
        signer = signing.Signer(secretkey.load_secret_key(_read_private(signing_key)))
        place = volume.open_volume(files.Files(), dest)
        maker = generator.Generator(files.Files(), clock.SystemClock())
        told = outcome.ignore_progress if as_json else functools.partial(_tell, wanted.name)
        result = maker.generate(place, wanted, signer, progress=told, again=again)
    except errors.StationmasterError as exc:
        result = outcome.SyncOutcome(outcome.State.FAILED, None, 0, 0, 0, exc)
    if as_json:
        _print_json(mirror_display.outcome_object(wanted.name, result))
    else:
        mirror_display.print_outcome(wanted.name, result, f"{dest / 'published' / wanted.name}/")
    return 1 if result.state is outcome.State.FAILED else 0


@click.command()
@_DEST
@click.option("--name", required=True, metavar="SOURCE[@GENERATION]", help="A source on the volume, generated or not.")
def manifest(dest: Path, name: str) -> None:
    """Print what a source holds, a package a line: its name and digest. `mirror generate --manifest` takes it.

    \b
      stationmaster mirror manifest --dest /srv/mirror --name el9-web > el9-web.manifest
    """
    from stationmaster.host import files
    from stationmaster.mirror import volume
    from stationmaster.mirror.generate import listing, recipe

    for line in listing.manifest_lines(volume.open_volume(files.Files(), dest), recipe.parse_input(name)):
        click.echo(line)


@click.command("new-key")
@click.option("--secret", required=True, type=_FILE, help="Where the secret key goes; only its owner may read it.")
@click.option("--public", required=True, type=_FILE, help="Where the public key goes; clients need it.")
@click.option("--user-id", default="Stationmaster generated sources", show_default=True)
def new_key(secret: Path, public: Path, user_id: str) -> None:
    """Make a key that signs generated sources. Neither file may exist."""
    from stationmaster.host import files
    from stationmaster.mirror.generate import secretkey
    from stationmaster.model import errors

    hidden, shown = secretkey.new_secret_key(user_id)
    for path, content, mode in ((secret, hidden, 0o600), (public, shown, 0o644)):
        try:
            is_made = files.Files().create_exclusive(path, content, mode=mode)
        except OSError as exc:
            raise click.UsageError(f"Cannot write {path}: {exc.strerror}.") from exc
        if not is_made:
            raise errors.CallerError(f"{path} exists already.", hint="Name a new file; a key is never overwritten.")
    click.echo(f"{secret} signs; give {public} to clients.")


def _recipe(options: dict[str, Any]) -> recipe.Recipe:
    """The recipe that the options describe; whatever is wrong with them is a usage error."""
    from stationmaster.mirror.generate import filters, recipe
    from stationmaster.model import errors

    listed, saved, chosen_at = options["package_list"], options["manifest"], options["chosen_at"]
    try:
        choice = recipe.Choice(
            include=tuple(filters.parse_filter(text) for text in options["include"]),
            exclude=tuple(filters.parse_filter(text) for text in options["exclude"]),
            listed=recipe.parse_list(_read_text(listed)) if listed else None,
            manifest=recipe.parse_manifest(_read_text(saved)) if saved else None,
            architectures=tuple(sorted(set(options["architectures"]))),
            newest=options["newest"] or 0,
        )
        return recipe.Recipe(
            name=options["name"],
            inputs=tuple(recipe.parse_input(text) for text in options["inputs"]),
            choice=choice,
            frozen=options["frozen"],
            chosen_at=int(chosen_at.replace(tzinfo=datetime.UTC).timestamp()) if chosen_at else 0,
            allow_empty=options["allow_empty"],
        )
    except errors.CallerError as exc:
        raise click.UsageError(str(exc)) from exc


def _preview(dest: Path, wanted: recipe.Recipe, *, as_json: bool) -> int:
    from stationmaster.host import files
    from stationmaster.mirror import volume
    from stationmaster.mirror.generate import listing, repositories

    place = volume.open_volume(files.Files(), dest)
    inputs = [listing.find_input(place, one, number) for number, one in enumerate(wanted.inputs)]
    found = repositories.choose(inputs, wanted)
    if as_json:
        _print_json({
            "name": wanted.name, "state": "PENDING", "packages": len(found.chosen.kept), "kept": found.lines(),
            "inputs": [f"{one.name}@{one.header.generation}" for one in inputs],
            "warnings": list(found.chosen.warnings), "error": None,
        })  # fmt: skip
        return 0
    for line in found.lines():
        click.echo(line)
    for warning in found.chosen.warnings:
        click.echo(f"warning: {wanted.name}: {warning}", err=True)
    click.echo(f"{len(found.chosen.kept)} packages of {len(found.offered)} would be kept.", err=True)
    return 0


def _tell(name: str, progress: outcome.Progress) -> None:
    click.echo(f"{name}: {progress.phase}", err=True)


def _read_private(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as exc:
        raise click.UsageError(f"Cannot read the signing key {path}: {exc.strerror}.") from exc
    if mode & 0o077:
        raise click.UsageError(f"Others than its owner may use {path}; run `chmod 600 {path}`.")
    return content


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise click.UsageError(f"Cannot read {path}: {reason}.") from exc


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())
