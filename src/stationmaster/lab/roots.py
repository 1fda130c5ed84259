"""File-system roots of instances, with a package manager in each that is the machine's own program and real.

An *overlay root* is this machine's file system with a private layer above: what is installed there stays there, and
scriptlets run in a chroot (without one dpkg ran a postinst on the machine itself). Device nodes come from a small
tmpfs, not from the machine's /dev, so that nothing of the machine is reachable by removing files below the root.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from stationmaster.host import files, programs
from stationmaster.lab import deb_plan, host, lab, mounts, upstream_deb

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
# Repositories and package managers' state of the machine, which an instance must not see.
_EMPTIED = (
    "etc/apt/sources.list.d",
    "etc/yum.repos.d",
    "etc/zypp/repos.d",
    "var/lib/apt/lists",
    "var/cache/apt/archives",
)
_REMOVED = ("etc/apt/sources.list", "var/cache/apt/pkgcache.bin", "var/cache/apt/srcpkgcache.bin")
_EMPTIED_TREES = ("root/.rpmdb", "var/lib/rpm", "var/cache/dnf", "var/lib/dnf", "var/cache/zypp", "var/lib/zypp")
_PRESENT = ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/yum.repos.d", "etc/apt/sources.list.d")


# What an instance with dnf takes itself for; module streams are matched by the platform.
RPM_OS_RELEASE = (
    'NAME="Oracle Linux Server"\nID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.4"\nPLATFORM_ID="platform:el9"\n'
    'PRETTY_NAME="Oracle Linux Server 9.4 (lab)"\n'
)


def make_overlay_root(of: lab.Lab, on: host.LabHost, *, os_release: str = "") -> Path:
    """This machine's system as the root of an instance, without its repositories, with the lab's names.

    ``os_release`` replaces what the system says it is, for an instance whose packages are of another family.
    """
    layers = on.directory / "layers"
    root = on.directory / "root"
    for path in (root, layers / "upper", layers / "work"):
        of.files.make_directory(path)
    of.mounts.mount("overlay", root, f"lowerdir=/,upperdir={layers / 'upper'},workdir={layers / 'work'}")
    of.mounts.mount("proc", root / "proc")
    of.mounts.mount("tmpfs", root / "dev", "size=1m,mode=755")
    _make_devices(root / "dev")
    _forget_machine(root, of.files)
    for name, text in (("hosts", of.plan.render_hosts_file(on.name)), ("resolv.conf", "nameserver 127.0.0.1\n")):
        of.files.remove(root / "etc" / name)  # it may be a link that leads out of the layer's reach
        (root / "etc" / name).write_text(text)
    if os_release:
        of.files.remove(root / "etc" / "os-release")
        (root / "etc" / "os-release").write_text(os_release)
    return root


@contextlib.contextmanager
def private_layer(base: Path, effects: files.Files, runner: programs.Programs) -> Iterator[Path]:
    """An overlay root below ``base`` for as long as it is used, where there is no lab."""
    root = base / "root"
    for name in ("root", "upper", "work"):
        effects.make_directory(base / name)
    options = f"lowerdir=/,upperdir={base}/upper,workdir={base}/work"
    try:
        for kind, target, chosen in (
            ("overlay", root, options),
            ("proc", root / "proc", "defaults"),
            ("tmpfs", root / "dev", "size=1m,mode=755"),
        ):
            runner.run(["mount", "-t", kind, "-o", chosen, kind, target]).require_success(f"Mounting {target}")
        _make_devices(root / "dev")
        _forget_machine(root, effects)
        yield root
    finally:
        mounts.unmount_all(runner, mounts.mounted_below(root))


def make_install_root(on: host.LabHost) -> Path:
    """An empty root, for package managers that are run from outside it (``--installroot``)."""
    root = on.directory / "root"
    for name in ("etc/yum.repos.d", "var/lib", "var/cache", "var/log", "usr/bin", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "etc" / "os-release").write_text(RPM_OS_RELEASE)
    return root


def install_former_deb(of: lab.Lab, on: host.LabHost, root: Path, stanza: deb_plan.Stanza) -> None:
    """Install an older, empty version of a package by hand, so that there is something for an update job to do."""
    former = deb_plan.Package(stanza.name, "0~lab", 16, 0)
    with of.files.temporary_directory(prefix="sm-former-") as name:
        built = upstream_deb.build_package(former, Path(name), Path(name), of.programs)
        inside = root / "var" / "tmp" / built.name
        of.files.copy(built, inside)
        on.run(["dpkg", "-i", f"/{inside.relative_to(root)}"], root=root).require_success(
            f"Installing a former {stanza.name}"
        )
        of.files.remove(inside)


def choose_update_candidate(stanzas: Iterable[deb_plan.Stanza], on: host.LabHost, root: Path) -> deb_plan.Stanza:
    """The smallest package that depends on nothing and that the root does not have."""
    listed = on.run(["dpkg-query", "-W", "-f", "${binary:Package}\n"], root=root)
    installed = {line.partition(":")[0] for line in listed.require_success("dpkg-query").stdout.splitlines()}
    free = [stanza for stanza in stanzas if not stanza.has_dependencies and stanza.name not in installed]
    return min(free, key=lambda stanza: (stanza.size_bytes, stanza.name))


def _forget_machine(root: Path, effects: files.Files) -> None:
    for name in _EMPTIED:
        if (root / name).is_dir():
            for path in (root / name).iterdir():
                effects.remove_tree(path)
    for name in _EMPTIED_TREES:
        effects.remove_tree(root / name)
    for name in _REMOVED:
        effects.remove(root / name)
    for name in _PRESENT:
        effects.make_directory(root / name)


def _make_devices(directory: Path) -> None:
    for name, (major, minor) in _DEVICES.items():
        os.mknod(directory / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (directory / name).chmod(0o666)  # mknod heeds the umask
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (directory / name).symlink_to(target)
    (directory / "shm").mkdir(mode=0o1777)
