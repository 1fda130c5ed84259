"""The files that point a package manager at the mirror: pure text, from sources and the address clients are given.

Decides the content of each file below the instance's root; writing, backups and drift are ``steps.write_repositories``.
Files, by their path inside the root:

    /etc/yum.repos.d/stationmaster.repo            dnf
    /etc/zypp/repos.d/stationmaster.repo           zypper
    /etc/apt/sources.list.d/stationmaster.sources  apt, keys inline
    /etc/apt/apt.conf.d/90stationmaster            apt: no forward proxy on the way to the mirror; the CA
    /etc/pki/rpm-gpg/stationmaster-<repo id>.asc   keys for dnf and zypper
    /etc/stationmaster/ca.pem                      the hub's CA, where the mirror is read over HTTPS
    /etc/stationmaster/trust/<hash>.0              zypper: the same CA in a directory of its own

zypper takes no CA per repository but in the address: over HTTPS it reads a list that says ``?ssl_capath=`` behind the
tree's address too (ADR 23), so that the system's trust anchors are left alone.

A repository names the one-line list of its source, the only mutable document a client reads (ha-protocol R3). What the
agent runs itself is pinned: ``render_pinned`` gives the same repositories with the generation's own address.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping

from stationmaster.agent import armor, trust_directory
from stationmaster.model import addresses, groups, protocol
from stationmaster.model.protocol import PackageManager, SourceFormat

REPOSITORY_FILE = {
    PackageManager.DNF: "/etc/yum.repos.d/stationmaster.repo",
    PackageManager.ZYPPER: "/etc/zypp/repos.d/stationmaster.repo",
    PackageManager.APT: "/etc/apt/sources.list.d/stationmaster.sources",
}
APT_OPTIONS_FILE = "/etc/apt/apt.conf.d/90stationmaster"
OWN_DIRECTORY = "/etc/stationmaster"
CA_FILE = f"{OWN_DIRECTORY}/ca.pem"
TRUST_DIRECTORY = f"{OWN_DIRECTORY}/trust"
PINNED_DIRECTORY = f"{OWN_DIRECTORY}/pinned"
WORK_DIRECTORY = "/var/lib/stationmaster-agent"
_HEADER = "# Written by the Stationmaster agent; changes made here are undone at its next check-in.\n"

_RPM_OPTION = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*(.*)")
_DEB_OPTION = re.compile(r"([A-Za-z][A-Za-z0-9-]*):\s*(.*)")
# What the mirror itself decides; an option of a source may not move it away from the mirror, or let a dead one pass.
_RPM_OURS = frozenset(
    {"name", "baseurl", "mirrorlist", "metalink", "enabled", "gpgkey", "sslcacert", "skip_if_unavailable", "proxy"}
)
_DEB_OURS = frozenset(
    {"enabled", "types", "uris", "suites", "components", "architectures", "signed-by", "trusted", "allow-insecure"}
)
_WORD = re.compile(r"[A-Za-z0-9./][A-Za-z0-9._+/~-]*")
_DEB_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "i386", "noarch": "all", "ppc64le": "ppc64el"}


@dataclasses.dataclass(frozen=True)
class Repositories:
    """What the files are made from. ``prefix`` goes before paths read from outside the root."""

    package_manager: PackageManager
    sources: tuple[protocol.InstanceSource, ...]
    address: protocol.ClientAddress
    ca: str = ""
    is_tls_verified: bool = False
    prefix: str = ""

    @property
    def trust_query(self) -> str:
        """What stands behind zypper's addresses over HTTPS; libzypp keeps it to itself and does not send it."""
        is_asked = self.package_manager is PackageManager.ZYPPER and self.address.is_mirror_tls
        return f"?ssl_capath={urllib.parse.quote(self.prefix + TRUST_DIRECTORY)}" if is_asked else ""

    @property
    def fitting(self) -> tuple[protocol.InstanceSource, ...]:
        """The sources that this package manager can read, by repository id."""
        wanted = SourceFormat.DEB if self.package_manager is PackageManager.APT else SourceFormat.RPM
        return tuple(
            sorted(
                (one for one in self.sources if one.format is wanted and _is_plain(one)),
                key=lambda one: (one.repo_id, one.source_id),
            )
        )


