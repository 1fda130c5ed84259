"""The one root of every error a person can meet, branched by whose fault it is.

A class has a stable ``code`` (it reaches API bodies, ``--json`` output and logs) and a ``hint`` that says what to do
next. Which HTTP status or exit status a code becomes is decided where it is shown, in one table each.
"""

from __future__ import annotations


class StationmasterError(Exception):
    """Root: ``message`` says what was wrong, where, and what was expected; ``hint`` what to do next."""

    code = "InternalServerError"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class CallerError(StationmasterError):
    """The caller asked for something that cannot be: bad input, missing things, conflicts. Repeating will not help."""

    code = "InvalidParameter"


class UpstreamError(StationmasterError):
    """An upstream repository is away, lies, or broke its own promises. The last good generation stays."""

    code = "UpstreamUnavailable"


class HostError(StationmasterError):
    """This machine cannot do it: a program is missing, a port is taken, a disk is full, a mount is gone."""

    code = "HostUnable"


class PeerError(StationmasterError):
    """Another part of the system (hub, station, balancer) did not answer, or answered nonsense."""

    code = "PeerUnavailable"


class NotFoundError(CallerError):
    """The named thing does not exist, or is not the caller's to see; the two look alike on purpose."""

    code = "NotAuthorizedOrNotFound"


class ConflictError(CallerError):
    """The request clashes with what exists; unlike ``IncorrectState`` it will not pass when tried again."""

    code = "Conflict"


class IncorrectStateError(CallerError):
    """The thing is in a state that forbids this now; clients may try again later."""

    code = "IncorrectState"


class NotAuthenticatedError(CallerError):
    """The signature, key or date of a request does not hold."""

    code = "NotAuthenticated"


class ProgramMissingError(HostError):
    """A program that this host needs is not installed."""

    code = "ProgramMissing"


class ProgramFailedError(HostError):
    """A program ran and failed, or did not end in time."""

    code = "ProgramFailed"


class VolumeError(HostError):
    """A mirror directory is not the volume it should be (I11), or cannot be written."""

    code = "VolumeUnusable"
