"""How stations reach an upstream, as lines of ``advancedRepoOptions`` say it: address lists, credentials, TLS files.

RPM: dnf's own keys, and ``mirror_gpgcheck`` (each package's own signature is checked before it is shown). DEB: fields
named like them, since apt has no deb822 fields for these. Such lines are for stations alone, never for instances. Paths
are on each station's host. A password is never given back: answers show a mask in its place, and a request that brings
the mask leaves the password as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib import parse

from stationmaster.model import errors, protocol

MASK = "********"
_FIELDS = {
    "mirrorlist": "mirrorlist",
    "metalink": "metalink",
    "username": "username",
    "password": "password",
    "sslclientcert": "client_certificate",
    "sslclientkey": "client_key",
    "sslcacert": "ca_file",
    "mirror_gpgcheck": "is_each_package_checked",
}
_LISTS = frozenset({"mirrorlist", "metalink"})
_RPM_ONLY = _LISTS | {"mirror_gpgcheck"}
_SWITCH = {**dict.fromkeys(("1", "yes", "true", "on"), True), **dict.fromkeys(("0", "no", "false", "off"), False)}
_PATHS = ("sslclientcert", "sslclientkey", "sslcacert")
_LINE = re.compile(r"\s*([A-Za-z_-]+)\s*([=:])\s*(.*?)\s*")


def is_access_line(line: str) -> bool:
    """Whether the line is about the way to the upstream."""
    return _pair(line) is not None


def require_access(lines: Iterable[str], *, is_deb: bool) -> None:
    """CallerError naming what is wrong; no message shows a value, since it may be the secret."""
    found: dict[str, str] = {}
    for line in lines:
        pair = _pair(line)
        if pair is None:
            continue
        key, value = pair
        if not value or key in found:
            raise _refusal(f"sets {key} twice, or to nothing", "Give each once.")
        found[key] = value
    _require_consistent(found, is_deb=is_deb)


def access_of(lines: Iterable[str]) -> protocol.UpstreamAccess | None:
    """What the lines say; None when they say nothing about it."""
    found = dict(pair for line in lines if (pair := _pair(line)) is not None)
    if not found:
        return None
    given: dict[str, Any] = {_FIELDS[key]: value for key, value in found.items()}
    if "mirror_gpgcheck" in found:
        given["is_each_package_checked"] = _SWITCH.get(found["mirror_gpgcheck"].lower(), False)
    return protocol.UpstreamAccess(**given)


def masked(text: str | None) -> str | None:
    """The lines without the password, to be shown."""
    return None if text is None else "".join(_with_password(line, MASK) for line in text.splitlines(keepends=True))


def unmasked(text: str, former: str | None) -> str:
    """The lines with the former password where they bring its mask; CallerError when there is none."""
    held = dict(pair for line in (former or "").splitlines() if (pair := _pair(line)) is not None)
    lines = []
    for line in text.splitlines(keepends=True):
        if _pair(line) != ("password", MASK):
            lines.append(line)
        elif "password" in held:
            lines.append(_with_password(line, held["password"]))
        else:
            raise _refusal("masks a password that is not there", "Give the password itself.")
    return "".join(lines)


def _pair(line: str) -> tuple[str, str] | None:
    match = _LINE.fullmatch(line)
    if match is None or match[1].lower() not in _FIELDS:
        return None
    return match[1].lower(), match[3]


def _with_password(line: str, password: str) -> str:
    pair, match = _pair(line), _LINE.fullmatch(line)
    if pair is None or match is None or pair[0] != "password" or not pair[1]:  # nothing to hide; a line end is no value
        return line
    return line[: match.start(3)] + password + line[match.end(3) :]


def _require_consistent(found: Mapping[str, str], *, is_deb: bool) -> None:
    if is_deb and (wrong := sorted(_RPM_ONLY & set(found))):
        raise _refusal(f"sets {wrong[0]}, which belongs to RPM repositories", "Leave it out.")
    if len(_LISTS & set(found)) > 1:
        raise _refusal("sets mirrorlist and metalink", "Give one of the two.")
    if found.get("mirror_gpgcheck", "0").lower() not in _SWITCH:
        raise _refusal("sets mirror_gpgcheck to what is neither 1 nor 0", "Write mirror_gpgcheck=1.")
    for key in _LISTS & set(found):
        _require_list_address(key, found[key])
    if ("username" in found) != ("password" in found) or ":" in found.get("username", ""):
        raise _refusal("needs username and password together; a user name holds no colon", "Give both.")
    if "sslclientkey" in found and "sslclientcert" not in found:
        raise _refusal("sets sslclientkey without sslclientcert", "Give both.")
    for key in _PATHS:
        value = found.get(key, "/")
        if not value.startswith("/") or ".." in value.split("/"):
            raise _refusal(f"sets {key} to what is no absolute path", "Name a PEM file on the stations' hosts.")


def _require_list_address(key: str, url: str) -> None:
    try:
        parsed = parse.urlsplit(url)
        is_usable = parsed.scheme in ("http", "https") and bool(parsed.hostname) and "@" not in parsed.netloc
    except ValueError:
        is_usable = False
    if not is_usable or " " in url or "#" in url:
        raise _refusal(f"sets {key} to what is no http or https address", "Give it without password and fragment.")


def _refusal(why: str, hint: str) -> errors.CallerError:
    return errors.CallerError(f"advancedRepoOptions {why}.", hint=hint)