def render_files(repositories: Repositories) -> dict[str, str]:
    """Every file, by its path inside the root. No source that fits, no file."""
    if not repositories.fitting:
        return {}
    lists = {source.source_id: _list_of(repositories, source) for source in repositories.fitting}
    path = REPOSITORY_FILE[repositories.package_manager]
    files = {path: _render_repository_file(repositories, lists), **_render_keys(repositories)}
    if repositories.address.is_mirror_tls:
        files[CA_FILE] = repositories.ca
    if repositories.trust_query:
        hashed = trust_directory.render_trust_directory(repositories.ca)
        files |= {f"{TRUST_DIRECTORY}/{name}": text for name, text in hashed.items()}
    if repositories.package_manager is PackageManager.APT:
        files[APT_OPTIONS_FILE] = render_apt_options(repositories)
    return files


def render_pinned(repositories: Repositories, pins: Mapping[str, str]) -> dict[str, str]:
    """The repositories at fixed generations, for what the agent runs itself; ``pins`` maps a source to its address.

    The address lies in a local one-line list: caches are named after the list, so a new generation reuses them. Sources
    without a pin have nothing to offer yet and are left out. Keys and CA are those of ``render_files``.
    """
    pinned = dataclasses.replace(
        repositories, sources=tuple(source for source in repositories.fitting if source.source_id in pins)
    )
    lists = {one.source_id: f"{PINNED_DIRECTORY}/{repository_id(one)}.list" for one in pinned.fitting}
    urls = {source_id: f"file://{repositories.prefix}{path}" for source_id, path in lists.items()}
    if repositories.package_manager is PackageManager.ZYPPER:
        urls = {source_id: url + repositories.trust_query for source_id, url in pins.items()}
    files = {path: pins[source_id].rstrip("/") + "/\n" for source_id, path in lists.items()}
    files[pinned_file(repositories.package_manager)] = _render_repository_file(pinned, urls)
    return files


def _list_of(repositories: Repositories, source: protocol.InstanceSource) -> str:
    trust = repositories.prefix + TRUST_DIRECTORY if repositories.trust_query else ""
    return groups.list_url(repositories.address, source.source_id, trust=trust) + repositories.trust_query


def pinned_file(package_manager: PackageManager) -> str:
    """The repository file of ``render_pinned``, inside the root."""
    return f"{PINNED_DIRECTORY}/{REPOSITORY_FILE[package_manager].rpartition('/')[2]}"


def repository_id(source: protocol.InstanceSource) -> str:
    """The hub's repository id, in characters that all package managers take."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", source.repo_id) or "source"


def render_apt_options(repositories: Repositories) -> str:
    """What apt is told of the mirror's host: never by a forward proxy, and which CA."""
    host = addresses.canonical_host(repositories.address.host)
    lines = []
    if ":" not in host:  # an IPv6 address cannot stand in an option's name, whose parts are joined by "::"
        lines += [f'Acquire::{scheme}::Proxy::{host} "DIRECT";' for scheme in ("http", "https")]
        if repositories.address.is_mirror_tls:
            lines.append(f'Acquire::https::{host}::CaInfo "{repositories.prefix}{CA_FILE}";')
            if not repositories.is_tls_verified:
                lines += [f'Acquire::https::{host}::Verify-{what} "false";' for what in ("Peer", "Host")]
    return _HEADER.replace("#", "//", 1) + "".join(f"{line}\n" for line in lines)


def _render_repository_file(repositories: Repositories, urls: Mapping[str, str]) -> str:
    if repositories.package_manager is PackageManager.APT:
        paragraphs = [_render_deb(source, urls[source.source_id]) for source in repositories.fitting]
    else:
        paragraphs = [_render_rpm(source, urls[source.source_id], repositories) for source in repositories.fitting]
    return _HEADER + "\n".join(paragraphs)


