"""Host names, addresses and permitted ranges: when two are the same, and who may come in.

Host names are equal without regard to case and trailing dot, IP addresses by value (design section 9).
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence

from stationmaster.model import errors

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def canonical_host(host: str) -> str:
    """The form in which two spellings of one host are equal: lower case, no trailing dot, addresses by value."""
    text = host.strip()
    try:
        return str(unmapped(parse_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)))
    except ValueError:
        return text.lower().removesuffix(".")


def require_host(host: str, *, field: str) -> str:
    """``host`` as given, when it is an address or a host name by RFC 1123; CallerError naming ``field`` otherwise."""
    canonical = canonical_host(host)
    if is_address(canonical):
        return host.strip()
    labels = canonical.split(".")
    looks_like_address = all(label.isdigit() for label in labels)
    # Some letters beyond ASCII become ASCII in lower case; what is handed on is the host as given.
    is_name = host.isascii() and len(canonical) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    if looks_like_address or not is_name:
        raise errors.CallerError(
            f"{field} is {host!r}, which is neither a host name nor an IP address.",
            hint="Give the name or address of the load balancer (or of the station itself), without scheme and port.",
        )
    return host.strip()


def parse_address(text: str) -> Address:
    """An IP address; ValueError otherwise, and for one with a zone (``fe80::1%eth0``).

    A zone means something on one machine only, and Python takes any characters for one, line ends and quotes too:
    they would come into configuration files and scripts with the address.
    """
    if "%" in text:
        raise ValueError(f"{text!r} has a zone, which means something on one machine only")
    return ipaddress.ip_address(text)


def is_address(text: str) -> bool:
    """Whether ``text`` is an IP address, without a zone."""
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine itself, so that nobody reads along: ``localhost`` or a loopback address."""
    canonical = canonical_host(host)
    return canonical == "localhost" or (is_address(canonical) and parse_address(canonical).is_loopback)


def require_protected_url(url: str, *, field: str) -> None:
    """CallerError for plain HTTP that leaves this machine: registration keys could be read on the way."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme.lower() == "http" and not is_loopback(parts.hostname or ""):
        raise errors.CallerError(
            f"{field} is {url[:200]!r}: plain HTTP to the hub is for loopback addresses only.",
            hint="Write https://; the hub's CA is ca.pem in its state directory.",
        )


def unmapped(address: Address) -> Address:
    """An IPv4 address that arrives in its IPv6 form is the IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def url_host(host: str) -> str:
    """``host`` as it stands in a URL: IPv6 addresses in brackets."""
    canonical = canonical_host(host)
    return f"[{canonical}]" if ":" in canonical else canonical


def parse_permitted_range(entry: str, resolve: Callable[[str], Sequence[str]]) -> tuple[Network, ...]:
    """The networks one entry of the permitted range stands for: a CIDR, an address, or a name that resolves (OSMH 24).

    A CIDR with host bits set is refused, since it does not say which of the two was meant. CallerError names the entry.
    """
    text = entry.strip()
    if "/" in text:
        try:
            address, _, length = text.partition("/")
            return (ipaddress.ip_network(f"{parse_address(address)}/{length}"),)
        except ValueError as exc:
            raise errors.CallerError(
                f"proxy.hosts has the entry {entry!r}, which is no CIDR range: {exc}.",
                hint="Write ranges as NETWORK/LENGTH, for example 10.0.0.0/8 or 2001:db8::/32.",
            ) from exc
    if is_address(text):
        return (ipaddress.ip_network(text),)
    found = [one for one in resolve(text) if "%" not in one] if text and _is_name(text) else []
    if not found:
        raise errors.CallerError(
            f"proxy.hosts has the entry {entry!r}, which is no CIDR range, no address and no host name that resolves.",
            hint="Write a range such as 10.0.0.0/8, an address, or a host name that the hub can resolve.",
        )
    return tuple(ipaddress.ip_network(unmapped(parse_address(one))) for one in found)


def parse_permitted_ranges(entries: Iterable[str], resolve: Callable[[str], Sequence[str]]) -> tuple[Network, ...]:
    """All entries, sorted, each network once. No entries give no networks: nobody may come in (I10)."""
    networks = {network for entry in entries for network in parse_permitted_range(entry, resolve)}
    return tuple(
        sorted(networks, key=lambda network: (network.version, int(network.network_address), network.prefixlen))
    )


def parse_networks(entries: Iterable[str], *, option: str) -> tuple[Network, ...]:
    """Addresses and CIDR blocks as they stand on a command line; CallerError names the option and the entry."""
    found = []
    for entry in entries:
        address, slash, length = entry.strip().partition("/")
        try:
            found.append(ipaddress.ip_network(f"{parse_address(address)}{slash}{length}"))
        except ValueError as exc:
            raise errors.CallerError(
                f"{option} is {entry!r}, which is no address and no CIDR block: {exc}.",
                hint="Write an address, or NETWORK/LENGTH such as 10.0.0.0/8.",
            ) from exc
    return tuple(found)


def is_permitted(client: str, networks: Iterable[Network]) -> bool:
    """I10: whether the client's own address lies in one of the permitted networks; an empty range permits nobody."""
    address = unmapped(ipaddress.ip_address(client))
    return any(address.version == network.version and address in network for network in networks)


def _is_name(text: str) -> bool:
    canonical = canonical_host(text)
    return all(_LABEL.fullmatch(label) for label in canonical.split("."))
