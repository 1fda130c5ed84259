from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, manifest

_PATHS = st.text("ab/é-", min_size=1, max_size=4)
_TREES = st.dictionaries(_PATHS, st.sampled_from(["1", "2", "3"]), max_size=12)


def entries(tree: dict[str, str]) -> list[manifest.Entry]:
    return [manifest.Entry(path, 1, digest, "p") for path, digest in sorted(tree.items())]


@given(_TREES, _TREES)
def test_pairs_name_each_path_once_with_both_sides(former: dict[str, str], present: dict[str, str]) -> None:
    pairs = list(manifest.paired(entries(former), entries(present)))
    found = {(old or new).p: (old and old.d, new and new.d) for old, new in pairs}  # type: ignore[union-attr]
    assert found == {path: (former.get(path), present.get(path)) for path in {*former, *present}}
    assert len(pairs) == len(found)


def test_runs_are_merged_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_RUN_LENGTH", 7)
    wanted = [manifest.Entry(f"{number:03}", 1, "d", "p") for number in range(60)]
    found = list(manifest.sorted_entries(host_files.Files(), [*reversed(wanted), *wanted[:9]], tmp_path / "run"))
    assert found == wanted
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_two_contents_is_a_contradiction(tmp_path: Path) -> None:
    one, other = manifest.Entry("a", 1, "1", "p"), manifest.Entry("a", 1, "2", "p")
    with pytest.raises(failures.MetadataInvalidError, match="twice"):
        list(manifest.sorted_entries(host_files.Files(), [one, other], tmp_path / "run"))


@pytest.mark.parametrize("order", [1, -1])
def test_a_package_that_is_also_a_second_spelling_counts_once(tmp_path: Path, order: int) -> None:
    both = [manifest.Entry("a", 1, "1", "f"), manifest.Entry("a", 1, "1", "p")][::order]
    found = list(manifest.sorted_entries(host_files.Files(), both, tmp_path / "run"))
    assert len(found) == 1


def test_what_is_written_is_read(tmp_path: Path) -> None:
    header = manifest.Header(
        format_version=1, source="s", generation="g", format="rpm", timestamp=5, roots=("r",), tops=("t",),
        packages=1, unique_packages=1, files=1, bytes=3,
    )  # fmt: skip
    wanted = [manifest.Entry('ü/"x', 3, "d", "p", "sha512:1")]
    manifest.write_lines(host_files.Files(), tmp_path / "m", header, wanted)
    assert manifest.read_header(tmp_path / "m") == header
    assert list(manifest.read_entries(tmp_path / "m")) == wanted


def test_a_cut_manifest_is_damaged_not_shorter(tmp_path: Path) -> None:
    manifest.write_lines(host_files.Files(), tmp_path / "m", None, [manifest.Entry("a", 1, "d", "p")] * 2)
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes()[:-9])
    with pytest.raises(failures.ManifestDamagedError):
        list(manifest.read_plain(tmp_path / "m"))
