import shutil
import subprocess
from pathlib import Path

import pytest

from stationmaster.model import port_change, ports, protocol, setup_scripts

DIRECT = ports.PortTriple(16080, 17080, 17443)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "station-setup.sh"
    path.write_text(setup_scripts.render_station_setup(port_change.PortSet(DIRECT, DIRECT.next_to())))
    return path


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """firewalld and SELinux as programs that keep what they are told in files."""
    directory = tmp_path / "bin"
    directory.mkdir()
    programs = {
        "firewall-cmd": f"""#!/bin/sh
echo "firewall-cmd $*" >>{tmp_path}/calls
kind=now
for word in "$@"; do
    case $word in
    --state) exit 0 ;;
    --permanent) kind=permanent ;;
    --query-port=*) grep -qx "$kind ${{word#*=}}" {tmp_path}/open 2>/dev/null; exit $? ;;
    --add-port=*) [ "${{word#*=}}" != "$FAIL_PORT/tcp" ] || {{ echo refused >&2; exit 1; }}
        echo "$kind ${{word#*=}}" >>{tmp_path}/open ;;
    esac
done
""",
        "semanage": f"""#!/bin/sh
echo "semanage $*" >>{tmp_path}/calls
case "$*" in
"port -l") cat {tmp_path}/labels ;;
"port -a"*) [ "$7" != 17080 ] || exit 1; echo "$4 tcp $7" >>{tmp_path}/labels ;;
"port -m"*) echo "$4 tcp $7" >>{tmp_path}/labels ;;
esac
""",
        "selinuxenabled": "#!/bin/sh\nexit 0\n",
    }
    for name, text in programs.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (tmp_path / "labels").write_text("http_port_t                    tcp      80, 81, 443, 17440-17450\n")
    return directory


def run_script(script: Path, path: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dash", script, *arguments],
        env={"PATH": path, "FAIL_PORT": "none", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_opens_and_labels_every_port_once(script: Path, host: Path, tmp_path: Path) -> None:
    path = f"{host}:/usr/bin:/bin"
    done = run_script(script, path)
    assert done.returncode == 0, done.stderr
    opened = (tmp_path / "open").read_text().splitlines()
    wanted = (16080, 16081, 17080, 17443, 17081, 17444, 17082)
    assert sorted(opened) == sorted(f"{kind} {port}/tcp" for kind in ("now", "permanent") for port in wanted)
    labels = (tmp_path / "labels").read_text().splitlines()[1:]
    # 17443 and 17444 lie in a range that has the label; 17080 has another one, which is changed.
    assert sorted(labels) == [
        "http_port_t tcp 17080", "http_port_t tcp 17081", "squid_port_t tcp 16080", "squid_port_t tcp 16081"
    ]  # fmt: skip
    again = run_script(script, path)
    assert again.returncode == 0
    assert (tmp_path / "open").read_text().splitlines() == opened
    assert (tmp_path / "labels").read_text().splitlines()[1:] == labels


def test_a_dry_run_changes_nothing_and_names_every_command(script: Path, host: Path, tmp_path: Path) -> None:
    said = run_script(script, f"{host}:/usr/bin:/bin", "--dry-run")
    assert said.returncode == 0
    assert "would run: firewall-cmd --permanent --add-port=16080/tcp" in said.stdout
    assert "would run: semanage port -a -t squid_port_t -p tcp 16081" in said.stdout
    assert not (tmp_path / "open").exists()
    assert len((tmp_path / "labels").read_text().splitlines()) == 1


def test_it_skips_what_the_host_lacks(script: Path, tmp_path: Path) -> None:
    directory = tmp_path / "bare"
    directory.mkdir()
    for name in ("dash", "awk"):
        (directory / name).symlink_to(str(shutil.which(name)))
    said = run_script(script, str(directory))
    assert said.returncode == 0
    assert "firewalld: not installed, skipped" in said.stdout
    assert "SELinux: not enabled, skipped" in said.stdout


def test_a_step_that_fails_is_said_and_the_others_are_done(script: Path, host: Path, tmp_path: Path) -> None:
    failed = run_script(script, f"{host}:/usr/bin:/bin", FAIL_PORT="17080")
    assert failed.returncode == 1
    assert "FAILED: firewall-cmd --permanent --add-port=17080/tcp: refused" in failed.stderr
    assert "permanent 17444/tcp" in (tmp_path / "open").read_text()


def test_both_scripts_are_clean(script: Path, tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    address = protocol.ClientAddress(host="lb.example.com", ports=protocol.Ports(proxy=1, http=2, https=3))
    other = tmp_path / "instance-setup.sh"
    other.write_text(setup_scripts.render_instance_setup(address, "https://hub.example.com:8443"))
    checked = subprocess.run(["shellcheck", script, other], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
