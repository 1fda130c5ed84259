"""Mirrorlists and metalinks: what is read of them, what is believed, and how a sync goes by them."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from stationmaster.mirror import address_list, failures, fileref, outcome, source
from stationmaster.model import errors
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Site = simulated_upstream.Site
Fault = simulated_upstream.Fault
ROOT = "repodata/repomd.xml"
A, B, LIST = mirror_bench.BASE, "http://b.test/os/", "https://list.test/"
PACKAGES = {"p.rpm": b"p", "q.rpm": b"q"}


def version(content: bytes, algorithm: str = "sha256") -> str:
    return (
        f"<size>{len(content)}</size><verification><hash type='md5'>{'0' * 32}</hash>"
        f"<hash type='{algorithm}'>{hashlib.new(algorithm.replace('-', ''), content).hexdigest()}</hash></verification>"
    )


def metalink(present: bytes, *former: bytes, bases: tuple[str, ...] = (A, B), algorithm: str = "sha256") -> bytes:
    alternates = "".join(f"<mm0:alternate>{version(one)}</mm0:alternate>" for one in former)
    urls = "".join(
        f"<url protocol='http' preference='{100 - number}'>{base}{ROOT}</url>" for number, base in enumerate(bases)
    )
    return (
        "<?xml version='1.0'?><metalink version='3.0' xmlns='http://www.metalinker.org/' "
        "xmlns:mm0='http://fedorahosted.org/mirrormanager'><files><file name='repomd.xml'>"
        f"{version(present, algorithm)}<mm0:alternates>{alternates}</mm0:alternates>"
        f"<resources maxconnections='1'><url protocol='rsync'>rsync://r.test/{ROOT}</url>{urls}</resources>"
        "</file></files></metalink>"
    ).encode()


@dataclasses.dataclass
class Listed:
    bench: mirror_bench.Bench
    a: Site
    b: Site
    lists: Site

    def sync(self, **options: str) -> outcome.SyncOutcome:
        wanted = source.RpmSource("src", options.pop("url", ""), **options)  # type: ignore[arg-type]
        return self.bench.engine.sync(self.bench.volume, wanted)


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    a, b, lists = Site(repositories.rpm_repository(PACKAGES)), Site(repositories.rpm_repository(PACKAGES)), Site()
    bench = mirror_bench.make_bench(tmp_path / "mirror", a, further={B: b, LIST: lists})
    return Listed(bench, a, b, lists)


def code_of(result: outcome.SyncOutcome) -> str:
    assert result.error is not None, result
    return result.error.code


def test_a_mirrorlist_is_read_as_dnf_reads_it() -> None:
    text = (
        b"# repo = x\n\nhttp://a.test/os\nftp://f.test/os/  https://b.test/os/ # near\nrsync://r/\nhttp://u:p@c.test/\n"
    )
    text += b"http://a.test/os/\nhttp://d.test/$basearch/?x=1\n\xff\xfe\n"
    assert address_list.parse_mirrorlist(text) == ("http://a.test/os/", "https://b.test/os/")


def test_a_metalink_is_read_by_preference_with_its_strongest_digest() -> None:
    found = address_list.parse_metalink(metalink(b"new", b"old", bases=(A, B)), what="m")
    assert found.addresses == (A, B)
    assert found.promise is not None
    assert found.promise.present == address_list.Version(
        3, fileref.Checksum("sha256", hashlib.sha256(b"new").hexdigest())
    )
    assert [one.is_of(b"old") for one in found.promise.former] == [True]
    both = metalink(b"new").replace(
        b"</verification>", b"<hash type='sha512'>" + b"ab" * 64 + b"</hash></verification>"
    )
    strongest = address_list.parse_metalink(both, what="m").promise
    assert strongest is not None
    assert strongest.present.checksum.algorithm == "sha512"


def test_a_metalink_of_rfc_5854_is_read() -> None:
    text = (
        "<metalink xmlns='urn:ietf:params:xml:ns:metalink'><file name='other.xml'><url priority='1'>http://o/x</url></file>"
        f"<file name='repomd.xml'><size>3</size><hash type='sha-256'>{hashlib.sha256(b'new').hexdigest()}</hash>"
        f"<url priority='2'>{B}{ROOT}</url><url priority='1'>{A}{ROOT}</url></file></metalink>"
    )
    found = address_list.parse_metalink(text.encode(), what="m")
    assert found.addresses == (A, B)
    assert found.promise is not None
    assert found.promise.present.is_of(b"new")


def test_a_metalink_without_strong_digest_promises_nothing() -> None:
    found = address_list.parse_metalink(metalink(b"x", algorithm="sha1"), what="m")
    assert found.promise is None
    assert "SHA-2" in found.warnings[0]


def test_of_a_long_list_the_first_are_taken() -> None:
    text = "\n".join(f"http://m{number}.test/" for number in range(100))
    assert len(address_list.parse_mirrorlist(text.encode())) == 20


def test_sync_by_mirrorlist(listed: Listed) -> None:
    listed.lists.files["m?repo=x"] = f"{A}\n{B}\n".encode()
    listed.a.always[ROOT] = Fault(status=500)
    result = listed.sync(mirrorlist="https://list.test/m?repo=x", url=B)
    assert result.state is outcome.State.SYNCED
    assert listed.a.log == []  # an address that is given comes before those of the list


def test_sync_by_metalink_and_a_no_op_of_one_request(listed: Listed) -> None:
    listed.lists.files["m"] = metalink(listed.a.files[ROOT])
    assert listed.sync(metalink=LIST + "m").state is outcome.State.SYNCED
    result = listed.sync(metalink=LIST + "m")
    assert (result.state, result.requests) == (outcome.State.UNCHANGED, 1)


def test_a_mirror_with_another_root_than_promised_is_passed_over(listed: Listed) -> None:
    listed.lists.files["m"] = metalink(listed.b.files[ROOT])
    listed.a.files = repositories.rpm_repository({"evil.rpm": b"e"}, timestamp=1_800_000_000)
    assert listed.sync(metalink=LIST + "m").state is outcome.State.SYNCED
    assert set(PACKAGES) <= set(listed.bench.published())
    listed.lists.files["m"] = metalink(b"something else")
    result = listed.sync(metalink=LIST + "m")
    assert code_of(result) == "DigestMismatch"
    assert B + ROOT in str(result.error)


def test_where_all_mirrors_lag_the_newest_listed_version_is_taken(listed: Listed) -> None:
    older, old = (repositories.rpm_repository(PACKAGES, timestamp=1_700_000_000 + age) for age in (0, 60))
    listed.a.files, listed.b.files = older, old
    listed.lists.files["m"] = metalink(b"not there yet", old[ROOT], older[ROOT])
    result = listed.sync(metalink=LIST + "m")
    assert result.state is outcome.State.SYNCED
    assert listed.bench.published()[ROOT] == old[ROOT]
    assert "lags behind" in result.warnings[0]


def test_a_promise_is_read_anew_when_the_upstream_changes_during_a_sync(listed: Listed) -> None:
    changed = repositories.rpm_repository({"n.rpm": b"n"}, timestamp=1_700_000_100)
    listed.lists.files["m"] = metalink(listed.a.files[ROOT])

    def on_request(path: str) -> None:
        if path == "p.rpm":
            listed.a.files = listed.b.files = changed
            listed.lists.files["m"] = metalink(changed[ROOT])

    listed.a.on_request = listed.b.on_request = on_request
    assert listed.sync(metalink=LIST + "m").state is outcome.State.SYNCED
    assert listed.bench.published()[ROOT] == changed[ROOT]


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"rsync://r/\n", "mirrorlist", "AddressListUnusable"),
        (b"http://a.test/\n", "mirrorlist", "AddressListUnusable"),  # https to http, and nothing proves the bytes
        (b"http://a.test/\n", "metalink", "AddressListUnusable"),
        (b"<!DOCTYPE html><html></html>", "metalink", "HtmlInsteadOfMetadata"),
        (b"<?xml version='1.0'?><metalink><files>", "metalink", "MetadataInvalid"),
        (b"<?xml version='1.0'?><other/>", "metalink", "MetadataInvalid"),
        (b"<?xml version='1.0'?><!DOCTYPE m [<!ENTITY a 'b'>]><metalink/>", "metalink", "EntityRefused"),
        (b"<metalink/>", "mirrorlist", "AddressListUnusable"),
    ],
)
def test_a_list_that_cannot_be_used(listed: Listed, content: bytes, kind: str, code: str) -> None:
    listed.lists.files["m"] = content
    assert code_of(listed.sync(**{kind: LIST + "m"})) == code


def test_an_absent_list_is_an_error_but_not_beside_an_address(listed: Listed) -> None:
    assert code_of(listed.sync(mirrorlist=LIST + "none")) == "UpstreamUnavailable"
    result = listed.sync(mirrorlist=LIST + "none", url=A)
    assert result.state is outcome.State.SYNCED
    assert "list of addresses" in result.warnings[0]


def test_two_lists_are_no_source() -> None:
    with pytest.raises(errors.CallerError, match="mirrorlist and a metalink"):
        source.RpmSource("s", "", mirrorlist=LIST, metalink=LIST)
    for url in ("ftp://h/list", "/list", "https://h/#x"):
        with pytest.raises(errors.CallerError):
            source.RpmSource("s", "", mirrorlist=url)
    with pytest.raises(errors.CallerError):
        source.RpmSource("s", "")


def test_a_hash_that_is_none_is_refused() -> None:
    text = metalink(b"x").replace(b"type='sha256'>", b"type='sha256'>zz")
    with pytest.raises(failures.MetadataInvalidError):
        address_list.parse_metalink(text, what="m")
