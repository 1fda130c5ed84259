"""What is mirrored: one software source, as the engine sees it, free of hub and station."""

from __future__ import annotations

import dataclasses
import re

from stationmaster.model import errors

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}")
_WEB_ADDRESS = re.compile(r"https?://[^/\s?#@]+(/[^\s?#]*)?", re.IGNORECASE)
_LIST_ADDRESS = re.compile(r"https?://[^/\s?#@]+(/[^\s#]*)?", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/]*@")


@dataclasses.dataclass(frozen=True)
class RpmSource:
    """An RPM repository, mirrored byte for byte.

    ``name`` is the directory name below ``published/``; ``keys`` are OpenPGP certificates (armored or binary, each may
    hold several) that ``repomd.xml.asc`` must verify against. Without keys the root document is taken unsigned.
    ``mirrors`` are further base addresses with the same content, each asked for what those before fail to give;
    ``mirrorlist`` or ``metalink`` is the address of a list of more. With a list ``url`` may be empty. With
    ``package_keys`` each package must be signed by one of them, else the generation is refused.
    """

    name: str
    url: str
    keys: tuple[bytes, ...] = ()
    mirrors: tuple[str, ...] = ()
    mirrorlist: str = ""
    metalink: str = ""
    package_keys: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        require_name(self.name)
        if self.mirrorlist and self.metalink:
            raise errors.CallerError(f"{self.name} has a mirrorlist and a metalink.", hint="Give one of the two.")
        for one in (self.mirrorlist, self.metalink):
            if one and not _LIST_ADDRESS.fullmatch(one):
                raise errors.CallerError(
                    f"{without_userinfo(one)!r} is no http or https address of a list.", hint="Correct it."
                )
        if self.url or not (self.mirrorlist or self.metalink):
            object.__setattr__(self, "url", _base_address(self.url))
        object.__setattr__(self, "mirrors", tuple(_base_address(one) for one in self.mirrors))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The base addresses that are known without asking, in order of preference."""
        return tuple(one for one in (self.url, *self.mirrors) if one)


@dataclasses.dataclass(frozen=True)
class DebSource:
    """Suites of one DEB archive, mirrored byte for byte; one generation covers all suites.

    ``url`` is the archive's base; a suite that ends in ``/`` is a flat repository, which has no components.
    ``architectures`` may hold ``source`` and ``all``. ``mirrors``: as for an RPM source.
    """

    name: str
    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = ()
    mirrors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_name(self.name)
        object.__setattr__(self, "url", _base_address(self.url))
        object.__setattr__(self, "mirrors", tuple(_base_address(one) for one in self.mirrors))
        if not self.suites:
            raise errors.CallerError(f"The DEB source {self.name} names no suite.", hint="Name at least one suite.")
        if any(not is_flat(suite) for suite in self.suites) and not (self.components and self.architectures):
            raise errors.CallerError(
                f"The DEB source {self.name} needs components and architectures for its suites.",
                hint="Give at least one of each; only a flat repository (a suite that ends in /) has none.",
            )
        for word in (*self.suites, *self.components, *self.architectures):
            if not word or any(part == ".." for part in word.split("/")) or word.startswith("/") or " " in word:
                raise errors.CallerError(f"{word!r} is no suite, component or architecture.", hint="Correct the name.")

    @property
    def addresses(self) -> tuple[str, ...]:
        """All base addresses, in order of preference."""
        return (self.url, *self.mirrors)


Source = RpmSource | DebSource


def named_addresses(wanted: Source) -> tuple[str, ...]:
    """Every address that the operator named: base addresses and that of a list."""
    lists = (wanted.mirrorlist, wanted.metalink) if isinstance(wanted, RpmSource) else ()
    return (*wanted.addresses, *(one for one in lists if one))


def is_flat(suite: str) -> bool:
    """Whether a suite is an exact path to a flat repository (sources.list(5))."""
    return suite.endswith("/")


def require_name(name: str) -> None:
    """CallerError unless the name can name a source."""
    if not _NAME.fullmatch(name):
        raise errors.CallerError(
            f"{name!r} cannot name a source: it becomes a directory name.",
            hint="Use letters, digits and . _ : @ + -, beginning with a letter or digit.",
        )


def is_base_address(url: str) -> bool:
    """Whether it can be the base of a repository: http or https, without query and fragment."""
    return _WEB_ADDRESS.fullmatch(url) is not None


def with_slash(url: str) -> str:
    """The address with one slash at its end."""
    return url.rstrip("/") + "/"


def _base_address(url: str) -> str:
    if not is_base_address(url):
        raise errors.CallerError(
            f"{without_userinfo(url)!r} is no http or https base address of a repository.",
            hint="Give it like http://host/path/, without a password in it.",
        )
    return with_slash(url)


def without_userinfo(url: str) -> str:
    """The address without what may be a password, to be shown and followed."""
    return _USERINFO.sub("//", url)
