"""Credentials: who gets to see them, and that nobody else does."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from stationmaster.mirror import access, outcome, source
from stationmaster.model import errors
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

ROOT = "repodata/repomd.xml"
SECRET = "s3cret-Pa:ss"
BASIC = "Basic bWU6czNjcmV0LVBhOnNz"
LOGIN = access.Credentials(username="me", password=SECRET)


@dataclasses.dataclass
class Recorder:
    """Notes which address saw which Authorization; redirects what ``moved`` names."""

    site: simulated_upstream.Site
    moved: dict[str, str] = dataclasses.field(default_factory=dict)
    seen: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)

    @contextlib.contextmanager
    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> Iterator[object]:
        self.seen.append((url, headers.get("Authorization")))
        base = url[: url.index("/", 8) + 1]
        path = url.removeprefix(base)
        if path in self.moved and self.moved[path] != url:
            self.site.strike(path, simulated_upstream.Fault(status=302, headers={"location": self.moved[path]}))
        http = simulated_upstream.MemoryHttp({base: self.site})
        with http.stream(
            method, url, headers=headers, connect_timeout=connect_timeout, read_timeout=read_timeout
        ) as answer:
            yield answer


@dataclasses.dataclass
class Guarded:
    bench: mirror_bench.Bench
    recorder: Recorder

    def sync(self, credentials: access.Credentials, **options: object) -> outcome.SyncOutcome:
        wanted = source.RpmSource("src", options.pop("url", mirror_bench.BASE), **options)  # type: ignore[arg-type]
        with access.opened(credentials, wanted, self.recorder) as door:  # type: ignore[arg-type]
            return self.bench.engine.through(door).sync(self.bench.volume, wanted)

    def seen_at(self, origin: str) -> set[str | None]:
        return {seen for url, seen in self.recorder.seen if access.origin_of(url) == access.origin_of(origin)}


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    site = simulated_upstream.Site(repositories.rpm_repository({"p.rpm": b"p"}))
    return Guarded(mirror_bench.make_bench(tmp_path / "mirror", site), Recorder(site))


@pytest.mark.parametrize(
    ("credentials", "header"), [(LOGIN, BASIC), (access.Credentials(token="abc.d"), "Bearer abc.d")]
)
def test_each_request_carries_them(guarded: Guarded, credentials: access.Credentials, header: str) -> None:
    assert guarded.sync(credentials).state is outcome.State.SYNCED
    assert {seen for _, seen in guarded.recorder.seen} == {header}


@pytest.mark.parametrize(
    "target",
    [
        "http://cdn.test/p.rpm",
        "https://upstream.test/p.rpm",
        "http://upstream.test:8080/p.rpm",
        "http://x:y@cdn.test/p.rpm",
    ],
)
def test_a_redirect_to_another_origin_does_not_carry_them(guarded: Guarded, target: str) -> None:
    guarded.recorder.moved["p.rpm"] = target
    guarded.sync(LOGIN)
    plain = target.replace("x:y@", "")
    assert guarded.seen_at(plain) == {None}
    assert guarded.seen_at(mirror_bench.BASE) == {BASIC}
    assert all("@" not in url for url, _ in guarded.recorder.seen)


def test_a_redirect_within_the_origin_does(guarded: Guarded) -> None:
    guarded.recorder.moved["p.rpm"] = "http://UPSTREAM.test:80/elsewhere/p.rpm"
    guarded.recorder.site.files["elsewhere/p.rpm"] = b"p"
    assert guarded.sync(LOGIN).state is outcome.State.SYNCED
    assert {seen for _, seen in guarded.recorder.seen} == {BASIC}


def test_mirrors_that_a_list_names_do_not_see_them(guarded: Guarded) -> None:
    guarded.recorder.site.files["list"] = b"http://mirror.test/\n"
    assert guarded.sync(LOGIN, url="", mirrorlist="http://lists.test/list").state is outcome.State.SYNCED
    assert guarded.seen_at("http://lists.test/") == {BASIC}
    assert guarded.seen_at("http://mirror.test/") == {None}


def test_mirrors_that_the_operator_names_do(guarded: Guarded) -> None:
    guarded.recorder.site.strike(ROOT, *[simulated_upstream.Fault(refuse=True)] * 2)
    assert guarded.sync(LOGIN, mirrors=("http://second.test/",)).state is outcome.State.SYNCED
    assert guarded.seen_at("http://second.test/") == {BASIC}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_what_is_wanted_and_shows_no_secret(guarded: Guarded, status: int) -> None:
    guarded.recorder.site.always[ROOT] = simulated_upstream.Fault(status=status)
    error = guarded.sync(LOGIN).error
    assert error is not None
    assert str(status) in error.message
    assert "credentials" in str(error)
    assert SECRET not in str(error)
    assert SECRET not in repr(LOGIN)


def test_what_travels_in_clear_is_told() -> None:
    plain, secure = source.RpmSource("s", "http://h/"), source.RpmSource("s", "https://h/")
    assert "in clear to http://h/" in access.warnings_of(LOGIN, plain)[0]
    assert access.warnings_of(LOGIN, secure) == ()
    assert access.warnings_of(access.Credentials(), plain) == ()


def test_without_credentials_the_common_door_is_used(guarded: Guarded) -> None:
    with access.opened(access.Credentials(), source.RpmSource("s", "http://h/"), guarded.recorder) as door:  # type: ignore[arg-type]
        assert door is guarded.recorder  # type: ignore[comparison-overlap]


def test_a_file_is_read_as_dnf_writes_it() -> None:
    text = f"# for the vendor\nusername = me\n\npassword={SECRET}\n"
    assert access.parse_credentials(text, what="f") == LOGIN
    assert access.parse_credentials("token=a=b\n", what="f").authorization == "Bearer a=b"


@pytest.mark.parametrize(
    "text",
    ["", "# none\n", SECRET, f"pass={SECRET}", f"password={SECRET}", f"username=a\nusername={SECRET}",
     f"token=x\nusername=u\npassword={SECRET}", f"username=a:{SECRET}", f"username=a\npassword={SECRET}\x07"],
)  # fmt: skip
def test_a_file_that_is_wrong_is_not_shown(text: str) -> None:
    with pytest.raises(errors.CallerError) as caught:
        access.parse_credentials(text, what="f")
    assert SECRET not in str(caught.value)


def test_a_password_in_an_address_is_taken_out_of_it() -> None:
    plain, found = access.split_userinfo("https://me:s3cret-Pa%3Ass@h.test:8443/a/?b")
    assert (plain, found) == ("https://h.test:8443/a/?b", LOGIN)
    assert access.split_userinfo("https://h/@x") == ("https://h/@x", access.Credentials())
    for url in ("http://u:pw@h/", "ftp://u:pw@h/"):
        with pytest.raises(errors.CallerError) as caught:
            source.RpmSource("s", url)
        assert "pw" not in str(caught.value)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    wanted = source.RpmSource("s", "https://h/")
    (tmp_path / "bad.pem").write_text("no certificate")
    for one in (
        access.Credentials(certificate=tmp_path / "none.pem"),
        access.Credentials(certificate=tmp_path / "bad.pem"),
        access.Credentials(ca_file=tmp_path / "bad.pem"),
    ):
        with (
            pytest.raises(errors.CallerError, match=r"(none|bad)\.pem"),
            access.opened(one, wanted, simulated_upstream.MemoryHttp({})),
        ):
            pass
    with pytest.raises(errors.CallerError, match="key is given without"):
        access.Credentials(key=tmp_path / "k")
