from stationmaster.lab import deb_plan, rpm_plan, web

INDEX = """Package: one
Version: 1:2.0-1
Depends: libc6
Filename: pool/main/o/one/one_2.0-1_amd64.deb
Size: 10
SHA256: aa

Package: two
Version: 3
Filename: pool/main/t/two/two_3_all.deb
Size: 20
SHA256: bb
"""
RELEASE = """Origin: Debian
SHA256:
 {a}        0 contrib/Contents-all
 {b}    32757 main/binary-amd64/Packages
-----BEGIN PGP SIGNATURE-----
""".format(a="a" * 64, b="b" * 64)
TARGETS = """MetaKey: main/binary-amd64/Packages
Filename: /lists/host_debian_dists_twelve_main_binary-amd64_Packages.lz4
Codename: twelve
Origin: Debian

MetaKey: main/binary-amd64/Packages
Filename: /lists/host_debian_dists_twelve-updates_main_binary-amd64_Packages.lz4
Codename: twelve-updates
Origin: Debian
"""


def test_rpm_plan_has_the_wanted_number_and_is_the_same_each_time() -> None:
    packages = rpm_plan.plan_packages()
    assert len({package.name for package in packages}) == 300
    assert packages == rpm_plan.plan_packages()
    assert packages != rpm_plan.plan_packages(seed=9)
    total = sum(package.size_bytes for package in packages)
    assert 30 << 20 < total < 70 << 20
    assert [package.name for package in packages if package.size_bytes >= 8 << 20] == [rpm_plan.BIG]


def test_every_requirement_is_in_the_plan() -> None:
    for count in (8, 20, 300):
        packages = rpm_plan.plan_packages(count)
        assert len(packages) == count
        names = {package.name for package in packages}
        assert {needed for package in packages for needed in package.requires} <= names
    debs = deb_plan.plan_packages()
    assert len(debs) == 60
    assert {needed for package in debs for needed in package.depends} <= {package.name for package in debs}


def test_an_update_has_other_bytes_and_an_advisory() -> None:
    packages = rpm_plan.plan_packages(20)
    (fresh,) = rpm_plan.plan_update(packages, {"lab-app-001": "2.0"})
    assert fresh.seed not in {package.seed for package in packages}
    text = rpm_plan.render_updateinfo([*packages, fresh])
    assert text.count("<update ") == 1
    assert "lab-app-001-2.0-1.noarch.rpm" in text


def test_an_update_of_an_update_differs_from_it() -> None:
    packages = rpm_plan.plan_packages(20)
    once = rpm_plan.plan_update(packages, {"lab-app-001": "2.0"})
    (twice,) = rpm_plan.plan_update([*packages, *once], {"lab-app-001": "3.0"})
    assert twice.seed != once[0].seed


def test_modules_name_only_modular_packages() -> None:
    text = rpm_plan.render_modules(rpm_plan.plan_packages(20))
    assert "lab-mod-001-0:1.0-1.noarch" in text
    assert "lab-app" not in text


def test_stanzas_and_release_digests() -> None:
    one, two = deb_plan.parse_stanzas(INDEX)
    assert (one.name, one.version, one.has_dependencies) == ("one", "1:2.0-1", True)
    assert (two.path, two.size_bytes, two.has_dependencies) == ("pool/main/t/two/two_3_all.deb", 20, False)
    assert deb_plan.parse_release_digests(RELEASE)["main/binary-amd64/Packages"] == "b" * 64


def test_updates_suite_is_found_among_apts_targets() -> None:
    target = deb_plan.find_updates_target(TARGETS, "amd64")
    assert target is not None
    assert target.suite_path == "twelve-updates"
    assert target.release_file == "/lists/host_debian_dists_twelve-updates_InRelease"
    assert deb_plan.find_updates_target(TARGETS, "arm64") is None
    assert deb_plan.find_updates_target(TARGETS.replace("Origin: Debian", "Origin: Else"), "amd64") is None


def test_requests_are_counted_by_path() -> None:
    log = 'GET /a 200 10 10.87.1.1 "x y"\nGET /a 206 5 10.87.1.1 ""\nHEAD /b 404 0 10.87.1.2 "z"\nnonsense\n'
    assert dict(web.count_requests(log)) == {"/a": 2, "/b": 1}
