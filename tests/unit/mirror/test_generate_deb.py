"""Generated DEB sources: stanzas as they stand, Release and by-hash, several inputs, sources, translations."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
from collections.abc import Callable, Mapping

import pysequoia
import pytest

from stationmaster.mirror import inspection, outcome, release, source
from stationmaster.mirror.generate import filters, generator, recipe, secretkey, signing
from stationmaster.testing import generated_repositories as made
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Make = Callable[..., mirror_bench.Bench]


@pytest.fixture(scope="module")
def signer() -> signing.Signer:
    secret = str(pysequoia.Tsk.generate("t <t@example.com>", profile=pysequoia.Profile.RFC4880))
    return signing.Signer(secretkey.load_secret_key(secret.encode()))


def stanza(name: str, version: str, content: bytes, path: str = "", arch: str = "amd64") -> str:
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nX-Odd: kept\n  as it is \n"
        f"Filename: {path or f'pool/{name}_{version}_{arch}.deb'}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def archive(
    packages: Mapping[str, bytes], further: Mapping[str, bytes] | None = None, **fields: str
) -> dict[str, bytes]:
    """Suite ``stable``: packages by ``NAME_VERSION`` or ``NAME_VERSION PATH``, and further files by path."""
    stanzas, files = [], {}
    for key, content in packages.items():
        identity, _, path = key.partition(" ")
        name, version = identity.split("_")
        stanzas.append(stanza(name, version, content, path))
        files[path or f"pool/{name}_{version}_amd64.deb"] = content
    listed = {"main/binary-amd64/Packages.gz": gzip.compress("\n".join(stanzas).encode(), mtime=0), **(further or {})}
    given = {"Suite": "stable", "Components": "main", "Architectures": "amd64", **fields}
    base = "dists/stable/"
    return files | {base + path: content for path, content in listed.items()} | {
        base + "InRelease": repositories.release_text(listed, fields=given)
    }  # fmt: skip


def sync(
    bench: mirror_bench.Bench, name: str, files: dict[str, bytes], *, suites: tuple[str, ...] = ("stable",)
) -> None:
    bench.site.files = files
    flat = suites[0].endswith("/")
    wanted = source.DebSource(
        name, mirror_bench.BASE, suites, () if flat else ("main",), () if flat else ("amd64", "source")
    )
    if "dists/stable/main/source/Sources.gz" not in files and not flat:
        wanted = source.DebSource(name, mirror_bench.BASE, suites, ("main",), ("amd64",))
    assert bench.engine.sync(bench.volume, wanted).error is None


def generate(
    bench: mirror_bench.Bench, signer: signing.Signer, *inputs: str, include: tuple[str, ...] = (), newest: int = 0
) -> outcome.SyncOutcome:
    choice = recipe.Choice(include=tuple(filters.parse_filter(one) for one in include), newest=newest)
    order = recipe.Recipe(name="new", inputs=tuple(recipe.parse_input(one) for one in inputs), choice=choice)
    return generator.Generator(bench.volume.files, bench.clock).generate(bench.volume, order, signer)


def index_of(shown: Mapping[str, bytes], path: str = "dists/stable/main/binary-amd64/Packages") -> str:
    return gzip.decompress(shown[path + ".gz"]).decode()


def test_stanzas_stay_and_everything_is_listed(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site())
    until = {
        "Architectures": "all amd64 arm64",
        "Components": "main updates/main contrib",
        "Valid-Until": "Sat, 01 Jan 2050 00:00:00 UTC",
        "Signed-By": "ABC",
        "Origin": "Lab",
    }
    sync(bench, "src", archive({"a_1.9": b"1", "a_1.10": b"2", "b_1:1": b"3"}, **until))
    result = generate(bench, signer, "src", include=("a",), newest=1)
    assert (result.error, result.packages) == (None, 1)
    shown = bench.published("new")
    assert index_of(shown) == stanza("a", "1.10", b"2") + "\n"
    assert "pool/a_1.10_amd64.deb" in shown
    assert "pool/a_1.9_amd64.deb" not in shown
    plain = shown["dists/stable/Release"]
    parsed = release.parse_release(plain, what="t")
    assert parsed.is_by_hash
    assert (parsed.fields["origin"], parsed.fields["date"]) == ("Lab", "Tue, 14 Nov 2023 22:13:20 GMT")
    assert (parsed.fields["components"], parsed.fields["architectures"]) == ("main updates/main", "amd64")
    assert not {"valid-until", "signed-by"} & set(parsed.fields)
    for path, listed in parsed.files.items():
        content = shown.get(f"dists/stable/{path}", index_of(shown).encode())
        assert (len(content), hashlib.sha256(content).hexdigest()) == (listed.size, listed.checksum.value)
        if path.endswith(".gz"):
            assert shown[f"dists/stable/{path.rpartition('/')[0]}/by-hash/SHA256/{listed.checksum.value}"] == content
    certificate = pysequoia.Cert.from_bytes(signer.certificate)
    verified = pysequoia.verify(bytes=shown["dists/stable/InRelease"], store=lambda _: [certificate])
    assert verified.bytes is not None
    assert verified.bytes.replace(b"\r\n", b"\n").strip() == plain.strip()
    detached = pysequoia.Sig.from_bytes(shown["dists/stable/Release.gpg"])
    assert pysequoia.verify(bytes=plain, store=lambda _: [certificate], signature=detached).valid_sigs
    assert inspection.verify(bench.volume, bench.clock).is_whole


def test_two_archives_with_one_suite_and_one_path(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site())
    sync(bench, "one", archive({"a_1 pool/x.deb": b"1", "c_1": b"c"}))
    sync(bench, "two", archive({"b_1 pool/x.deb": b"2", "c_1": b"c"}))
    result = generate(bench, signer, "one", "two")
    assert (result.error, result.packages) == (None, 3)
    shown = bench.published("new")
    assert (shown["pool/x.deb"], shown["from/two/pool/x.deb"]) == (b"1", b"2")
    assert "Filename: from/two/pool/x.deb\n" in index_of(shown)
    assert index_of(shown).count("Package: c\n") == 1


def test_sources_and_translations_follow(make: Make, signer: signing.Signer) -> None:
    parts = {"pool/a_1.dsc": b"dsc", "pool/a_1.tar": b"tar", "pool/b_1.dsc": b"other"}

    def entry(name: str, *paths: str) -> str:
        sums = "".join(f"\n {hashlib.sha256(parts[one]).hexdigest()} {len(parts[one])} {one[5:]}" for one in paths)
        return f"Package: {name}\nVersion: 1\nDirectory: pool\nChecksums-Sha256:{sums}\n"

    sources = "\n".join([entry("a", "pool/a_1.dsc", "pool/a_1.tar"), entry("b", "pool/b_1.dsc")])
    words = "\n".join(f"Package: {name}\nDescription-md5: 0\nDescription-en: {name}\n" for name in "ab")
    further = {"main/source/Sources.gz": sources, "main/i18n/Translation-en.gz": words, "main/Contents-amd64.gz": "x"}
    packed = {path: gzip.compress(text.encode(), mtime=0) for path, text in further.items()}
    bench = make(simulated_upstream.Site())
    sync(bench, "src", {**archive({"a_1": b"1", "b_1": b"2"}, packed), **parts})
    result = generate(bench, signer, "src", include=("a",))
    assert result.error is None
    assert result.warnings == ("Contents is left out: they tell of packages that are not kept.",)
    shown = bench.published("new")
    assert index_of(shown, "dists/stable/main/source/Sources") == entry("a", "pool/a_1.dsc", "pool/a_1.tar") + "\n"
    assert {path for path in shown if path.startswith("pool/")} == {
        "pool/a_1_amd64.deb", "pool/a_1.dsc", "pool/a_1.tar",
    }  # fmt: skip
    assert "Package: b" not in index_of(shown, "dists/stable/main/i18n/Translation-en")


def test_a_flat_repository(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site())
    index = (stanza("a", "1", b"1", "./a.deb") + "\n" + stanza("b", "1", b"2", "./b.deb")).encode()
    files = {"Packages": index, "Release": repositories.release_text({"Packages": index}), "a.deb": b"1", "b.deb": b"2"}
    sync(bench, "src", files, suites=("./",))
    result = generate(bench, signer, "src", include=("b",))
    assert (result.error, result.packages) == (None, 1)
    shown = bench.published("new")
    assert index_of(shown, "Packages") == stanza("b", "1", b"2", "./b.deb") + "\n"
    assert shown["b.deb"] == b"2"
    copy = make(simulated_upstream.Site(), "copy")
    sync(copy, "new", shown, suites=("./",))
    assert copy.volume.generation("new", result.generation or "").is_dir()


def test_formats_do_not_mix(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site())
    sync(bench, "deb", archive({"a_1": b"1"}))
    bench.site.files = made.repository([made.Rpm("a")])
    bench.sync("rpm")
    result = generate(bench, signer, "deb", "rpm")
    assert result.error is not None
    assert "together" in result.error.message


def test_memory_holds_a_package_not_the_metadata(make: Make, signer: signing.Signer) -> None:
    packages = [made.Rpm("p", str(number)) for number in range(400)]
    files = "".join(f"<file>/usr/{number * 'x'}</file>" for number in range(3990, 4006))
    inner = "".join(
        f'<package pkgid="{one.digest}" name="p" arch="x86_64"><version ver="1"/>{files}</package>\n'
        for one in packages
    )
    whole = f'<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="400">{inner}</filelists>'
    assert len(whole) > 25_000_000
    bench = make(simulated_upstream.Site(made.repository(packages, further={"filelists": whole.encode()})))
    bench.sync()
    tracemalloc.start()
    try:
        assert generate(bench, signer, "src").error is None
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()
