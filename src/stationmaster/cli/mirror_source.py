"""What the options of `mirror sync` say about a source and the way to it. Secrets come by file or environment only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from stationmaster.mirror import access, source

_ENVIRONMENT = {
    "username": "STATIONMASTER_MIRROR_USERNAME",
    "password": "STATIONMASTER_MIRROR_PASSWORD",
    "token": "STATIONMASTER_MIRROR_TOKEN",
}
_PATH = click.Path(path_type=Path, dir_okay=False)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def address_options(command: _Command) -> _Command:
    """Where the upstream is, what it wants to see, and what is believed of its packages."""
    found = [
        click.option("--url", "urls", multiple=True, help="Base address; further ones are asked when one fails."),
        click.option("--mirrorlist", default="", help="RPM: address of a list of base addresses."),
        click.option("--metalink", default="", help="RPM: address of such a list that promises repomd.xml's digest."),
        click.option("--credentials-file", type=_PATH, help="Lines username=…, password=… or token=…."),
        click.option("--client-cert", type=_PATH, help="PEM file: the certificate that the upstream wants to see."),
        click.option("--client-key", type=_PATH, help="PEM file with its key, when it is not in the same file."),
        click.option("--ca-file", type=_PATH, help="PEM file: trust this CA for the upstream, and no other."),
        click.option("--check-packages", is_flag=True, help="RPM: each package must be signed by a --gpg-key as well."),
        click.option(
            "--package-key", "package_key_files", multiple=True, type=_PATH, help="RPM: check packages by this key."
        ),
    ]
    for option in reversed(found):
        command = option(command)
    return command


def read_source(
    options: Mapping[str, Any], *, environment: Mapping[str, str] = os.environ
) -> tuple[source.Source, access.Credentials]:
    """The source that the options describe, and its credentials; whatever is wrong with them is a usage error."""
    from stationmaster.mirror import access
    from stationmaster.model import errors

    try:
        split = [access.split_userinfo(url) for url in options["urls"]]
        lists = {name: access.split_userinfo(options[name]) for name in ("mirrorlist", "metalink")}
        inline = {one for _, one in (*split, *lists.values())} - {access.Credentials()}
        credentials = _credentials(options, inline, environment)
        return _source(options, [url for url, _ in split], {name: url for name, (url, _) in lists.items()}), credentials
    except errors.CallerError as exc:
        raise click.UsageError(str(exc)) from exc


def _source(options: Mapping[str, Any], urls: list[str], lists: dict[str, str]) -> source.Source:
    from stationmaster.mirror import source

    keys = tuple(_read(path, "key") for path in options["key_files"])
    is_rpm = options["kind"] == "rpm"
    if is_rpm and (options["suites"] or options["components"] or options["architectures"]):
        raise click.UsageError("--suite, --component and --arch belong to --format deb.")
    if not is_rpm and any(lists.values()):
        raise click.UsageError("--mirrorlist and --metalink belong to --format rpm.")
    if not urls and not any(lists.values()):
        raise click.UsageError("Missing option '--url'" + (", '--mirrorlist' or '--metalink'." if is_rpm else "."))
    package_keys = tuple(_read(path, "key") for path in options["package_key_files"])
    if options["check_packages"]:
        package_keys += keys
        if not package_keys:
            raise click.UsageError("--check-packages needs a key: --gpg-key or --package-key.")
    if package_keys and not is_rpm:
        raise click.UsageError("--check-packages and --package-key belong to --format rpm: a .deb has no signature.")
    first, further = (urls[0], tuple(urls[1:])) if urls else ("", ())
    if is_rpm:
        return source.RpmSource(options["name"], first, keys, further, **lists, package_keys=package_keys)
    return source.DebSource(
        options["name"], first, options["suites"], options["components"], options["architectures"], keys, further
    )


def _credentials(
    options: Mapping[str, Any], inline: set[access.Credentials], environment: Mapping[str, str]
) -> access.Credentials:
    """Of file, environment and address the first that says something."""
    from stationmaster.mirror import access

    words = {name: environment.get(variable, "") for name, variable in _ENVIRONMENT.items()}
    if options["credentials_file"] is not None:
        found = _read_secret(options["credentials_file"])
        words = {name: getattr(found, name) for name in words}
    elif not any(words.values()) and inline:
        if len(inline) > 1:
            raise click.UsageError("The addresses carry different passwords; give them by --credentials-file.")
        (one,) = inline
        words = {"username": one.username, "password": one.password, "token": ""}
        click.echo("warning: a password in an address is seen by all on this host; use --credentials-file.", err=True)
    return access.Credentials(
        **words, certificate=options["client_cert"], key=options["client_key"], ca_file=options["ca_file"]
    )


def _read_secret(path: Path) -> access.Credentials:
    from stationmaster.mirror import access

    content = _read(path, "credentials file")
    if path.stat().st_mode & stat.S_IROTH:
        raise click.UsageError(f"{path} can be read by everybody: chmod 600 {path}")
    return access.parse_credentials(content.decode(errors="replace"), what=str(path))


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise click.UsageError(f"Cannot read the {what} {path}: {exc.strerror}.") from exc
