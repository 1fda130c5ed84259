"""What a choice keeps: the rules of selection, and the restriction of modules, groups and advisories, as properties."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.mirror import failures
from stationmaster.mirror.generate import (
    advisories,
    comps,
    filters,
    modules,
    packages,
    recipe,
    selection,
    xmlparts,
)
from stationmaster.model import errors
from stationmaster.testing import generated_repositories as made


def package(
    name: str, version: str = "1", arch: str = "x86_64", source: int = 0, release: str = "1"
) -> packages.Package:
    checksum = f"sha256:{hash((name, version, arch, release)) % 10**10:064d}"
    return packages.Package(source, name, "0", version, release, arch, checksum, f"{name}-{version}.rpm")


def stream(number: int, name: str, of: Sequence[packages.Package], version: int = 1) -> selection.Stream:
    module, _, word = name.partition(":")
    names = frozenset(one.name for one in of[:1])
    return selection.Stream(number, module, word, version, name, tuple(one.identity for one in of), {"few": names})


def chosen(
    offered: Sequence[packages.Package],
    streams: Sequence[selection.Stream] = (),
    groups: Mapping[str, frozenset[str]] | None = None,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    newest: int = 0,
    listed: Sequence[str] | None = None,
    architectures: Sequence[str] = (),
) -> tuple[set[str], selection.Selection]:
    choice = recipe.Choice(
        include=tuple(filters.parse_filter(text) for text in include),
        exclude=tuple(filters.parse_filter(text) for text in exclude),
        newest=newest,
        listed=None if listed is None else tuple(listed),
        architectures=tuple(architectures),
    )
    found = selection.select(offered, streams, groups or {}, choice)
    return {f"{offered[index].name}-{offered[index].version}" for index in found.kept}, found


PLAIN = [package("bash", "5.1"), package("bash", "5.2"), package("kernel", "6.1"), package("kernel-devel", "6.1"),
         package("tool", "1", "noarch"), package("lib", "1", "i686")]  # fmt: skip


@pytest.mark.parametrize(
    ("include", "exclude", "kept"),
    [
        ([], [], {"bash-5.1", "bash-5.2", "kernel-6.1", "kernel-devel-6.1", "tool-1", "lib-1"}),
        (["kernel*"], [], {"kernel-6.1", "kernel-devel-6.1"}),
        (["kernel*", "bash"], ["kernel-devel"], {"kernel-6.1", "bash-5.1", "bash-5.2"}),
        (["bash >= 5.2"], [], {"bash-5.2"}),
        (["bash > 5.1 <= 5.2", "lib.i686"], [], {"bash-5.2", "lib-1"}),
        (["bash != 5.1"], [], {"bash-5.2"}),
        (["bash = 5.1-1"], [], {"bash-5.1"}),
        (["bash = 5.1-2"], [], set()),
        (["group:shells"], [], {"bash-5.1", "bash-5.2"}),
        ([], ["*.x86_64"], {"tool-1", "lib-1"}),
    ],
)
def test_filters(include: list[str], exclude: list[str], kept: set[str]) -> None:
    assert chosen(PLAIN, groups={"shells": frozenset({"bash"})}, include=include, exclude=exclude)[0] == kept


@pytest.mark.parametrize("text", ["", "a b", "group:", "module:", ">= 1", "bash >=", "module:a:b:c", "a = 1 b"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(errors.CallerError):
        filters.parse_filter(text)


@pytest.mark.parametrize(
    "text", ["kernel*", "bash >= 5.1 < 6", "module:a", "module:a:1", "module:a:1/p", "group:core", "lib:amd64"]
)
def test_a_filter_reads_as_it_was_written(text: str) -> None:
    assert str(filters.parse_filter(text)) == text


def test_what_matches_nothing_is_named() -> None:
    _, found = chosen(
        PLAIN, include=["absent", "bash", "group:g", "module:m"], exclude=["kernel"], architectures=["s390"]
    )
    assert found.warnings == (
        "No package is of the architecture s390.",
        "The include filter 'absent' matches nothing.",
        "The include filter 'bash' matches nothing.",
        "The include filter 'group:g' matches nothing.",
        "The include filter 'module:m' matches nothing.",
        "The exclude filter 'kernel' matches nothing.",
    )


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("bash", {"bash-5.1", "bash-5.2"}), ("bash-5.1", {"bash-5.1"}), ("bash-5.1-1.x86_64", {"bash-5.1"}),
        ("bash-0:5.1-1.x86_64", {"bash-5.1"}), ("bash.x86_64", {"bash-5.1", "bash-5.2"}), ("bas*", set()),
    ],
)  # fmt: skip
def test_lines_of_a_package_list(line: str, kept: set[str]) -> None:
    names, found = chosen(PLAIN, listed=[line])
    assert names == kept
    assert bool(found.warnings) == (not kept)


def test_architectures_keep_what_fits_all_of_them() -> None:
    assert chosen(PLAIN, architectures=["i686"])[0] == {"tool-1", "lib-1"}


def test_newest_counts_per_name_and_architecture() -> None:
    offered = [package("a", version) for version in ("1.9", "1.10", "1.2")] + [package("a", "1.1", "i686")]
    assert chosen(offered, newest=1)[0] == {"a-1.10", "a-1.1"}
    assert chosen(offered, newest=2)[0] == {"a-1.10", "a-1.9", "a-1.1"}


def test_versions_of_a_stream_are_kept_whole() -> None:
    old, new = [package("db", "1"), package("dblib", "1")], [package("db", "2"), package("dblib", "1")]
    other = [package("db", "9")]
    streams = [stream(0, "db:a", old, 1), stream(1, "db:a", new, 2), stream(2, "db:b", other, 1)]
    names, found = chosen([old[0], old[1], new[0], other[0]], streams, newest=1)
    assert names == {"db-2", "dblib-1", "db-9"}  # dblib-1 is in both versions
    assert found.streams == {1, 2}


def test_a_module_filter_takes_streams_and_profiles() -> None:
    one, two = [package("db", "1"), package("dblib", "1")], [package("db", "2")]
    streams = [stream(0, "db:a", one), stream(1, "db:b", two)]
    offered = [*one, *two, package("bash")]
    assert chosen(offered, streams, include=["module:db"])[0] == {"db-1", "dblib-1", "db-2"}
    assert chosen(offered, streams, include=["module:db:a"])[0] == {"db-1", "dblib-1"}
    assert chosen(offered, streams, include=["module:db:a/few"])[0] == {"db-1"}
    assert chosen(offered, streams, exclude=["module:db:a"])[0] == {"db-2", "bash-1"}


def test_the_first_input_wins_and_a_difference_is_told() -> None:
    offered = [package("a"), package("b"), package("a", source=1), package("c", source=1)]
    differing = packages.Package(1, "b", "0", "1", "1", "x86_64", "sha256:" + 64 * "0", "b.rpm")
    names, found = chosen([*offered, differing])
    assert names == {"a-1", "b-1", "c-1"}
    assert [offered[index].input for index in found.kept] == [0, 0, 1]
    assert "b-0:1-1.x86_64" in found.warnings[0]


def test_a_manifest_is_by_name_and_digest() -> None:
    lines = ((PLAIN[0].identity, PLAIN[0].checksum), (PLAIN[1].identity, PLAIN[0].checksum))
    found = selection.select(PLAIN, (), {}, recipe.Choice(manifest=lines))
    assert found.kept == (0,)
    assert found.missing == (f"{PLAIN[1].identity}@{PLAIN[0].checksum}",)


names = st.sampled_from(["a", "b", "c"])
rpms = st.builds(package, names, st.sampled_from(["1", "2", "3"]), st.sampled_from(["x86_64", "i686"]))
worlds = st.lists(rpms, max_size=12, unique_by=lambda one: one.identity)


@given(worlds, st.data(), st.integers(0, 2))
def test_a_modular_package_is_kept_with_a_stream_that_lists_it_or_not_at_all(
    offered: list[packages.Package], data: st.DataObject, newest: int
) -> None:
    parts = data.draw(st.lists(st.lists(st.sampled_from(offered), unique_by=id), max_size=4)) if offered else []
    streams = [stream(number, f"m:{number % 2}", of, number) for number, of in enumerate(parts)]
    include = data.draw(st.lists(st.sampled_from(["a", "b >= 2", "module:m:0", "module:m:1/few"]), max_size=2))
    _, found = chosen(offered, streams, include=include, newest=newest)
    kept = {offered[index].identity for index in found.kept}
    modular = {artifact for one in streams for artifact in one.artifacts}
    held = {artifact for one in streams if one.number in found.streams for artifact in one.artifacts}
    assert kept & modular <= held
    for number in found.streams:
        assert kept.intersection(streams[number].artifacts)
    again = selection.select(offered, streams, {}, recipe.Choice())
    assert set(found.kept) <= set(again.kept)


@given(st.lists(st.tuples(names, st.sampled_from("123")), max_size=6, unique=True), st.sets(st.sampled_from("123")))
def test_a_stream_document_lists_what_is_kept_and_nothing_else(of: list[tuple[str, str]], versions: set[str]) -> None:
    rpms = [made.Rpm(name, version) for name, version in of]
    text = made.stream_document(made.Stream("m", "1.10", rpms))
    kept = {one.nevra for one in rpms if one.version in versions}
    left = modules.restrict_stream(text, kept.__contains__, what="t")
    read = modules.read_document(0, left, what="t")
    assert read.stream is not None
    assert (read.module, read.stream_name) == ("m", "1.10")
    assert "1.1\n" not in left
    assert list(read.stream.artifacts) == [one.nevra for one in rpms if one.nevra in kept]
    assert read.stream.profiles["common"] == {one.name for one in rpms if one.nevra in kept}


def test_old_documents_without_epoch_and_source_packages() -> None:
    text = (
        "document: modulemd\nversion: 1\ndata:\n  name: m\n  stream: s\n  version: 20180\n  api:\n    rpms: [a, z]\n"
        "  artifacts:\n    rpms: [a-1-1.x86_64, b-2-1.x86_64, a-1-1.src]\n"
        "    rpm-map: {sha256: {d: {nevra: b-0:2-1.x86_64}}}\n"
    )
    kept = {"a-0:1-1.x86_64"}
    read = modules.read_document(3, text, what="t")
    assert read.stream is not None
    assert (read.stream.version, read.stream.artifacts[0]) == (20180, "a-0:1-1.x86_64")
    left = modules.restrict_stream(text, kept.__contains__, what="t")
    assert "b-" not in left
    assert "a-1-1.src" in left
    assert "[a, z]" in left


@pytest.mark.parametrize(
    ("kept", "expected"),
    [({"1", "2"}, "same"), ({"1"}, "1"), ({"2"}, "no default"), (set(), None)],
)
def test_defaults_follow_their_streams(kept: set[str], expected: str | None) -> None:
    text = "document: modulemd-defaults\ndata:\n  module: m\n  stream: '1'\n  profiles:\n    1: [c]\n    2: [c]\n"
    left = modules.restrict_defaults(text, frozenset(kept), what="t")
    if expected is None:
        assert left is None
        return
    assert left is not None
    assert (left == text) == (expected == "same")
    assert ("stream: '1'" in left) == ("1" in kept)
    assert ("2: [c]" in left) == ("2" in kept)


def test_module_documents_are_told_apart() -> None:
    blocks = [b"---\ndocument: a\n...\n--- ", b"\ndocument: b\n# c\n---\ndocu", b"ment: c\n---\n# nothing\n...\n"]
    texts = list(modules.split_documents(blocks, what="t"))
    assert [modules.read_document(0, text, what="t").kind for text in texts] == ["a", "b", "c"]
    with pytest.raises(failures.MetadataInvalidError, match="modular"):
        modules.read_document(0, "a: [", what="t")


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 200_000 + "x", "{a: " * 50_000, "? " * 99_999 + "x"])
def test_a_document_without_bottom_is_refused(text: str) -> None:
    with pytest.raises(errors.UpstreamError):  # it would end the process, not raise, were it composed
        modules.read_document(0, text, what="t")


def test_many_brackets_are_no_depth() -> None:
    text = "document: modulemd\ndata: {name: m, stream: '1', x: [" + "[], " * 3000 + "]}\n"
    assert modules.read_document(0, text, what="t").module == "m"


@given(st.binary(max_size=80) | st.sampled_from([b"<a>", b"</a>", b"<package>", b"document: modulemd\ndata: ["]))
def test_nonsense_is_an_error_of_the_upstream(content: bytes) -> None:
    def read() -> None:
        for part in xmlparts.read_parts([content], "package", what="t", texts=["name"]):
            advisories.restrict_advisory(part.raw, bool, what="t")

    def groups() -> None:
        comps.read_groups(content, what="t")
        comps.restrict([content], frozenset("a"), what="t")

    def documents() -> None:
        for text in modules.split_documents([content], what="t"):
            modules.read_document(0, text, what="t")
            modules.restrict_stream(text, bool, what="t")
            modules.restrict_defaults(text, frozenset("a"), what="t")

    for parse in (read, groups, documents):
        with contextlib.suppress(errors.UpstreamError):
            parse()


@given(st.dictionaries(st.sampled_from("xyz"), st.lists(names, max_size=3)), st.sets(names))
def test_groups_list_what_is_kept_and_nothing_else(groups: dict[str, list[str]], kept: set[str]) -> None:
    content = made.comps_xml(groups)
    expected = {name: kept.intersection(members) for name, members in groups.items() if kept.intersection(members)}
    left = comps.restrict([content], frozenset(kept), what="t")
    if left is None:
        assert not expected
        return
    assert {name: set(found) for name, found in comps.read_groups(left, what="t").items()} == expected
    assert set(re.findall(rb"<groupid>(.)</groupid>", left)) == {name.encode() for name in expected}


def test_a_group_of_two_inputs_has_the_members_of_both() -> None:
    left = comps.restrict(
        [made.comps_xml({"g": ["a", "z"]}), made.comps_xml({"g": ["b", "a"]})], frozenset("ab"), what="t"
    )
    assert left is not None
    assert comps.read_groups(left, what="t") == {"g": frozenset("ab")}
    assert left.count(b"<packagereq") == 2


@given(st.lists(st.tuples(names, st.sampled_from("12")), max_size=5, unique=True), st.sets(st.sampled_from("12")))
def test_an_advisory_lists_what_is_kept_or_goes(of: list[tuple[str, str]], versions: set[str]) -> None:
    rpms = [made.Rpm(name, version) for name, version in of]
    (part,) = xmlparts.read_parts([made.updateinfo_xml({"ADV": rpms})], "update", what="t")
    kept = {one.nevra for one in rpms if one.version in versions}
    left = advisories.restrict_advisory(part.raw, kept.__contains__, what="t")
    assert (left is None) == (not kept)
    if left is not None:
        found = [f'name="{one.name}" epoch="0" version="{one.version}"'.encode() in left for one in rpms]
        assert found == [one.nevra in kept for one in rpms]
        assert (left == part.raw) == (len(kept) == len(rpms))


@given(st.lists(st.text("ab<&>é\n -\"'", max_size=12), min_size=1, max_size=5), st.integers(1, 40))
def test_parts_are_the_bytes_between_their_tags(texts: list[str], size: int) -> None:
    from xml.sax import saxutils

    raws = [f'<package n="1"><d>{saxutils.escape(text)}</d><!-- <package> --></package>'.encode() for text in texts]
    whole = b'<?xml version="1.0"?>\n<m>\n' + b"\n  ".join(raws) + b"\n</m>\n"
    blocks = [whole[place : place + size] for place in range(0, len(whole), size)]
    found = list(xmlparts.read_parts(blocks, "package", what="t", texts=["d"]))
    assert [one.raw for one in found] == raws
    assert [one.texts["d"] for one in found] == [text.strip() for text in texts]


@pytest.mark.parametrize(
    "content",
    [
        b"<m><package>a<package>b</package></package></m>", b"<m><package/></m>", b"<m><package></package>x</m>",
        b"<m><package></package><other/><package></package></m>", b"<m><package></m>", b"<m>",
        b"<m><package><![CDATA[</package>]]></package><package><![CDATA[ </package>",
        '<?xml version="1.0" encoding="UTF-16"?><m/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="latin-1"?><m><package>\xe9</package></m>',
    ],
)  # fmt: skip
def test_what_cannot_be_cut_safely_is_refused(content: bytes) -> None:
    with pytest.raises(failures.MetadataInvalidError):
        list(xmlparts.read_parts([content], "package", what="t"))


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><m><package>&b;</package></m>'
    with pytest.raises(failures.EntityRefusedError):
        list(xmlparts.read_parts([bomb], "package", what="t"))
    with pytest.raises(failures.EntityRefusedError):
        xmlparts.read_tree(bomb, what="t")


@pytest.mark.parametrize(
    "raw",
    [b"<a/>", b"<a><b/></a>", b'<a><b x="/>"></b>/></a>', b"<a><b>t</b ><c /></a>", b"<a><b>/></b><c><d/></c></a>"],
)
def test_elements_know_where_they_stand(raw: bytes) -> None:
    root = xmlparts.read_tree(raw, what="t")
    assert (root.begin, root.end) == (0, len(raw))
    for node in root.children:
        part = raw[node.begin : node.end]
        assert xmlparts.read_tree(part, what="t").name == node.name
    assert xmlparts.read_tree(xmlparts.without(raw, root.children), what="t").children == []
