"""Seeds: metadata of repositories that the real programs made (where they are installed), and signed text."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
from pathlib import Path

from stationmaster.testing import fuzz_seeds

_INPUTS = Path(__file__).with_name("inputs")  # what was found before, and text signed by a key that nobody has

_SPEC = """\
Name: lab-c++
Version: 1.0~rc1^git2
Release: 1
Epoch: 2
Summary: A <package> & more
License: MIT
BuildArch: noarch
Requires: lab >= 1
%description
Nothing.
%files
%changelog
* Thu Jan 01 2026 T <t@example.com> - 1
- First
"""
DICTIONARY = r"""
"<!DOCTYPE a [<!ENTITY a \"b\">]>"
"&a;"
"&#x9b;"
"xml:base="
"xmlns:a=\"b\""
"<package type=\"rpm\">"
"<location href=\""
"<checksum type=\"sha256\">"
"<size package=\""
"<open-size>"
"<data type=\"primary\">"
"</data>"
"../"
"//h/"
"%2e%2e%2f"
"\\"
"-1"
"99999999999999999999"
"1e999"
"nan"
"\xd9\xa1"
"\xc2\xb2"
"\xed\xa0\x80"
"\x0d\x0a"
"\x0a\x0a"
"\x0a "
"Filename: "
"Directory: "
"Checksums-Sha256:\x0a "
"SHA256:\x0a "
"Valid-Until: "
"Date: "
"Acquire-By-Hash: yes"
"-----BEGIN PGP SIGNED MESSAGE-----\x0a"
"-----BEGIN PGP SIGNATURE-----\x0a"
"-----END PGP SIGNATURE-----\x0a"
"Hash: SHA1\x0a"
"- "
"Transfer-Encoding: chunked"
"Content-Length: "
"HTTP/1.1 100 Continue\x0d\x0a\x0d\x0a"
"fffffff\x0d\x0a"
"0\x0d\x0a\x0d\x0a"
"http://["
"\x1f\x8b\x08\x00"
"\xfd7zXZ\x00"
"BZh9"
"\x28\xb5\x2f\xfd"
"\x00ZCK1"
"{\"p\":\"a\",\"s\":1,\"d\":\"\",\"k\":\"p\"}"
"""


def make_seeds(corpus: Path) -> Path:
    """Write seeds below ``corpus``, one directory a target, and the dictionary; returns the key's path."""
    seeds = fuzz_seeds.plain_seeds()
    for target, made in _real().items():
        seeds[target] += made
    for target, contents in seeds.items():
        directory = corpus / target
        directory.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (directory / f"seed-{number}").write_bytes(content)
        for path in (_INPUTS / target).glob("*"):
            shutil.copyfile(path, directory / path.name)
    (corpus / "dictionary").write_text(DICTIONARY.strip() + "\n")
    return _INPUTS / "key.asc"


def _real() -> dict[str, list[bytes]]:
    """What createrepo_c and apt-ftparchive make of packages that rpmbuild and dpkg-deb built."""
    found: dict[str, list[bytes]] = {}
    with tempfile.TemporaryDirectory(prefix="sm-fuzz-") as name:
        work = Path(name)
        if all(shutil.which(program) for program in ("rpmbuild", "createrepo_c")):
            (work / "lab.spec").write_text(_SPEC)
            _run(work, "rpmbuild", "-bb", "--define", f"_topdir {work}", "lab.spec")
            _run(work, "createrepo_c", "-q", "--no-database", "RPMS")
            repodata = work / "RPMS/repodata"
            found["repomd"] = [(repodata / "repomd.xml").read_bytes()]
            packed = {kind: next(repodata.glob(f"*-{kind}.xml.*")) for kind in ("primary", "filelists", "other")}
            found["primary"] = [gzip.decompress(packed["primary"].read_bytes())]
            found["unpack"] = [path.read_bytes() for path in packed.values()]
        if all(shutil.which(program) for program in ("dpkg-deb", "apt-ftparchive")):
            control = work / "deb/DEBIAN"
            control.mkdir(parents=True)
            (control / "control").write_text(
                "Package: lab\nVersion: 1:1.0+lab~1\nArchitecture: all\nMaintainer: t <t@example.com>\nDescription: t\n"
            )
            _run(work, "dpkg-deb", "--root-owner-group", "-b", "deb", "lab_1.0+lab~1_all.deb")
            found["packages"] = [_run(work, "apt-ftparchive", "packages", ".")]
            found["release"] = [_run(work, "apt-ftparchive", "release", ".")]
    return found


def _run(directory: Path, *arguments: str) -> bytes:
    return subprocess.run(arguments, cwd=directory, capture_output=True, check=True).stdout
