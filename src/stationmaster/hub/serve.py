"""``hub serve``: the API over HTTPS with a certificate of the hub's own CA, and the hub's own work beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import signal
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec

from stationmaster.host import clock, files, limits, network
from stationmaster.hub import connections, context, logs, measures, opening, public_address, state_dir, wiring
from stationmaster.hub.jobs import loop
from stationmaster.hub.services import authority
from stationmaster.model import addresses, errors

RENEWAL_CHECK = datetime.timedelta(minutes=1)
_GRACE_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Listening:
    """Where and how the hub is reached. ``public_url`` is what response files carry.

    ``monitors`` may read ``/metrics``, beside this host itself.
    """

    host: str
    port: int
    tls_names: tuple[str, ...] = ()
    is_plain: bool = False
    given_public_url: str | None = None
    monitors: tuple[addresses.Network, ...] = ()

    @property
    def public_url(self) -> str:
        """As given; else the first TLS name; else the listening address."""
        if self.given_public_url:
            return self.given_public_url.rstrip("/")
        name = self.tls_names[0] if self.tls_names else self.host
        return f"{'http' if self.is_plain else 'https'}://{addresses.url_host(name)}:{self.port}"

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """What the hub's certificate names: all given names, the address it listens at, and this host itself."""
        wildcard = self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        own = (network.host_name(),) if wildcard else (self.host,)
        found = (*self.tls_names, *own, "localhost", "127.0.0.1")
        return tuple(dict.fromkeys(addresses.canonical_host(name) for name in found))


def parse_listening(listen: str, tls_names: Sequence[str], *, is_plain: bool, public_url: str | None) -> Listening:
    """From the options of the command; CallerError naming what cannot be."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise errors.CallerError(f"--listen is {listen!r}.", hint="Write HOST:PORT, for example 0.0.0.0:8443.")
    bare = host.removeprefix("[").removesuffix("]")
    if is_plain and not addresses.is_loopback(bare):
        raise errors.CallerError(
            f"--plain-http is for loopback addresses only, and {bare} is none.",
            hint="Leave --plain-http out: the hub then serves HTTPS with a certificate of its own CA.",
        )
    if public_url is not None and not public_url.startswith(("https://", "http://")):
        raise errors.CallerError(f"--public-url is {public_url!r}, which is no URL.", hint="Write https://HOST:PORT.")
    if public_url is not None:
        addresses.require_protected_url(public_url, field="--public-url")
    for name in tls_names:
        addresses.require_host(name, field="--tls-name")
    return Listening(bare, int(port), tuple(tls_names), is_plain, public_url)


def serve(root: Path, listening: Listening, disk: files.Files, wall_clock: clock.Clock) -> None:
    """Serve until SIGTERM or SIGINT; requests that have begun are finished."""
    logs.configure()
    limits.raise_open_files()
    own = public_address.Own(listening.public_url, is_given=bool(listening.given_public_url))
    hub = opening.open_hub(root, own, wall_clock)
    counted = measures.Measures()
    config = uvicorn.Config(
        wiring.build_app(hub, counted, (*wiring.LOOPBACK, *listening.monitors)),
        host=listening.host,
        port=listening.port,
        http=connections.LimitedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config.load()
    renew: Callable[[], None] = _no_renewal
    if not listening.is_plain:
        certificate = _Certificate(hub, state_dir.StateDir(root.absolute()), listening.certificate_names, disk)
        config.ssl = certificate.context
        renew = certificate.renew
    _run(hub, counted, uvicorn.Server(config), renew)


def _run(hub: context.Hub, counted: measures.Measures, server: uvicorn.Server, renew: Callable[[], None]) -> None:
    stop = threading.Event()

    def ask_to_stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises a signal again when it has shut down; ours takes it, so that the exit status is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    threads = [
        threading.Thread(target=loop.run, args=(hub, stop, counted), name="jobs"),
        threading.Thread(target=_renew_on_time, args=(renew, stop), name="certificate", daemon=True),
    ]
    for thread in threads:
        thread.start()
    logs.write("serving", url=hub.public_url, address=f"{server.config.host}:{server.config.port}")
    try:
        with contextlib.suppress(SystemExit):  # uvicorn's way to say that it could not listen
            server.run()
    finally:
        stop.set()
        threads[0].join(_GRACE_SECONDS)
        hub.store.close()
        logs.write("stopped")
    if not server.started:
        raise errors.HostError(
            f"Cannot listen at {server.config.host}:{server.config.port}.",
            hint="Another process may have the port; the log above says more.",
        )


class _Certificate:
    """The hub's own certificate, made when missing and renewed in place; open connections keep the former one."""

    def __init__(self, hub: context.Hub, where: state_dir.StateDir, names: tuple[str, ...], disk: files.Files) -> None:
        self._hub, self._where, self._own_names, self._disk = hub, where, names, disk
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew()
        self.context.load_cert_chain(where.tls_chain, where.tls_key)

    @property
    def _names(self) -> tuple[str, ...]:
        """This replica's own, and the one by which machines come to any of them."""
        public = addresses.canonical_host(urllib.parse.urlsplit(self._hub.public_url).hostname or "localhost")
        return tuple(dict.fromkeys((*self._own_names, public)))

    def renew(self) -> None:
        """Make a new certificate when the present one is missing, names something else, or nears its end."""
        now = self._hub.clock.now()
        is_there = self._where.tls_chain.exists() and self._where.tls_key.exists()
        if is_there and not authority.is_renewal_due(self._where.tls_chain.read_bytes(), self._names, now):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._hub.authority.certify(key.public_key(), self._names, now)
        self._disk.make_directory(self._where.tls_key.parent, mode=0o700)
        self._disk.write_atomic(self._where.tls_key, authority.make_pem(key), mode=0o600)
        self._disk.write_atomic(self._where.tls_chain, chain.encode(), mode=0o644)
        self.context.load_cert_chain(self._where.tls_chain, self._where.tls_key)
        logs.write("certificate made", names=list(self._names))


def _renew_on_time(renew: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(RENEWAL_CHECK.total_seconds()):
        try:
            renew()
        except Exception:  # noqa: BLE001 - the edge of a loop: the former certificate still serves
            logs.write("certificate not renewed", level=logging.ERROR, is_traced=True, action="try again in a minute")


def _no_renewal() -> None:
    """Plain HTTP has no certificate."""
