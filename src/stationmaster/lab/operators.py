"""The operator's desk: a host from which the hub is used as any client uses it.

API calls are made by the unmodified OCI Python SDK and the ``oci`` command line; what OSMH has no call for, by the
``stationmaster`` command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stationmaster.host import programs
from stationmaster.lab import host, waiting
from stationmaster.model import errors

STATIONMASTER = Path(sys.executable).parent / "stationmaster"
OCI = Path(sys.executable).parent / "oci"
_ENDED = {"SUCCEEDED", "FAILED", "CANCELED"}


class Operator:
    """One person with an OCI configuration file, at a host that reaches the hub."""

    def __init__(self, at: host.LabHost, *, config_file: Path, address: str, name: str, port: int, ca: Path) -> None:
        import oci  # half a second; only who operates needs it

        self.at = at
        self.config_file = config_file
        self.endpoint = f"https://{name}:{port}"
        self.ca = ca
        self._oci: Any = oci
        self._config: Mapping[str, Any] = oci.config.from_file(str(config_file))
        # Names of the lab do not resolve in this process, whose files are the machine's; the certificate has both.
        self._port = port
        self._addresses = [address]
        self._clients: dict[str, Any] = {}
        self.compartment_id: str = self._config["tenancy"]

    def learn(self, address: str) -> None:
        """The hub has a replica at one more address: who is not answered asks there the next time."""
        self._addresses.append(address)

    @property
    def models(self) -> Any:
        """The SDK's model classes."""
        return self._oci.os_management_hub.models

    @property
    def environment(self) -> Mapping[str, str]:
        """What the operator's shell has set, for both commands."""
        return {
            "OCI_CLI_CONFIG_FILE": str(self.config_file),
            "OCI_CLI_ENDPOINT": self.endpoint,
            "OCI_CLI_CERT_BUNDLE": str(self.ca),
            "STATIONMASTER_ENDPOINT": self.endpoint,
            "STATIONMASTER_CA": str(self.ca),
            "SUPPRESS_LABEL_WARNING": "True",
        }

    def call(self, client: str, operation: str, *arguments: Any, **named: Any) -> Any:
        """One SDK call, e.g. ``call("ManagementStationClient", "get_management_station", ocid)``; its response."""
        if client not in self._clients:
            kind = getattr(self._oci.os_management_hub, client)
            opened = kind(
                dict(self._config),
                service_endpoint=f"https://{self._addresses[0]}:{self._port}",
                retry_strategy=self._oci.retry.NoneRetryStrategy(),
            )
            opened.base_client.timeout = (5.0, 20.0)  # a hub that is frozen must not hold up whoever watches it
            opened.base_client.session.verify = str(self.ca)
            opened.base_client.session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the line above
            self._clients[client] = opened
        try:
            return self.at.call(lambda: getattr(self._clients[client], operation)(*arguments, **named))
        except self._oci.exceptions.ServiceError as exc:
            raise errors.PeerError(f"{operation} was answered {exc.status} {exc.code}: {exc.message}") from exc
        except self._oci.exceptions.RequestException as exc:
            self._addresses.append(self._addresses.pop(0))
            self._clients.clear()
            raise errors.PeerError(f"{operation} was not answered: {exc}") from exc

    def stationmaster(self, *arguments: str | Path, timeout: float = 60.0) -> programs.Completed:
        """One ``stationmaster`` command."""
        return self.at.run([STATIONMASTER, *arguments], environment=self.environment, timeout=timeout)

    def oci(self, *arguments: str) -> Mapping[str, Any]:
        """One ``oci os-management-hub`` command; its JSON output, empty when it prints nothing."""
        command: list[str | Path] = [OCI, "os-management-hub", *arguments]
        answer = self.at.run(command, environment=self.environment, timeout=90.0)
        words = " ".join(arguments[:2])
        text = answer.require_success(f"oci os-management-hub {words}").stdout.strip()
        return dict(json.loads(text)) if text else {}

    def response_file(self, profile_id: str) -> str:
        """An ``input.rsp`` for a profile."""
        made = self.stationmaster("profile", "response-file", "--profile-id", profile_id)
        return made.require_success("Making a response file").stdout

    def wait_for_work(
        self, work_request_id: str, seconds: float, *, meanwhile: Callable[[], object] | None = None
    ) -> None:
        """Wait until a work request has SUCCEEDED, doing something between looks; PeerError with its errors if not."""

        def ended() -> Any:
            seen = self.call("WorkRequestClient", "get_work_request", work_request_id).data
            if seen.status in _ENDED:
                return seen
            if meanwhile is not None:
                meanwhile()
            return None

        work = waiting.until(ended, seconds, f"work request {work_request_id}", every=0.3)
        if work.status != "SUCCEEDED":
            found = self.call("WorkRequestClient", "list_work_request_errors", work_request_id).data.items
            words = "; ".join(f"{entry.code}: {entry.message}" for entry in found) or "it names no error"
            raise errors.PeerError(f"{work.operation_type} ended {work.status}: {words}")
