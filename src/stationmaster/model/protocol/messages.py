"""What all messages share: their base, problems in words, addresses, and what a group shows."""

from __future__ import annotations

import enum

import msgspec


class Message(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=False):
    """Base of every message: frozen, camelCase on the wire."""


class Problem(Message, frozen=True):
    """Something that is wrong, in words for a person: a stable code and a message that says what to do."""

    code: str
    message: str


class Ports(Message, frozen=True):
    """The three ports of a station: proxy, mirror HTTP, mirror HTTPS."""

    proxy: int
    http: int
    https: int


class ClientAddress(Message, frozen=True):
    """What clients are told (I12): the group's name, its ports, and whether repositories are read over HTTPS."""

    host: str
    ports: Ports
    is_mirror_tls: bool = False


class SourceFormat(enum.StrEnum):
    """How a repository is laid out."""

    RPM = "RPM"
    DEB = "DEB"


class Visible(Message, frozen=True):
    """What clients of the group are told of a source: number rises per source and names one generation (R1, R12)."""

    source_id: str
    number: int
    generation: str
