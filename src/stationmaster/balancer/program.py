"""HAProxy as an engine that we run, and what is said to it while it runs."""

from __future__ import annotations

import signal
from pathlib import Path

from stationmaster.balancer import haproxy
from stationmaster.balancer import spec as balancer
from stationmaster.host import engine as engines
from stationmaster.host import files as host_files
from stationmaster.host import unix_socket
from stationmaster.model import errors


def runtime_of(state: Path) -> balancer.Runtime:
    """Where a running HAProxy is talked to (design 12a), and where its view of the servers goes over a reload."""
    return balancer.Runtime(state / "haproxy.sock", state / "servers.state")


def haproxy_engine(state: Path) -> engines.Engine:
    """Master and worker, in the background: a reload passes the listening sockets on, so no connection is refused.

    Its processes are known by the configuration in their command line, which master and workers share.
    """
    configuration = state / haproxy.FILE_NAME
    return engines.Engine(
        name="HAProxy",
        program="haproxy",
        configuration=configuration,
        pid_file=state / "haproxy.pid",
        log=state / "haproxy.log",
        check=("-c", "-q", "-f", engines.CANDIDATE),
        start=("-W", "-D", "-p", str(state / "haproxy.pid"), "-f", str(configuration)),
        evidence=engines.Evidence.NEW_WORKERS,
        reload_signal=signal.SIGUSR2,
    )


def wanted_haproxy(spec: balancer.BalancerSpec) -> engines.Wanted:
    """Configuration and ports."""
    listen = () if spec.bind == "*" else (spec.bind,)
    return engines.Wanted(haproxy.render_haproxy(spec)[haproxy.FILE_NAME], haproxy.haproxy_ports(spec), listen=listen)


class RunningHaproxy:
    """The runtime interface of the HAProxy that runs now. Methods raise HostError when it does not answer."""

    def __init__(self, runtime: balancer.Runtime, files: host_files.Files) -> None:
        self._runtime = runtime
        self._files = files

    def set_weights(self, spec: balancer.BalancerSpec) -> None:
        """Drain by weight 0: what is open goes on, nothing new comes. Last-resort tiers are left as they are."""
        for server in spec.servers:
            for backend in haproxy.BACKENDS:
                answer = self._ask(f"set server {backend}/{server.name} weight {server.weight}")
                if answer:
                    raise errors.HostError(f"HAProxy did not take the weight of {server.name}: {answer}")

    def save_server_states(self) -> None:
        """Let the next worker know which servers are down: it would else take all for healthy until checks fail."""
        text = self._ask("show servers state")
        self._files.write_atomic(self._runtime.server_states, (text + "\n").encode(), mode=0o600, durable=False)

    def forget_server_states(self) -> None:
        """States age: a HAProxy that is started afresh must find out by itself."""
        self._files.remove(self._runtime.server_states)

    def is_answering(self) -> bool:
        """Whether the worker lives: a frozen one holds its ports and says nothing."""
        try:
            return "Name: HAProxy" in self._ask("show info", timeout=1.0)
        except errors.HostError:
            return False

    def _ask(self, question: str, *, timeout: float = 2.0) -> str:
        return unix_socket.ask(self._runtime.socket, question, timeout=timeout)
