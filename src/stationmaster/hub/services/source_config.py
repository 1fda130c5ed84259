"""What a software source by URL may be: from the details of a request to the columns of a row."""

from __future__ import annotations

import datetime
import re
import urllib.parse
from typing import Any

from stationmaster.hub.api.wire import base
from stationmaster.hub.api.wire import sources as wire
from stationmaster.model import addresses, errors, protocol, repo_options, upstream_access

Columns = dict[str, Any]
_USERINFO = re.compile(r"//[^/]*@")  # whatever is wrong with an address, a password in it is not shown
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def columns_of_new(details: wire.CreateSoftwareSourceDetails, kind: base.SourceType) -> Columns:
    """All configuration columns of a new source, defaults filled in.

    Signatures are checked unless that is switched off or no key is named; TLS is verified and mirroring allowed unless
    the request says otherwise.
    """
    family = details.os_family
    if family.is_windows:
        raise errors.CallerError(f"osFamily {family.value} has no repositories that could be mirrored.")
    url = require_url(details.url, field="url")
    key_url = _key_urls(details.gpg_key_url)
    given = upstream_access.unmasked(details.advanced_repo_options or "", None)
    options = _options(given, family)
    return {
        "compartment_id": details.compartment_id,
        "display_name": details.display_name or _name_of(url),
        "description": details.description,
        "software_source_type": kind.value,
        "format": (protocol.SourceFormat.DEB if family.is_deb else protocol.SourceFormat.RPM).value,
        "url": url,
        "os_family": family.value,
        "arch_type": details.arch_type.value,
        "is_gpg_check_enabled": _first(details.is_gpg_check_enabled, key_url is not None),
        "is_ssl_verify_enabled": _first(details.is_ssl_verify_enabled, True),
        "is_mirror_sync_allowed": _first(details.is_mirror_sync_allowed, True),
        "gpg_key_url": key_url,
        "advanced_repo_options": options,
        "freeform_tags": details.freeform_tags or {},
        "defined_tags": base.kept_tags(details.defined_tags),
    }


def columns_of_change(details: wire.UpdateSoftwareSourceDetails, row: Any) -> Columns:
    """The columns that an update changes; what it leaves out stays, and an empty string takes an optional one away."""
    columns: Columns = {}
    plain = ("compartment_id", "display_name", "description", "freeform_tags")
    switches = ("is_gpg_check_enabled", "is_ssl_verify_enabled", "is_mirror_sync_allowed")
    for field in plain + switches:
        value = getattr(details, field)
        if value is not None:
            columns[field] = value
    if details.defined_tags is not None:
        columns["defined_tags"] = base.kept_tags(details.defined_tags)
    if details.url is not None:
        columns["url"] = require_url(details.url, field="url")
    if details.gpg_key_url is not None:
        columns["gpg_key_url"] = _key_urls(details.gpg_key_url)
    if details.advanced_repo_options is not None:
        given = upstream_access.unmasked(details.advanced_repo_options, row.advanced_repo_options)
        columns["advanced_repo_options"] = _options(given, base.OsFamily(row.os_family))
    return columns


def repo_id(kind: base.SourceType, name: str, now: datetime.datetime) -> str:
    """``private.<name>.<yyyymmddHHMMSSmmm>``, as the real service makes them (OSMH rule 89)."""
    stamp = now.strftime("%Y%m%d%H%M%S") + f"{now.microsecond // 1000:03d}"
    fit = _UNFIT.sub("-", name).strip("-") or "source"
    return f"{kind.value.lower()}.{fit[:180]}.{stamp}"


def require_url(text: str, *, field: str) -> str:
    """An http or https address without credentials, query or fragment; a trailing slash goes (OSMH rule 89)."""
    wrong = f"{field} is {_USERINFO.sub('//', text)[:200]!r}, which is no address of a repository"
    hint = "Give an http or https address, for example https://repo.example.com/ol9/x86_64."
    try:
        parsed = urllib.parse.urlsplit(text.strip())
        is_usable = parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.port != 0
    except ValueError as exc:
        raise errors.CallerError(f"{wrong}: host or port cannot be read.", hint=hint) from exc
    if not is_usable or not text.strip().isprintable() or " " in text.strip() or len(text) > 2000:
        raise errors.CallerError(f"{wrong}.", hint=hint)
    if parsed.username is not None or parsed.password is not None:
        raise errors.CallerError(
            f"{field} carries a user name or password, which everybody who may list sources would read.",
            hint="Put username=… and password=… into advancedRepoOptions: the hub does not show that password again.",
        )
    if parsed.query or parsed.fragment or ".." in parsed.path.split("/"):
        raise errors.CallerError(f"{wrong}: it has a query, a fragment or `..`.", hint=hint)
    addresses.require_host(parsed.hostname or "", field=f"the host of {field}")
    return text.strip().rstrip("/")


def _key_urls(text: str | None) -> str | None:
    """One or several addresses of keys, separated by blanks or commas."""
    found = (text or "").replace(",", " ").split()
    return " ".join(require_url(one, field="gpgKeyUrl") for one in found) or None


def _options(text: str | None, family: base.OsFamily) -> str | None:
    if family.is_deb:
        repo_options.require_deb_options(text or "")
    elif text:
        repo_options.require_rpm_options(text)
    return text or None


def _name_of(url: str) -> str:
    parsed = urllib.parse.urlsplit(url)
    return f"{parsed.hostname}{parsed.path}".replace("/", "-")[:255]


def _first(given: bool | None, default: bool) -> bool:  # noqa: FBT001 - both are the same kind of thing
    return default if given is None else given
