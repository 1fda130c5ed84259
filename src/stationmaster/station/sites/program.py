"""nginx and squid as engines of a station: where their files lie, how they are checked, started and kept.

The steps and their order are ``host.engine``'s, the doing ``host.keeper``'s; here is what is particular to the two.
"""

from __future__ import annotations

import dataclasses
import threading

from stationmaster.host import access, engine_process, keeper
from stationmaster.host import engine as engines
from stationmaster.model import errors
from stationmaster.station.sites import nginx, squid
from stationmaster.station.sites import spec as site_spec

_LOG_LIMIT_BYTES = 64 << 20
_LOOK_SECONDS = 1.0


def nginx_engine(spec: site_spec.NginxSpec) -> engines.Engine:
    """How this station's nginx is handled. ``-e`` keeps it from opening the system's own error log."""
    configuration = spec.directory / "nginx.conf"
    common = ("-e", str(spec.log / "nginx-error.log"), "-p", str(spec.directory))
    return engines.Engine(
        name="nginx",
        program="nginx",
        configuration=configuration,
        pid_file=spec.directory / "nginx.pid",
        log=spec.log / "nginx-access.log",
        check=("-t", "-q", *common, "-c", engines.CANDIDATE),
        start=(*common, "-c", str(configuration)),
        evidence=engines.Evidence.NEW_WORKERS,
    )


def squid_engine(spec: site_spec.SquidSpec) -> engines.Engine:
    """How this station's squid is handled. Told to reload by signal: ``-k`` trusts the id in the pid file."""
    configuration = spec.directory / "squid.conf"
    return engines.Engine(
        name="squid",
        program="squid",
        configuration=configuration,
        pid_file=spec.directory / "squid.pid",
        log=spec.directory / "log" / "access.log",
        check=("-n", spec.service_name, "-k", "parse", "-f", engines.CANDIDATE),
        start=("-n", spec.service_name, "-f", str(configuration)),
        evidence=engines.Evidence.NEW_SOCKETS,
    )


class NginxSite:
    """The station's nginx, kept as a spec says."""

    def __init__(self, spec: site_spec.NginxSpec, doors: engine_process.Doors) -> None:
        self._files = doors.files
        self.keeper = keeper.Keeper(nginx_engine(spec), doors)
        self._closed: errors.HostError | None = None
        self._is_looked_at = False
        self._looking: threading.Thread | None = None

    def keep(self, spec: site_spec.NginxSpec) -> keeper.Kept:
        """Bring nginx to ``spec``, whose state directory must be the one this was made for. Never raises for nginx."""
        for directory in (spec.directory / "tmp", spec.log, spec.www, spec.serving):
            self._files.make_directory(directory)
        kept = self.keeper.keep(wanted_nginx(spec))
        if kept.problem is None and (kept.is_changed or not self._is_looked_at or self._closed):
            self._closed, self._is_looked_at = self._look(spec), True
        if kept.problem is None:
            kept = dataclasses.replace(kept, problem=self._closed)
        self.keeper.reopen_logs(("nginx-access.log", "nginx-error.log"), limit_bytes=_LOG_LIMIT_BYTES)
        return kept

    def _look(self, spec: site_spec.NginxSpec) -> errors.HostError | None:
        """On a volume that hangs, looking hangs, and nginx must be kept meanwhile: so a thread looks, one at a time."""
        if spec.is_volume_silent or (self._looking is not None and self._looking.is_alive()):
            return self._closed
        found: list[errors.HostError | None] = []
        self._looking = threading.Thread(target=lambda: found.append(_closed_to_user(spec)), daemon=True)
        self._looking.start()
        self._looking.join(_LOOK_SECONDS)
        return found[0] if found else self._closed


class SquidSite:
    """The station's squid, kept as a spec says."""

    def __init__(self, spec: site_spec.SquidSpec, doors: engine_process.Doors) -> None:
        self._files = doors.files
        self.keeper = keeper.Keeper(squid_engine(spec), doors)

    def keep(self, spec: site_spec.SquidSpec) -> keeper.Kept:
        """Bring squid to ``spec``, whose state directory must be the one this was made for. Never raises for squid."""
        log = spec.directory / "log"
        self._files.make_directory(log)
        try:
            if spec.user is not None:
                self._files.set_owner(log, spec.user, spec.user)
        except LookupError:
            problem = errors.HostError(
                f"There is no user {spec.user} on this host, as whom squid would run.",
                hint="Install squid from the distribution's package, which makes its user.",
            )
            return keeper.Kept(self.keeper.pid() is not None, is_changed=False, problem=problem)
        kept = self.keeper.keep(wanted_squid(spec) if spec.is_enabled else None)
        self.keeper.reopen_logs(("access.log", "cache.log"), limit_bytes=_LOG_LIMIT_BYTES)
        self._remove_former_hosts(spec)
        return kept

    def _remove_former_hosts(self, spec: site_spec.SquidSpec) -> None:
        """Hosts files that neither the configuration nor the verified one names."""
        named = "".join(
            path.read_text()
            for path in (self.keeper.engine.configuration, self.keeper.engine.verified)
            if path.exists()
        )
        for path in spec.directory.glob("hosts-*"):
            if path.name not in named:
                self._files.remove(path)


def _closed_to_user(spec: site_spec.NginxSpec) -> errors.HostError | None:
    """The reason, when nginx starts and then answers 403 or 404 to everybody: its workers cannot get to the files."""
    for what, path in (("state", spec.www), ("mirror", spec.mirror_directory)):
        try:
            closed = access.first_closed_directory(path, spec.user) if spec.user is not None else None
        except LookupError:
            return None
        if closed is not None:
            return errors.HostError(
                f"nginx serves as the user {spec.user}, who may not enter {closed}, where the {what} directory lies.",
                hint=f"Let others search it (chmod o+x {closed}), or choose a directory elsewhere.",
                code="DirectoryClosed",
            )
    return None


def wanted_nginx(spec: site_spec.NginxSpec) -> engines.Wanted:
    """Configuration and ports."""
    return engines.Wanted(
        nginx.render_nginx(spec),
        nginx.nginx_ports(spec),
        listen=spec.listen,
        is_beside_stuck=spec.is_volume_silent,
    )


def ports_of(spec: object) -> tuple[int, ...]:
    """The ports that answer once a spec of nginx or squid is in force."""
    if isinstance(spec, site_spec.NginxSpec):
        return nginx.nginx_ports(spec)
    return squid.squid_ports(spec) if isinstance(spec, site_spec.SquidSpec) and spec.is_enabled else ()


def wanted_squid(spec: site_spec.SquidSpec) -> engines.Wanted:
    """Configuration, hosts file and ports."""
    rendered = squid.render_squid(spec)
    return engines.Wanted(
        rendered.configuration,
        squid.squid_ports(spec),
        beside=((rendered.hosts_path, rendered.hosts),),
        listen=spec.listen,
    )
