"""Looks at the world and returns what it saw as frozen values. What may hang, the volume, is ``volume_look``'s."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.host import network
from stationmaster.model import errors, protocol
from stationmaster.station import certificates
from stationmaster.station import config as configs
from stationmaster.station import snapshot as snapshots

PROBE_SECONDS = 0.5
_WWW_FILES = ("m-http", "m-https", "keys")
_WWW_LINKS = ("u", "u-former")
_SQUID_REQUEST = b"CONNECT probe.invalid:443 HTTP/1.1\r\nHost: probe.invalid:443\r\n\r\n"
_NGINX_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def problem_of(error: errors.StationmasterError | OSError) -> protocol.Problem:
    """An error as it goes over the wire."""
    if isinstance(error, errors.StationmasterError):
        return protocol.Problem(code=error.code, message=str(error))
    return protocol.Problem(code=errors.HostError.code, message=f"{error.strerror}: {error.filename}.")


def look_at_www(www: Path) -> Mapping[str, str]:
    """What nginx serves beside the volume: file contents by path, links as ``->`` and their target.

    A directory in the place of a link, as a copy of the state directory makes it, counts as nothing.
    """
    found = {}
    for name in ("instance-setup.sh",):
        text = host_files.read_text_or_none(www / name)
        if text is not None:
            found[name] = text
    for directory in (*_WWW_FILES, *_WWW_LINKS):
        for path in sorted((www / directory).glob("[!.]*")):
            is_link = path.is_symlink()
            if not is_link and path.is_dir():
                continue
            found[f"{directory}/{path.name}"] = f"->{path.readlink()}" if is_link else path.read_text(errors="replace")
    return snapshots.frozen_map(found)


def look_at_certificates(
    state: configs.StateDirectory, operators_path: str | None, former: snapshots.CertificatesView
) -> snapshots.CertificatesView:
    """The signed and the operator's certificate as they are on disk now."""
    signed = operators = problem = None
    if (state.certificate / "chain.pem").exists():
        try:
            signed = certificates.read_certificate(state.certificate / "chain.pem", state.certificate / "key.pem")
        except errors.HostError:
            signed = None  # damaged: a new one is asked for
    if operators_path:
        try:
            operators = certificates.read_operators(Path(operators_path))
        except errors.HostError as exc:
            problem = problem_of(exc)
    return snapshots.CertificatesView(
        signed=signed,
        operators=operators,
        operators_problem=problem,
        request_problem=former.request_problem,
        retry_at=former.retry_at,
    )


def is_nginx_answering(address: str, port: int) -> bool:
    """Whether nginx answers a request at all, whatever it says."""
    return network.exchange(address, port, _NGINX_REQUEST, timeout=PROBE_SECONDS).startswith(b"HTTP/1.")


def is_squid_answering(address: str, port: int) -> bool:
    """Whether squid answers: it refuses a name that does not exist, without looking it up. The hub plays no part."""
    return network.exchange(address, port, _SQUID_REQUEST, timeout=PROBE_SECONDS).startswith(b"HTTP/1.")
