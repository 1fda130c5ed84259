import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import errors, response_file

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
FILE = response_file.ResponseFile(
    registration_key="key.abc",
    gateway_host="loadbalancer.example.com",
    gateway_port=16080,
    hub_url="https://hub.example.com:8443",
    ca_pem=PEM,
)


def test_looks_as_in_the_guide() -> None:
    assert response_file.render(FILE).splitlines()[:4] == [
        "ManagementAgentInstallKey = key.abc",
        "Service.plugin.osmh.download = true",
        "GatewayServerHost = loadbalancer.example.com",
        "GatewayServerPort = 16080",
    ]


def test_the_ca_is_one_line() -> None:
    assert len(response_file.render(FILE).splitlines()) == 6


@given(
    port=st.integers(1, 65535),
    key=st.text("abcdefghijklmnopqrstuvwxyz0123456789.-_=", min_size=1, max_size=60),
    wanted=st.booleans(),
    pem=st.sampled_from(["", PEM]),
)
def test_parse_inverts_render(port: int, key: str, wanted: bool, pem: str) -> None:
    content = response_file.ResponseFile(key, "10.0.0.1", port, "http://127.0.0.1:8080", pem, wanted)
    assert response_file.parse(response_file.render(content)) == content


def test_spacing_order_case_comments_and_foreign_keys_do_not_matter() -> None:
    text = response_file.render(FILE)
    lines = [line.replace(" = ", "=") for line in text.splitlines()]
    lines[2] = lines[2].replace("GatewayServerHost=", "  gatewayserverhost \t=   ")
    odd = "\ufeff# made by hand\r\n\r\nAgentDisplayName = web01\r\n" + "\r\n".join(reversed(lines))
    assert response_file.parse(odd) == FILE


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("ManagementAgentInstallKey = key.abc\n", "", "ManagementAgentInstallKey"),
        ("GatewayServerHost = loadbalancer.example.com\n", "", "GatewayServerHost"),
        ("GatewayServerPort = 16080", "GatewayServerPort = ", "GatewayServerPort"),
        ("GatewayServerPort = 16080", "GatewayServerPort = 99999", "GatewayServerPort"),
        ("= https://hub", "= ftp://hub", "Stationmaster.HubUrl"),
        ("Stationmaster.Ca = ", "Stationmaster.Ca = !", "Stationmaster.Ca"),
        ("download = true", "download = yes", "Service.plugin.osmh.download"),
        ("GatewayServerPort = 16080", "GatewayServerPort 16080", "Line 4"),
        ("GatewayServerPort = 16080", "GatewayServerPort = 16080\nGatewayServerPort = 1", "GatewayServerPort"),
    ],
)
def test_errors_name_the_key_or_the_line(old: str, new: str, named: str) -> None:
    with pytest.raises(errors.CallerError, match=named) as caught:
        response_file.parse(response_file.render(FILE).replace(old, new))
    assert "key.abc" not in str(caught.value)


def test_a_file_that_was_cut_off_in_its_ca_is_refused() -> None:
    """A CA that lacks its end would come up later, as an error of the TLS library that names no file."""
    text = response_file.render(FILE)
    for length in range(text.index("Stationmaster.Ca = ") + 20, len(text) - 5):
        with pytest.raises(errors.CallerError, match=r"Stationmaster\.Ca"):
            response_file.parse(text[:length])


def test_the_key_is_not_shown_in_a_representation() -> None:
    assert "key.abc" not in repr(FILE)
