"""``input.rsp``: the response file that registers a machine. Lines of ``Key = value``, as in the OSMH guide.

The four keys of the guide mean what they mean there; keys that begin with ``Stationmaster.`` are ours: the hub's
address, which the agent reaches through the gateway, and the hub's CA, so that nothing else has to be copied.
Keys that are not known here are left alone: other tools may read the same file.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses

from stationmaster.model import addresses, errors, ports

INSTALL_KEY = "ManagementAgentInstallKey"
PLUGIN = "Service.plugin.osmh.download"
GATEWAY_HOST = "GatewayServerHost"
GATEWAY_PORT = "GatewayServerPort"
HUB_URL = "Stationmaster.HubUrl"
HUB_CA = "Stationmaster.Ca"

_KNOWN = {key.lower(): key for key in (INSTALL_KEY, PLUGIN, GATEWAY_HOST, GATEWAY_PORT, HUB_URL, HUB_CA)}
_HINT = "Make a new file with `stationmaster profile response-file --profile-id OCID`."


@dataclasses.dataclass(frozen=True)
class ResponseFile:
    """What registers one machine. ``ca_pem`` is empty when the hub speaks plain HTTP on a loopback address."""

    registration_key: str = dataclasses.field(repr=False)
    gateway_host: str
    gateway_port: int
    hub_url: str
    ca_pem: str = ""
    is_plugin_wanted: bool = True


def render(content: ResponseFile) -> str:
    """The file's text; ``parse`` gives the same content back."""
    lines = [
        (INSTALL_KEY, content.registration_key),
        (PLUGIN, "true" if content.is_plugin_wanted else "false"),
        (GATEWAY_HOST, content.gateway_host),
        (GATEWAY_PORT, str(content.gateway_port)),
        (HUB_URL, content.hub_url),
    ]
    if content.ca_pem:
        lines.append((HUB_CA, base64.b64encode(content.ca_pem.encode()).decode()))
    return "".join(f"{key} = {value}\n" for key, value in lines)


def parse(text: str) -> ResponseFile:
    """The content of a response file. CallerError names the line that cannot be read, or the key that is missing."""
    values = _parse_lines(text)
    for key in (INSTALL_KEY, GATEWAY_HOST, GATEWAY_PORT, HUB_URL):
        if not values.get(key):
            raise errors.CallerError(f"The response file lacks {key}.", hint=_HINT)
    return ResponseFile(
        registration_key=values[INSTALL_KEY],
        gateway_host=addresses.require_host(values[GATEWAY_HOST], field=GATEWAY_HOST),
        gateway_port=ports.parse_port(values[GATEWAY_PORT], field=GATEWAY_PORT),
        hub_url=_parse_url(values[HUB_URL]),
        ca_pem=_parse_ca(values.get(HUB_CA, "")),
        is_plugin_wanted=_parse_boolean(values.get(PLUGIN, "true")),
    )


def _parse_lines(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator:
            # The line itself is not shown: it may be a registration key that lost its name.
            raise errors.CallerError(f"Line {number} of the response file is not of the form Key = value.", hint=_HINT)
        key = _KNOWN.get(name.strip().lower())
        if key is None:
            continue
        if key in values and values[key] != value.strip():
            raise errors.CallerError(f"Line {number} of the response file gives {key} a second value.", hint=_HINT)
        values[key] = value.strip()
    return values


def _parse_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() in {"http", "https"} and rest.strip("/"):
        return text.rstrip("/")
    raise errors.CallerError(f"{HUB_URL} is {text[:200]!r}, which is no http or https URL.", hint=_HINT)


def _parse_ca(encoded: str) -> str:
    if not encoded:
        return ""
    try:
        pem = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, ValueError) as exc:
        raise errors.CallerError(f"{HUB_CA} is not base64 of a PEM certificate.", hint=_HINT) from exc
    begun, ended = (pem.count(f"-----{word} CERTIFICATE-----") for word in ("BEGIN", "END"))
    if not begun or begun != ended:
        raise errors.CallerError(f"{HUB_CA} holds no whole PEM certificate: the file was cut off.", hint=_HINT)
    return pem


def _parse_boolean(text: str) -> bool:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    raise errors.CallerError(f"{PLUGIN} is {text[:40]!r}; it must be true or false.", hint=_HINT)
