"""Keys that only the mirror holds, fetched from a loopback mirror and filled into what the hub said."""

import http.server
import threading
from collections.abc import Iterator

import msgspec
import pytest

from stationmaster.agent import source_keys
from stationmaster.model import protocol

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"


class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/keys/one.asc"
        body = KEY.encode() if known else b"<html>no such page</html>"
        self.send_response(200 if known or self.path == "/keys/page.asc" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def address() -> Iterator[protocol.ClientAddress]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield protocol.ClientAddress(host="127.0.0.1", ports=protocol.Ports(proxy=1, http=port, https=2))
        server.shutdown()


def source(name: str, **fields: object) -> protocol.InstanceSource:
    made = protocol.InstanceSource(
        source_id=name, repo_id=name, display_name=name.title(), format=protocol.SourceFormat.RPM
    )
    return msgspec.structs.replace(made, **fields)


def desired(*sources: protocol.InstanceSource) -> protocol.InstanceDesired:
    return protocol.InstanceDesired(managed_instance_id="i", address=None, ca="", sources=list(sources))


def test_keys_are_fetched_and_filled_in_where_the_hub_has_none(address: protocol.ClientAddress) -> None:
    said = desired(source("one"), source("own", gpg_keys=["given"]), source("free", is_gpg_checked=False))
    wanted = source_keys.sources_without(said)
    assert [one.source_id for one in wanted] == ["one"]
    kept, problems = source_keys.fetch_keys(address, wanted, {}, None)
    assert problems == []
    assert [one.gpg_keys for one in source_keys.complete(said, kept).sources] == [[KEY], ["given"], []]


@pytest.mark.parametrize("name", ["gone", "page"])
def test_a_key_that_cannot_be_had_is_a_problem_that_names_the_source(
    address: protocol.ClientAddress, name: str
) -> None:
    kept, problems = source_keys.fetch_keys(address, [source(name)], {}, None)
    assert kept.keys == {}
    assert [problem.code for problem in problems] == ["KeyUnavailable"]
    assert name.title() in problems[0].message


def test_a_kept_key_outlasts_the_mirror(address: protocol.ClientAddress) -> None:
    kept, problems = source_keys.fetch_keys(address, [source("gone")], {"gone": KEY, "left": KEY}, None)
    assert (kept.keys, problems) == ({"gone": KEY}, [])
