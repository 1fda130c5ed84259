"""Options that client commands share, and the signed client they make from them.

The configuration file is an OCI configuration file: profiles are sections, DEFAULT fills what the others leave out.
Order of precedence: option, environment, then (for the endpoint) the key `endpoint` of the profile.
"""

from __future__ import annotations

import configparser
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from stationmaster.api_client import keys, session
from stationmaster.cli import main, output
from stationmaster.host import clock, http
from stationmaster.model import errors, plain_text, signing

P = ParamSpec("P")
R = TypeVar("R")

API = "/20220901"
OWN = "/stationmaster/v1"


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who asks: one profile of a configuration file."""

    key_id: signing.KeyId
    key_file: Path
    endpoint: str | None


class Client:
    """The hub as commands see it: plain JSON values in and out. ``session`` is there for typed answers."""

    timeout_seconds = 30.0

    def __init__(self, opened: session.Session, tenancy_id: str) -> None:
        self.session = opened
        self.tenancy_id = tenancy_id

    def get(self, path: str, **query: Any) -> Any:
        """The body of a GET."""
        return self.answer("GET", path, query=query).json()

    def list(self, path: str, **query: Any) -> list[Any]:
        """All items of a list, page after page; a list may come as `items` or bare."""
        items: list[Any] = []
        page: str | None = None
        while True:
            answer = self.answer("GET", path, query={**query, "page": page})
            body = answer.json()
            items.extend(body["items"] if isinstance(body, dict) else body)
            page = answer.headers.get("opc-next-page")
            if not page:
                return items

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The body that a POST is answered with, None when there is none."""
        return self.answer("POST", path, body=body).json()

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """The body that a PUT is answered with."""
        return self.answer("PUT", path, body=body).json()

    def delete(self, path: str) -> None:
        """A DELETE."""
        self.answer("DELETE", path)

    def answer(
        self,
        method: str,
        path: str,
        *,
        query: session.Query | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> session.Answer:
        """The whole answer, for its headers (work request, etag); a hub that is not reached comes with a hint."""
        try:
            answer = self.session.request(
                method, path, query=query, body=body, headers=headers, timeout=self.timeout_seconds
            )
        except session.HubFailedError:
            raise
        except errors.PeerError as exc:
            raise errors.PeerError(exc.message, hint=exc.hint or _reach_hint(exc.message), code=exc.code) from exc
        for warning in warnings_of(answer.headers):
            click.echo(f"warning: {warning}", err=True)
        return answer


class DryClient(Client):
    """What would change something is asked for its consequences instead, and ends the command after telling them."""

    def answer(
        self,
        method: str,
        path: str,
        *,
        query: session.Query | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> session.Answer:
        """Reads are as ever."""
        if method == "GET":
            return super().answer(method, path, query=query, body=body, headers=headers)
        asked = super().answer(method, f"{OWN}/consequences{path}", query=query, body=body, headers=headers)
        context = click.get_current_context()
        if context.meta.get(main.JSON_ASKED):
            output.print_json(asked.json())
        else:
            for one in asked.json()["warnings"] or ["It would be done; nobody else would notice."]:
                click.echo(plain_text.without_control(one))
        raise click.exceptions.Exit(0)


def warnings_of(headers: Mapping[str, str]) -> list[str]:
    """What the hub says beside a good answer; a header that is not understood says nothing."""
    try:
        found = json.loads(headers.get("stationmaster-warnings", "[]"))
    except ValueError:
        return []
    known = found if isinstance(found, list) else []
    return [plain_text.without_control(one) for one in known if isinstance(one, str)]


def dry_run_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add --dry-run; stands nearer to the command than `client_options`, whose client it replaces."""

    @click.option("--dry-run", "is_dry_run", is_flag=True, help="Change nothing; say what it would do to groups.")
    @functools.wraps(command)
    def wrapper(*arguments: Any, client: Client, is_dry_run: bool, **others: Any) -> R:
        chosen = DryClient(client.session, client.tenancy_id) if is_dry_run else client
        return command(*arguments, client=chosen, **others)

    return wrapper


def read_identity(path: Path, profile: str) -> Identity:
    """One profile of an OCI configuration file; CallerError naming the file, the profile and the missing key."""
    try:
        text = path.read_text()
    except OSError as exc:
        raise errors.CallerError(
            f"Cannot read the configuration file {path}: {exc.strerror}.",
            hint="`stationmaster hub init` writes one; name it with --config or OCI_CLI_CONFIG_FILE.",
        ) from exc
    # "%" in a value is itself: paths and pass phrases are no templates.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text, source=str(path))
    except configparser.Error as exc:
        raise errors.CallerError(f"The configuration file {path} is malformed: {exc.message}.") from exc
    if profile != parser.default_section and not parser.has_section(profile):
        known = ", ".join(sorted([parser.default_section, *parser.sections()]))
        raise errors.CallerError(f"{path} has no profile {profile}.", hint=f"It has: {known}. Choose with --profile.")
    values = parser[profile]
    missing = [name for name in ("tenancy", "user", "fingerprint", "key_file") if not values.get(name)]
    if missing:
        raise errors.CallerError(f"Profile {profile} in {path} lacks {', '.join(missing)}.")
    key_file = Path(values["key_file"]).expanduser()
    return Identity(
        signing.KeyId(values["tenancy"], values["user"], values["fingerprint"]),
        key_file if key_file.is_absolute() else path.parent / key_file,
        values.get("endpoint"),
    )


def open_client(config: Path, profile: str, endpoint: str | None, ca: Path | None) -> Client:
    """A client for one command; nothing is sent yet."""
    identity = read_identity(config, profile)
    target = endpoint or identity.endpoint
    if not target:
        raise errors.CallerError(
            "The hub's address is not known.", hint="Give --endpoint https://HUB:PORT or set STATIONMASTER_ENDPOINT."
        )
    if not target.startswith(("https://", "http://")):
        raise errors.CallerError(f"--endpoint is {target!r}, which is no URL.", hint="Write https://HUB:PORT.")
    if ca is not None and not ca.is_file():
        raise errors.CallerError(
            f"--ca names {ca}, which is no file.", hint="The hub's CA is ca.pem in its state directory."
        )
    opened = session.Session(
        target,
        http.Http(ca_file=ca),
        clock.SystemClock(),
        key_id=identity.key_id,
        key=keys.load_private_key(identity.key_file),
    )
    return Client(opened, identity.key_id.tenancy_id)


def client_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --config, --profile, --endpoint, --ca to a command, and pass it ``client`` instead of them."""

    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="OCI_CLI_CONFIG_FILE",
        default=Path("~/.oci/config"),
        show_envvar=True,
        metavar="FILE",
        help="OCI configuration file.",
    )
    @click.option(
        "--profile",
        "config_profile",
        envvar="OCI_CLI_PROFILE",
        default="DEFAULT",
        show_default=True,
        show_envvar=True,
        metavar="NAME",
        help="Profile in that file.",
    )
    @click.option("--endpoint", envvar="STATIONMASTER_ENDPOINT", show_envvar=True, metavar="URL", help="The hub.")
    @click.option(
        "--ca",
        type=click.Path(path_type=Path),
        envvar="STATIONMASTER_CA",
        show_envvar=True,
        metavar="FILE",
        help="CA that the hub's certificate is checked against; default: the system's.",
    )
    @functools.wraps(command)
    def wrapper(
        *arguments: Any, config: Path, config_profile: str, endpoint: str | None, ca: Path | None, **others: Any
    ) -> R:
        client = open_client(config.expanduser(), config_profile, endpoint, ca)
        return command(*arguments, client=client, **others)

    return wrapper


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add --json, passed as ``as_json``; errors of the command are then JSON too."""
    return click.option("--json", "as_json", is_flag=True, callback=_remember_json, help="Print JSON, for programs.")(
        command
    )


def _remember_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001 (click's shape)
    if value:
        context.meta[main.JSON_ASKED] = True
    return value


def _reach_hint(message: str) -> str:
    if "certificate verify failed" in message.lower():
        return "Name the hub's CA with --ca FILE or STATIONMASTER_CA (ca.pem in the hub's state directory)."
    return "Check --endpoint (STATIONMASTER_ENDPOINT), and that the hub runs: `stationmaster hub serve`."
