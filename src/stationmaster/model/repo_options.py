"""``advancedRepoOptions`` of a software source by URL (design section 12).

RPM: lines of dnf ``key=value``. DEB: deb822 lines, of which ``Suites:`` says what to read and ``Components:`` which
parts of it; a suite that ends in ``/`` is a flat repository and has no components. What the hub itself decides (where
the repository is, whether it is enabled and checked, by which key) cannot be set here, since it would contradict the
fields that say so. Lines about the way to the upstream are ``upstream_access``'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stationmaster.model import errors, upstream_access

_DNF_OWN = frozenset(
    {"name", "baseurl", "enabled", "gpgcheck", "gpgkey", "sslverify"}
    | {"skip_if_unavailable", "proxy", "proxy_username", "proxy_password"}
)
_DEB_OWN = frozenset({"types", "uris", "enabled", "signed-by", "trusted", "allow-insecure", "allow-weak"})
_DEB_KNOWN = frozenset(
    {"suites", "components", "architectures", "languages", "targets", "pdiffs", "by-hash"}
    | {"check-valid-until", "valid-until-min", "valid-until-max", "check-date", "date-max-future", "inrelease-path"}
    | {"x-repolib-name"}
)
_DNF_NO = frozenset({"0", "no", "false", "off"})
_DNF_KEY = re.compile(r"[a-z][a-z0-9_]*")
_DEB_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_DEB_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/~-]*|\./?|/")


def require_rpm_options(text: str) -> None:
    """CallerError naming the line that is no option of a dnf repository, or one that is not the caller's to set."""
    lines = _lines(text)
    upstream_access.require_access(lines, is_deb=False)
    for line in lines:
        if upstream_access.is_access_line(line):
            continue
        key, separator, _ = line.partition("=")
        key = key.strip()
        if not separator or not _DNF_KEY.fullmatch(key):
            raise _refuse(line, "is no dnf option", "Write one key=value a line, for example module_hotfixes=1.")
        if key in _DNF_OWN:
            raise _refuse(line, f"sets {key}, which the source's own fields decide", "Leave it out.")


def require_deb_options(text: str) -> None:
    """CallerError naming what is wrong or missing in the deb822 lines of a DEB source."""
    fields: dict[str, list[str]] = {}
    lines = _lines(text)
    upstream_access.require_access(lines, is_deb=True)
    for line in lines:
        if upstream_access.is_access_line(line):
            continue
        name, separator, value = line.partition(":")
        key = name.strip().lower()
        if not separator or not _DEB_KEY.fullmatch(name.strip()) or not value.strip():
            raise _refuse(line, "is no deb822 line", "Write one `Field: value` a line, for example `Suites: stable`.")
        if key in _DEB_OWN:
            raise _refuse(line, f"sets {name.strip()}, which the source's own fields decide", "Leave it out.")
        if key not in _DEB_KNOWN or key in fields:
            why = "is given twice" if key in fields else "is not known"
            raise _refuse(line, f"sets {name.strip()}, which {why}", "See sources.list(5) for the fields.")
        fields[key] = value.split()
    _require_suites(fields)


def _require_suites(fields: dict[str, list[str]]) -> None:
    suites, components = fields.get("suites", []), fields.get("components", [])
    if not suites:
        raise errors.CallerError(
            "advancedRepoOptions lacks `Suites:`, which a DEB source needs.",
            code="MissingParameter",
            hint="Add lines such as `Suites: stable` and `Components: main`.",
        )
    for word in (*suites, *components):
        if not _DEB_WORD.fullmatch(word) or ".." in word.split("/"):
            raise errors.CallerError(f"advancedRepoOptions has {word!r}, which is no suite or component.")
    is_flat = all(suite.endswith("/") for suite in suites)
    if not is_flat and any(suite.endswith("/") for suite in suites):
        raise errors.CallerError("advancedRepoOptions mixes flat suites (ending in `/`) with others.")
    if is_flat == bool(components):
        wanted = "takes no `Components:`, since its suite is flat" if is_flat else "lacks `Components:`"
        raise errors.CallerError(f"advancedRepoOptions {wanted}.", code="MissingParameter" if not is_flat else None)


def is_on(options: Iterable[str], key: str, *, default: bool) -> bool:
    """What dnf makes of a yes-or-no option among ``key=value`` lines; the last one counts, as it does for dnf."""
    given = [
        value.strip().lower() for name, _, value in (line.partition("=") for line in options) if name.strip() == key
    ]
    return given[-1] not in _DNF_NO if given else default


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    for line in lines:
        if not line.isprintable() or line.startswith(("[", "#")):
            shown = "password…" if line.lower().startswith("password") else line
            raise _refuse(shown, "is no option", "Write one option a line.")
    return [line for line in lines if line]


def _refuse(line: str, why: str, hint: str) -> errors.CallerError:
    return errors.CallerError(f"advancedRepoOptions: the line {line[:200]!r} {why}.", hint=hint)
