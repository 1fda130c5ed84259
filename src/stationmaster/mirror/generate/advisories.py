"""Advisories (updateinfo.xml) restricted to packages that are kept: the rest of each stays as written."""

from __future__ import annotations

from collections.abc import Callable

from stationmaster.mirror.generate import xmlparts

ELEMENT = "update"


def restrict_advisory(raw: bytes, kept: Callable[[str], bool], *, what: str) -> bytes | None:
    """One advisory with the packages for which ``kept`` (by NEVRA) holds; None when it lists none of them.

    A collection (of a module, say) without packages goes as well.
    """
    update = xmlparts.read_tree(raw, what=what)
    away: list[xmlparts.Node] = []
    is_any = False
    for pkglist in update.named("pkglist"):
        for collection in pkglist.named("collection"):
            listed = list(collection.named("package"))
            gone = [package for package in listed if not kept(identity_of(package))]
            is_any = is_any or len(gone) < len(listed)
            away += gone if len(gone) < len(listed) else [collection]
    return xmlparts.without(raw, away) if is_any else None


def identity_of(package: xmlparts.Node) -> str:
    """NAME-EPOCH:VERSION-RELEASE.ARCH of a package that an advisory lists."""
    of = package.attributes
    epoch = of.get("epoch") or "0"
    return f"{of.get('name')}-{epoch}:{of.get('version')}-{of.get('release')}.{of.get('arch')}"
