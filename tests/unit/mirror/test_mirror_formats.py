from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.mirror import debindex, failures, fileref, release, repomd, source, unpack
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

SHA = "a" * 64


def blocks(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


_NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"), min_size=1, max_size=20)


@given(st.dictionaries(_NAMES.map(lambda name: f"x/p{name}"), st.binary(max_size=9), max_size=6), st.integers(1, 99))
def test_primary_names_each_package_in_whatever_blocks_it_comes(packages: dict[str, bytes], size: int) -> None:
    content = repositories.primary_xml(packages)
    found = list(repomd.parse_primary(blocks(content, size), what="primary"))
    named = {ref.path: (ref.size, ref.checksum.value) for ref in found if ref.kind is fileref.Kind.PACKAGE}
    assert named == {path: (len(body), hashlib.sha256(body).hexdigest()) for path, body in packages.items()}


def test_a_path_that_is_url_encoded_is_held_under_both_spellings() -> None:
    found = list(repomd.parse_primary([repositories.primary_xml({"g/gtk%2B.rpm": b"x"})], what="primary"))
    assert [(ref.path, ref.kind.value) for ref in found] == [("g/gtk%2B.rpm", "p"), ("g/gtk+.rpm", "f")]


@pytest.mark.parametrize("href", ["../../etc/x", "%2e%2e/x", "/x", "x/"])
def test_primary_that_leaves_the_tree_is_refused(href: str) -> None:
    with pytest.raises(failures.UnsafePathError):
        list(repomd.parse_primary([repositories.primary_xml({href: b""})], what="primary"))


@pytest.mark.parametrize(
    "head",
    ['<!DOCTYPE x [<!ENTITY a "b">]>', '<!DOCTYPE x SYSTEM "http://evil/">', "<!DOCTYPE x [<!ENTITY % p 'x'> %p;]>"],
)
def test_entities_are_refused(head: str) -> None:
    with pytest.raises(failures.EntityRefusedError):
        repomd.parse_repomd(f'<?xml version="1.0"?>{head}<repomd/>'.encode())


@pytest.mark.parametrize("content", [b"", b"<repomd>", b"<other/>", b"\x00", b"<a></b>"])
def test_what_is_no_repomd_is_refused(content: bytes) -> None:
    with pytest.raises(failures.MetadataInvalidError):
        repomd.parse_repomd(content)


def test_repomd_time_is_the_newest_plausible() -> None:
    text = b"<repomd><revision>7</revision><data type='x'><timestamp>1600000000</timestamp></data></repomd>"
    assert repomd.parse_repomd(text).timestamp == 1_600_000_000
    assert repomd.parse_repomd(b"<repomd><revision>el9-beta</revision></repomd>").timestamp == 0


@pytest.mark.parametrize("base", ["media://1#2", "ftp://o/", "file:///", "sub/", "http://u:secret@o/", "http://o/?q"])
def test_xml_base_must_be_a_web_address(base: str) -> None:
    text = f"<repomd><data type='x'><location xml:base='{base}' href='a'/></data></repomd>"
    with pytest.raises(failures.MetadataInvalidError) as caught:
        repomd.parse_repomd(text.encode())
    assert caught.value.code == "ForeignLocation"
    assert "secret" not in str(caught.value)


def test_deltas_are_read() -> None:
    text = (
        "<prestodelta><newpackage><delta><filename>drpms/a.drpm</filename><sequence>x</sequence><size>5</size>"
        f"<checksum type='sha256'>{SHA}</checksum></delta></newpackage></prestodelta>"
    )
    (ref,) = repomd.parse_deltas([text.encode()], what="prestodelta")
    assert (ref.path, ref.size, ref.checksum.value, ref.kind.value) == ("drpms/a.drpm", 5, SHA, "f")


@given(st.dictionaries(_NAMES.filter(lambda n: n == n.strip()), st.binary(max_size=9), max_size=5), st.integers(1, 70))
def test_packages_index_in_whatever_blocks(packages: dict[str, bytes], size: int) -> None:
    packages = {f"pool/p{name}.deb": body for name, body in packages.items()}
    found = debindex.parse_packages(blocks(repositories.packages_text(packages), size), what="Packages")
    named = {ref.path: (ref.size, ref.checksum.value) for ref in found}
    assert named == {path: (len(body), hashlib.sha256(body).hexdigest()) for path, body in packages.items()}


def test_md5_alone_is_refused_in_packages() -> None:
    with pytest.raises(failures.WeakDigestError):
        list(debindex.parse_packages([b"Filename: a\nSize: 1\nMD5sum: 0\n"], what="Packages"))


def test_sources_name_every_part() -> None:
    text = (
        f"Package: h\nDirectory: pool/h\nFiles:\n 0 1 h.dsc\nChecksums-Sha256:\n {SHA} 1 h.dsc\n {SHA} 2 h.tar.gz\n\n"
        f"Package: i\nChecksums-Sha256:\n {SHA} 3 i.dsc\nDirectory: .\n"
    )
    found = list(debindex.parse_sources([text.encode()], what="Sources"))
    assert [(ref.path, ref.size, ref.kind.value) for ref in found] == [
        ("pool/h/h.dsc", 1, "p"), ("pool/h/h.tar.gz", 2, "f"), ("i.dsc", 3, "p"),
    ]  # fmt: skip


LISTED = [
    "Contents-amd64.gz", "main/Contents-amd64.gz", "main/Contents-armhf.gz", "main/binary-all/Packages.xz",
    "main/binary-amd64/Packages", "main/binary-amd64/Packages.xz", "main/binary-amd64/Release",
    "main/binary-armhf/Packages.xz", "main/source/Sources.xz", "main/i18n/Translation-en.bz2",
    "main/dep11/Components-amd64.yml.xz", "main/dep11/Components-armhf.yml.xz", "main/dep11/icons-64x64.tar.gz",
    "main/cnf/Commands-amd64.xz", "main/debian-installer/binary-amd64/Packages.xz", "contrib/binary-amd64/Packages.xz",
    "main/binary-amd64/Packages.diff/Index",
]  # fmt: skip


def select(components: tuple[str, ...], architectures: tuple[str, ...]) -> set[str]:
    fields = {"Architectures": "all amd64 armhf", "Components": "main contrib"}
    text = repositories.release_text(dict.fromkeys(LISTED, b""), fields=fields)
    listed = release.parse_release(text, what="Release")
    wanted = source.DebSource("s", "http://h/", ("x",), components, architectures)
    return set(debindex.wanted_indexes(listed, wanted, "x"))


def test_selection_of_an_architecture_takes_what_belongs_to_it() -> None:
    assert select(("main",), ("amd64",)) == {
        "Contents-amd64.gz", "main/Contents-amd64.gz", "main/binary-all/Packages.xz", "main/binary-amd64/Packages",
        "main/binary-amd64/Packages.xz", "main/binary-amd64/Release", "main/i18n/Translation-en.bz2",
        "main/dep11/Components-amd64.yml.xz", "main/dep11/icons-64x64.tar.gz", "main/cnf/Commands-amd64.xz",
    }  # fmt: skip


def test_selection_of_sources_and_installer() -> None:
    found = select(("main", "main/debian-installer"), ("amd64", "source"))
    assert {"main/source/Sources.xz", "main/debian-installer/binary-amd64/Packages.xz"} <= found


@pytest.mark.parametrize(("components", "names"), [(("main", "nope"), ("amd64",)), (("main",), ("amd64", "riscv64"))])
def test_a_selection_that_does_not_exist_is_told(components: tuple[str, ...], names: tuple[str, ...]) -> None:
    with pytest.raises(failures.MetadataInvalidError, match=r"nope|riscv64") as caught:
        select(components, names)
    assert caught.value.code == "SelectionMissing"


def test_release_without_sha256_is_refused() -> None:
    with pytest.raises(failures.WeakDigestError):
        release.parse_release(b"Date: Tue, 14 Nov 2023 22:13:20 UTC\nMD5Sum:\n 00 1 Packages\n", what="Release")


@pytest.mark.parametrize(
    "text", [b"<html>", b"", b"\xff\xfe", b" x: y\n", b"Date: never\n", b"SHA256:\n zz Packages\n"]
)
def test_what_is_no_release_is_refused(text: bytes) -> None:
    with pytest.raises(failures.MetadataInvalidError):
        release.parse_release(text, what="Release")


def test_a_cleartext_document_is_unwrapped() -> None:
    begin, end = b"-----BEGIN PGP SIGNED MESSAGE-----\n", b"-----END PGP SIGNATURE-----\n"
    signed = begin + b"Hash: SHA512\n\nA: b\n- -x\n-----BEGIN PGP SIGNATURE-----\n\nzz\n" + end
    assert release.unsigned_text(signed) == b"A: b\n-x"
    assert release.unsigned_text(signed.replace(b"\n", b"\r\n")) == b"A: b\n-x"
    assert release.unsigned_text(b"A: b\n") == b"A: b\n"
    for spoilt in (
        signed + b"C: d\n",
        signed + signed,
        signed.replace(end, b""),
        signed.replace(b"Hash: SHA512", b"C: d"),
        signed.replace(b"- -x", b"-x"),
        signed.replace(begin, begin.strip() + b" x\n"),
    ):
        with pytest.raises(failures.SignatureInvalidError, match="first to its last line"):
            release.unsigned_text(spoilt)


def test_valid_until() -> None:
    text = repositories.release_text({"x": b""}, fields={"Valid-Until": "Tue, 21 Nov 2023 22:13:20 UTC"})
    parsed = release.parse_release(text, what="Release")
    release.require_current(parsed, datetime.datetime(2023, 11, 21, tzinfo=datetime.UTC), what="Release")
    with pytest.raises(failures.ReleaseExpiredError, match="2023-11-21 22:13"):
        release.require_current(parsed, datetime.datetime(2023, 11, 22, tzinfo=datetime.UTC), what="Release")


@pytest.mark.parametrize("suffix", list(repositories.PACK))
def test_every_compression_is_known_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    content = b"line\n" * 50_000
    (tmp_path / "index").write_bytes(repositories.PACK[suffix](content))
    assert b"".join(unpack.unpacked_blocks(tmp_path / "index")) == content


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_bomb_is_found_while_it_unpacks(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "index").write_bytes(repositories.PACK[suffix](bytes(70 << 20)))
    with pytest.raises(failures.MetadataTooLargeError):
        for _ in unpack.unpacked_blocks(tmp_path / "index"):
            pass


def test_more_than_the_stated_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(repositories.PACK[".gz"](b"x" * 1001))
    with pytest.raises(failures.MetadataTooLargeError, match="1000"):
        list(unpack.unpacked_blocks(tmp_path / "index", stated_size=1000))


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_a_cut_file_is_invalid(tmp_path: Path, suffix: str) -> None:
    packed = repositories.PACK[suffix](bytes(range(256)) * 4000)
    (tmp_path / "index").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(failures.MetadataInvalidError):
        list(unpack.unpacked_blocks(tmp_path / "index"))


def test_an_empty_repository_and_one_package_named_twice(make: Callable[..., mirror_bench.Bench]) -> None:
    bench = make(simulated_upstream.Site(repositories.rpm_repository({})))
    assert bench.sync().error is None
    assert bench.published() == bench.site.files
    twice = {"a/p.rpm": b"same", "b/p.rpm": b"same", "c/p.rpm": b"other"}
    primary = repositories.primary_xml(twice).replace(b"<name>p1</name>", b"<name>p0</name>")
    again = primary.replace(b"</metadata>", primary[primary.index(b"<package") :])
    bench.site.files = repositories.rpm_repository(twice, timestamp=1_700_000_001, primary=again)
    result = bench.sync()
    assert result.error is None
    assert result.packages == 3
    assert bench.published().items() >= bench.site.files.items()
