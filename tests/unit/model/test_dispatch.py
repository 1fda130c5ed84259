import pytest

from stationmaster.model import dispatch
from stationmaster.model.protocol import Operation


def test_every_operation_of_agents_can_be_ordered() -> None:
    assert set(dispatch.OPERATIONS.values()) == set(Operation)


@pytest.mark.parametrize("operation", list(Operation))
def test_i14_installs_and_updates_need_packages(operation: Operation) -> None:
    assert dispatch.needs_packages(operation) == operation.startswith(("INSTALL", "UPDATE"))


def test_update_types_have_an_operation() -> None:
    for one in ("SECURITY", "BUGFIX", "ENHANCEMENT", "OTHER", "ALL"):
        assert dispatch.operation_of_update_type(one) in dispatch.OPERATIONS
