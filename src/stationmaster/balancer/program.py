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

# The columns and bits of `show servers state` (HAProxy's management guide, section 9.3).
_ADDRESS, _ADMIN_STATE, _PORT, _CHECK_PORT, _AGENT_PORT = 4, 6, 18, 21, 24
_FORCED_MAINTENANCE = 0x01
_FORCED_DRAIN = 0x08


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

    def align_drains(self, spec: balancer.BalancerSpec) -> None:
        """Drain what ``spec`` drains and take back what it does not: what is open goes on, nothing new comes.

        By administrative state, not by weight: that is the station's own, through its agent check. ``maint``, an
        operator's word at this socket, is left as it is. Servers that do not run yet are left out, last-resort tiers
        too.
        """
        running = parse_drains(self._ask("show servers state"))
        for backend in haproxy.BACKENDS:
            for server in spec.servers:
                name = f"{backend}/{server.name}"
                if running.get(name, server.is_draining) is server.is_draining:
                    continue
                orders = [f"state {'drain' if server.is_draining else 'ready'}"]
                # A share of nothing that the station said while it was drained would else outlive the drain.
                orders += [] if server.is_draining else ["weight 100%"]
                for order in orders:
                    answer = self._ask(f"set server {name} {order}")
                    if answer:
                        raise errors.HostError(f"HAProxy did not take `{order}` for {server.name}: {answer}")

    def save_server_states(self, spec: balancer.BalancerSpec, *, but: str = "") -> None:
        """Let the next worker know which servers are down: it would else take all for healthy until checks fail.

        A state also says where the server was reached, and that would win over ``spec``, so it is brought there first.
        ``but`` is a backend to leave out, with its last resort: a state also says whether TLS is spoken to the server,
        and a worker that begins to end TLS would go on without.
        """
        told = self._ask("show servers state").splitlines()
        kept = (line for line in told if not but or line.split()[1:2] not in ([but], [f"{but}-last"]))
        text = "\n".join(at_its_place(line, spec) for line in kept)
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


def at_its_place(line: str, spec: balancer.BalancerSpec) -> str:
    """A line of ``show servers state`` with address and ports as ``spec`` has them; other lines are left alone."""
    fields = line.split()
    if len(fields) <= _AGENT_PORT:
        return line
    server = next((one for one in spec.servers if one.name == fields[3]), None)
    port = haproxy.server_port(fields[1].removesuffix("-last"), server) if server is not None else None
    if server is None or port is None:
        return line
    fields[_ADDRESS], fields[_PORT] = server.address, str(port)
    if fields[_CHECK_PORT] != "0":
        fields[_CHECK_PORT] = str(server.ports.http)
    if fields[_AGENT_PORT] != "0":
        fields[_AGENT_PORT] = str(server.agent_port)
    return " ".join(fields)


def parse_drains(states: str) -> dict[str, bool]:
    """``show servers state``: by backend and server, whether it is drained by order; those in maintenance left out."""
    found = {}
    for line in states.splitlines():
        fields = line.split()
        if len(fields) > _ADMIN_STATE and fields[_ADMIN_STATE].isdigit():
            admin = int(fields[_ADMIN_STATE])
            if not admin & _FORCED_MAINTENANCE:
                found[f"{fields[1]}/{fields[3]}"] = bool(admin & _FORCED_DRAIN)
    return found
