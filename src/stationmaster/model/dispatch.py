"""Which operations of work requests an agent carries out, and which of them need packages from the mirrors (I14)."""

from __future__ import annotations

from stationmaster.model.protocol import Operation

# OSMH calls one operation by two names: UPDATE_ALL in jobs, UPDATE_ALL_PACKAGES in work requests.
UPDATE_ALL_PACKAGES = "UPDATE_ALL_PACKAGES"
LIST_PACKAGES = "LIST_PACKAGES"

OPERATIONS: dict[str, Operation] = {
    "INSTALL_PACKAGES": Operation.INSTALL_PACKAGES,
    "REMOVE_PACKAGES": Operation.REMOVE_PACKAGES,
    "UPDATE_PACKAGES": Operation.UPDATE_PACKAGES,
    UPDATE_ALL_PACKAGES: Operation.UPDATE_ALL,
    "UPDATE_SECURITY": Operation.UPDATE_SECURITY,
    "UPDATE_BUGFIX": Operation.UPDATE_BUGFIX,
    "UPDATE_ENHANCEMENT": Operation.UPDATE_ENHANCEMENT,
    "UPDATE_OTHER": Operation.UPDATE_OTHER,
    LIST_PACKAGES: Operation.REFRESH_SOFTWARE,
    "SET_SOFTWARE_SOURCES": Operation.SET_SOFTWARE_SOURCES,
}
_WITHOUT_PACKAGES = frozenset(
    {Operation.REMOVE_PACKAGES, Operation.REFRESH_SOFTWARE, Operation.SET_SOFTWARE_SOURCES},
)


def needs_packages(operation: Operation) -> bool:
    """I14: whether the mirrors must hold something before this can be dispatched."""
    return operation not in _WITHOUT_PACKAGES


def operation_of_update_type(update_type: str) -> str:
    """The work request operation for one of the API's update types; ``ALL`` stands for all of them."""
    return UPDATE_ALL_PACKAGES if update_type == "ALL" else f"UPDATE_{update_type}"
