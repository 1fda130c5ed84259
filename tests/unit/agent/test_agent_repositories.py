import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.agent import armor, repositories
from stationmaster.model import errors, protocol
from stationmaster.model.protocol import InstanceSource, PackageManager, SourceFormat

KEY = armor.enclose(b"key one")
RPM = InstanceSource(
    source_id="ocid1.osmhsoftwaresource.oc1..r",
    repo_id="private.base.1",
    display_name="Base  \n packages",
    format=SourceFormat.RPM,
    gpg_keys=[KEY],
    options=["module_hotfixes=1", "baseurl=http://elsewhere/", "skip_if_unavailable=True", "[evil]", "priority = 10"],
)
DEB = InstanceSource(
    source_id="ocid1.osmhsoftwaresource.oc1..d",
    repo_id="private.updates.1",
    display_name="Updates",
    format=SourceFormat.DEB,
    suites=["bookworm-updates"],
    components=["main", "contrib"],
    architectures=["X86_64", "source"],
    gpg_keys=[KEY],
    options=["Languages: none", "URIs: http://elsewhere/", "Trusted: yes"],
)
PLAIN = protocol.ClientAddress(host="lb.example.com", ports=protocol.Ports(proxy=16080, http=17080, https=17443))
TLS = protocol.ClientAddress(host="lb.example.com", ports=PLAIN.ports, is_mirror_tls=True)
HEADER = "# Written by the Stationmaster agent; changes made here are undone at its next check-in.\n"


def render(
    kind: PackageManager, *sources: InstanceSource, address: protocol.ClientAddress = PLAIN, **more: object
) -> dict[str, str]:
    return repositories.render_files(repositories.Repositories(kind, sources, address, **more))  # type: ignore[arg-type]


def test_dnf_golden() -> None:
    assert render(PackageManager.DNF, DEB, RPM) == {
        "/etc/yum.repos.d/stationmaster.repo": HEADER
        + """[private.base.1]
name=Base packages
mirrorlist=http://lb.example.com:17080/m/ocid1.osmhsoftwaresource.oc1..r
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/stationmaster-private.base.1.asc
skip_if_unavailable=False
metadata_expire=1h
proxy=_none_
module_hotfixes=1
priority=10
""",
        "/etc/pki/rpm-gpg/stationmaster-private.base.1.asc": KEY,
    }


def test_dnf_over_tls_in_an_install_root() -> None:
    files = render(PackageManager.DNF, RPM, address=TLS, ca="CA", is_tls_verified=True, prefix="/srv/root")
    text = files["/etc/yum.repos.d/stationmaster.repo"]
    assert "mirrorlist=https://lb.example.com:17443/m/" in text
    assert "sslverify=1\nsslcacert=/srv/root/etc/stationmaster/ca.pem\n" in text
    assert "gpgkey=file:///srv/root/etc/pki/" in text
    assert files["/etc/stationmaster/ca.pem"] == "CA"


def test_apt_golden() -> None:
    body = "".join(f" {line or '.'}\n" for line in KEY.splitlines())
    assert render(PackageManager.APT, DEB, RPM) == {
        "/etc/apt/sources.list.d/stationmaster.sources": HEADER
        + """# Updates
Enabled: yes
Types: deb
URIs: mirror+http://lb.example.com:17080/m/ocid1.osmhsoftwaresource.oc1..d
Suites: bookworm-updates
Components: main contrib
Architectures: amd64
Languages: none
Signed-By:
"""
        + body,
        "/etc/apt/apt.conf.d/90stationmaster": HEADER.replace("#", "//")
        + 'Acquire::http::Proxy::lb.example.com "DIRECT";\nAcquire::https::Proxy::lb.example.com "DIRECT";\n',
    }


def test_apt_flat_unchecked_and_over_tls_without_verification() -> None:
    flat = InstanceSource(
        source_id="s", repo_id="flat", display_name="", format=SourceFormat.DEB, suites=["./"], components=["main"],
        is_gpg_checked=False, is_enabled=False, gpg_keys=[KEY],
    )  # fmt: skip
    files = render(PackageManager.APT, flat, address=TLS, ca="CA")
    text = files["/etc/apt/sources.list.d/stationmaster.sources"]
    assert "Suites: ./\nTrusted: yes\n" in text
    assert "Enabled: no" in text
    assert "Components" not in text
    assert "Signed-By" not in text
    assert 'Acquire::https::lb.example.com::Verify-Peer "false";' in files["/etc/apt/apt.conf.d/90stationmaster"]


def test_zypper_has_neither_what_only_dnf_knows_nor_a_list_when_pinned() -> None:
    text = render(PackageManager.ZYPPER, RPM)["/etc/zypp/repos.d/stationmaster.repo"]
    assert "autorefresh=1" in text
    assert "skip_if_unavailable" not in text
    spec = repositories.Repositories(PackageManager.ZYPPER, (RPM,), PLAIN)
    pinned = repositories.render_pinned(spec, {RPM.source_id: "http://lb:1/g/s/1"})
    assert "baseurl=http://lb:1/g/s/1\n" in pinned["/etc/stationmaster/pinned/stationmaster.repo"]