def _render_rpm(source: protocol.InstanceSource, url: str, repositories: Repositories) -> str:
    is_signed = source.is_gpg_checked and bool(source.gpg_keys)
    # zypper knows no local lists, so what is pinned names the tree itself there.
    is_list = "/m/" in url or url.startswith("file:")
    values = {
        "name": _one_line(source.display_name),
        "mirrorlist" if is_list else "baseurl": url,
        "enabled": "1" if source.is_enabled else "0",
        "gpgcheck": "1" if source.is_gpg_checked else "0",
        "repo_gpgcheck": "1" if is_signed else "0",
    }
    if is_signed:
        values["gpgkey"] = f"file://{repositories.prefix}{_key_path(source)}"
    if repositories.address.is_mirror_tls and repositories.package_manager is PackageManager.DNF:
        values["sslverify"] = "1" if repositories.is_tls_verified else "0"
        values["sslcacert"] = repositories.prefix + CA_FILE
    if repositories.package_manager is PackageManager.ZYPPER:
        values |= {"type": "rpm-md", "autorefresh": "1"}
    else:
        # Debian's dnf.conf lets a dead mirror pass as success (design 12a); the hub's word on proxies is: none to us.
        values |= {"skip_if_unavailable": "False", "metadata_expire": "1h", "proxy": "_none_"}
    values |= dict(_options(source, _RPM_OPTION, _RPM_OURS))
    return f"[{repository_id(source)}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())


def _render_deb(source: protocol.InstanceSource, url: str) -> str:
    is_flat = any(suite.endswith("/") for suite in source.suites)
    fields = {
        "Enabled": "yes" if source.is_enabled else "no",
        "Types": "deb",
        "URIs": f"mirror+{url}",
        "Suites": " ".join(source.suites) or "./",
    }
    if source.components and not is_flat:
        fields["Components"] = " ".join(source.components)
    architectures = [
        _DEB_ARCHITECTURES.get(one.lower(), one.lower())
        for one in source.architectures
        if one.isalnum() or one.lower() in _DEB_ARCHITECTURES
    ]
    if binary := [one for one in architectures if one not in {"source", "all"}]:
        fields["Architectures"] = " ".join(binary)
    if not source.is_gpg_checked:
        fields["Trusted"] = "yes"
    fields |= dict(_options(source, _DEB_OPTION, _DEB_OURS))
    text = f"# {_one_line(source.display_name)}\n" + "".join(f"{key}: {value}\n" for key, value in fields.items())
    if source.is_gpg_checked and source.gpg_keys:
        text += "Signed-By:\n" + _indented(armor.merge_keys(source.gpg_keys))
    return text


def _render_keys(repositories: Repositories) -> dict[str, str]:
    if repositories.package_manager is PackageManager.APT:
        return {}
    return {
        _key_path(source): "".join(key.rstrip() + "\n" for key in source.gpg_keys)
        for source in repositories.fitting
        if source.is_gpg_checked and source.gpg_keys
    }


def _key_path(source: protocol.InstanceSource) -> str:
    return f"/etc/pki/rpm-gpg/stationmaster-{repository_id(source)}.asc"


def _is_plain(source: protocol.InstanceSource) -> bool:
    """Whether what becomes addresses and words of a file can only be that: a line end would begin a field of its own.

    The hub lets nothing else pass; this program is root, and does not rely on it.
    """
    return all(_WORD.fullmatch(one) for one in (source.source_id, *source.suites, *source.components))


def _options(source: protocol.InstanceSource, form: re.Pattern[str], ours: frozenset[str]) -> list[tuple[str, str]]:
    found = [
        match.groups() for line in source.options if line.isprintable() and (match := form.fullmatch(line.strip()))
    ]
    return [(key, value) for key, value in found if key.lower() not in ours]


def _indented(block: str) -> str:
    """A block as a multi-line deb822 value: an empty line is a dot."""
    return "".join(f" {line or '.'}\n" for line in block.splitlines())


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "Software source"
