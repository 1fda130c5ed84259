from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.api_client import keys, session
from stationmaster.cli import options
from stationmaster.model import errors

CONFIG = """[DEFAULT]
user=ocid1.user.oc1..u
tenancy=ocid1.tenancy.oc1..t
fingerprint=aa:bb
key_file=key.pem

[other]
user=ocid1.user.oc1..other
endpoint=https://hub.example.com:8443
key_file=/keys/100%.pem
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def test_a_profile_is_filled_from_default_and_keys_lie_beside_the_file(config: Path) -> None:
    default = options.read_identity(config, "DEFAULT")
    assert str(default.key_id) == "ocid1.tenancy.oc1..t/ocid1.user.oc1..u/aa:bb"
    assert default.key_file == config.parent / "key.pem"
    other = options.read_identity(config, "other")
    assert other.key_id.principal_id == "ocid1.user.oc1..other"
    assert other.key_file == Path("/keys/100%.pem")
    assert other.endpoint == "https://hub.example.com:8443"


@pytest.mark.parametrize(
    ("text", "profile", "expected"),
    [
        (CONFIG, "nobody", "has no profile nobody"),
        ("[DEFAULT]\nuser=x\n", "DEFAULT", "lacks tenancy, fingerprint, key_file"),
        ("user=x\n", "DEFAULT", "is malformed"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_named(config: Path, text: str, profile: str, expected: str) -> None:
    config.write_text(text)
    with pytest.raises(errors.CallerError, match=expected):
        options.read_identity(config, profile)


def test_a_missing_file_says_where_one_comes_from(tmp_path: Path) -> None:
    with pytest.raises(errors.CallerError, match="Cannot read the configuration file") as caught:
        options.read_identity(tmp_path / "none", "DEFAULT")
    assert "hub init" in caught.value.hint


@pytest.mark.parametrize(
    ("endpoint", "ca", "expected"),
    [
        (None, None, "address is not known"),
        ("hub:8443", None, "no URL"),
        ("https://h", Path("/none/ca.pem"), "no file"),
    ],
)
def test_what_is_wrong_with_the_way_to_the_hub_is_named(
    config: Path, endpoint: str | None, ca: Path | None, expected: str
) -> None:
    (config.parent / "key.pem").write_bytes(keys.private_pem(keys.make_private_key()))
    with pytest.raises(errors.CallerError, match=expected):
        options.open_client(config, "DEFAULT", endpoint, ca)


@given(
    st.dictionaries(
        st.sampled_from(["user", "tenancy", "fingerprint", "key_file", "pass_phrase", "region"]),
        st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20),
    )
)
def test_any_configuration_is_read_or_refused_in_words(values: dict[str, str]) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[DEFAULT]\n" + "".join(f"{key}={value}\n" for key, value in values.items()))
        file.flush()
        try:
            found = options.read_identity(Path(file.name), "DEFAULT")
        except errors.CallerError:
            return
        assert found.key_id.principal_id == values["user"]


class Pages(session.Session):
    """A hub with three pages."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def request(self, *_arguments: object, **more: object) -> session.Answer:  # type: ignore[override]
        query = more["query"]
        assert isinstance(query, dict)
        self.asked.append(query)
        page = int(query["page"] or 0)
        headers = {"opc-next-page": str(page + 1)} if page < 2 else {}
        body = b'{"items":[%d]}' % page if page != 1 else b"[1]"
        return session.Answer(200, headers, body)


def test_who_follows_the_hub_waits_for_no_frozen_replica() -> None:
    class Timed(Pages):
        def request(self, *_arguments: object, **more: object) -> session.Answer:  # type: ignore[override]
            self.asked.append(more["timeout"])
            return session.Answer(200, {}, b"{}")

    hub = Timed()
    client = options.Client(hub, "t")
    client.get("/x")
    client.timeout_seconds = 4.0
    client.put("/x", {})
    assert hub.asked == [30.0, 4.0]


def test_lists_follow_pages() -> None:
    hub = Pages()
    assert options.Client(hub, "t").list("/x", limit=1) == [0, 1, 2]
    assert [query["limit"] for query in hub.asked] == [1, 1, 1]  # type: ignore[index]


class Broken(session.Session):
    def __init__(self, message: str) -> None:
        self.message = message

    def request(self, *_arguments: object, **_more: object) -> session.Answer:  # type: ignore[override]
        raise errors.PeerError(self.message)


@pytest.mark.parametrize(
    ("message", "expected"), [("certificate verify failed: self-signed", "--ca"), ("Connection refused", "--endpoint")]
)
def test_a_hub_that_is_not_reached_comes_with_a_hint(message: str, expected: str) -> None:
    with pytest.raises(errors.PeerError) as caught:
        options.Client(Broken(message), "t").get("/x")
    assert expected in caught.value.hint