def test_zypper_over_tls_has_a_directory_of_cas_in_each_address_and_never_goes_unverified() -> None:
    spec = repositories.Repositories(PackageManager.ZYPPER, (RPM,), TLS, prefix="/srv/root")
    text = repositories.render_files(spec)["/etc/zypp/repos.d/stationmaster.repo"]
    trust = "/srv/root/etc/stationmaster/trust"
    assert f"mirrorlist=https://lb.example.com:17443/m/{RPM.source_id}/capath{trust}?ssl_capath={trust}\n" in text
    pinned = repositories.render_pinned(spec, {RPM.source_id: "https://lb:1/g/s/1/"})
    assert f"baseurl=https://lb:1/g/s/1/?ssl_capath={trust}\n" in pinned["/etc/stationmaster/pinned/stationmaster.repo"]
    assert "verify" not in text + "".join(pinned.values())


def test_pinned_repositories_name_local_lists_so_that_caches_keep_their_names() -> None:
    spec = repositories.Repositories(PackageManager.DNF, (RPM,), PLAIN, prefix="/r")
    files = repositories.render_pinned(spec, {RPM.source_id: "http://lb:1/g/s/1"})
    assert files["/etc/stationmaster/pinned/private.base.1.list"] == "http://lb:1/g/s/1/\n"
    repo = files["/etc/stationmaster/pinned/stationmaster.repo"]
    assert "mirrorlist=file:///r/etc/stationmaster/pinned/private.base.1.list\n" in repo
    assert "/m/" not in repo
    assert "[" not in repositories.render_pinned(spec, {})["/etc/stationmaster/pinned/stationmaster.repo"]


def test_no_source_that_fits_means_no_file() -> None:
    assert render(PackageManager.DNF, DEB) == {}


def test_order_of_the_sources_changes_nothing() -> None:
    other = InstanceSource(source_id="z", repo_id="a", display_name="A", format=SourceFormat.RPM)
    assert render(PackageManager.DNF, RPM, other) == render(PackageManager.DNF, other, RPM)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40), st.lists(st.text(max_size=40), max_size=4))
def test_nothing_that_a_source_carries_leaves_its_paragraph(repo_id: str, name: str, lines: list[str]) -> None:
    source = InstanceSource(
        source_id="ocid1.x", repo_id=repo_id, display_name=name, format=SourceFormat.RPM, options=lines
    )
    text = render(PackageManager.DNF, source)["/etc/yum.repos.d/stationmaster.repo"]
    sections = [line for line in text.split("\n") if line.startswith("[")]
    assert sections == [f"[{repositories.repository_id(source)}]"]
    assert text.count("\nmirrorlist=") == 1
    assert "\nbaseurl" not in text
    assert "\nskip_if_unavailable=False\n" in text


WORDS = st.lists(st.one_of(st.text(max_size=20), st.just("main\nTrusted: yes"), st.just("main")), max_size=3)


@given(st.text(max_size=20), WORDS, WORDS, WORDS, WORDS)
def test_nothing_that_a_deb_source_carries_begins_a_field(
    source_id: str, suites: list[str], components: list[str], architectures: list[str], lines: list[str]
) -> None:
    source = InstanceSource(
        source_id=source_id,
        repo_id="r",
        display_name="x\nTrusted: yes",
        format=SourceFormat.DEB,
        suites=suites,
        components=components,
        architectures=architectures,
        options=lines,
    )
    text = render(PackageManager.APT, source).get("/etc/apt/sources.list.d/stationmaster.sources", "")
    fields = [line.partition(":")[0].lower() for line in text.split("\n") if line and not line.startswith(("#", " "))]
    assert "trusted" not in fields
    assert set(fields) <= {"enabled", "types", "uris", "suites", "components", "architectures"}
    assert "\r" not in text


@pytest.mark.parametrize("source_id", ["ocid1.x\nbaseurl=http://evil", "", "a b", "$(id)"])
def test_a_source_whose_name_is_no_word_gets_no_file(source_id: str) -> None:
    source = InstanceSource(source_id=source_id, repo_id="r", display_name="n", format=SourceFormat.RPM)
    assert render(PackageManager.DNF, source) == {}


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4))
def test_merged_keys_hold_all_of_them(keys: list[bytes]) -> None:
    merged = armor.merge_keys([armor.enclose(key) for key in keys])
    lines = merged.splitlines()
    assert base64.b64decode("".join(lines[2:-2])) == b"".join(keys)
    assert merged.count("BEGIN") == 1


def test_a_key_with_headers_is_read_and_something_else_is_refused() -> None:
    with_headers = KEY.replace("-----\n\n", "-----\nVersion: GnuPG v2\nComment: a=b\n\n", 1).replace("\n", "\r\n")
    assert armor.merge_keys([with_headers]) == KEY
    with pytest.raises(errors.CallerError, match="no armored public key"):
        armor.merge_keys(["nonsense"])
    with pytest.raises(errors.CallerError, match="armor is broken"):
        armor.merge_keys(["-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n-----END PGP PUBLIC KEY BLOCK-----"])


def test_crc24_of_the_standard() -> None:
    # RFC 9580, 6.1.1: the checksum of nothing is the initial value; of "123456789" it is this well-known one.
    assert armor.crc24(b"") == 0xB704CE
    assert armor.crc24(b"123456789") == 0x21CF02
