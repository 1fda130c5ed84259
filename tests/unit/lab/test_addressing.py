import pytest

from stationmaster.lab import addressing
from stationmaster.lab.addressing import Direction, FloatingName, HostSpec, LabPlan, Network
from stationmaster.model import errors

BOTH = (Network.CORE, Network.EDGE)


def plan(lab_id: str = "00ff") -> LabPlan:
    return LabPlan(
        lab_id,
        (HostSpec("hub"), HostSpec("lb", BOTH, ("updates.lab",)), HostSpec("rpm1", (Network.EDGE,))),
        (FloatingName("floating.lab", 200),),
    )


def test_addresses_follow_order_and_lab_id() -> None:
    assert plan().address("hub") == "10.87.6.10"
    assert plan().address("lb") == "10.87.6.11"
    assert plan().address("lb", Network.EDGE) == "10.88.6.11"
    assert plan().range_of(Network.EDGE) == "10.88.6.0/24"
    assert plan("ffff").address("hub").split(".")[2] == str(0xFFFF % 250 + 1)


def test_an_instance_knows_only_the_balancer_and_itself() -> None:
    assert plan().render_hosts_file("rpm1").splitlines()[2:] == [
        "10.88.6.11 lb.lab lb updates.lab",
        "10.88.6.12 rpm1.lab rpm1",
        "10.88.6.200 floating.lab",
    ]


def test_a_core_host_knows_the_balancer_by_its_core_address_and_no_instance() -> None:
    text = plan().render_hosts_file("hub")
    assert "10.87.6.11 lb.lab lb updates.lab" in text
    assert "rpm1" not in text
    assert "10.88." not in text


def test_interface_names_fit_the_kernel_limit() -> None:
    longest = LabPlan("abcd", (HostSpec("a12345678", BOTH),))
    names = [addressing.port_name("a12345678", network) for network in BOTH]
    assert all(len(name) <= 15 for name in names)
    assert all(name in addressing.render_link_batch(longest) for name in names)


@pytest.mark.parametrize("name", ["", "Upper", "1st", "has-dash", "waytoolongname", "net"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(errors.CallerError, match="no lab host name"):
        LabPlan("0001", (HostSpec(name),))


def test_equal_names_are_refused() -> None:
    with pytest.raises(errors.CallerError, match="one name"):
        LabPlan("0001", (HostSpec("hub"), HostSpec("hub")))


def test_unknown_hosts_and_missing_legs_are_refused() -> None:
    with pytest.raises(errors.CallerError, match="it has hub, lb, rpm1"):
        plan().spec("hob")
    with pytest.raises(errors.CallerError, match="no leg in the core network"):
        plan().address("rpm1", Network.CORE)


def test_address_batch_brings_up_loopback_and_every_leg() -> None:
    assert addressing.render_address_batch(plan(), "lb").splitlines() == [
        "link set dev lo up",
        "addr add 10.87.6.11/24 dev core0",
        "link set dev core0 up",
        "addr add 10.88.6.11/24 dev edge0",
        "link set dev edge0 up",
    ]


def test_cut_of_one_direction_from_some_peers_names_only_those() -> None:
    text = addressing.render_cut(Direction.INCOMING, ("10.87.6.12", "10.87.6.11"))
    assert "ip saddr { 10.87.6.11, 10.87.6.12 } drop" in text
    assert "hook output" not in text


def test_whole_cut_drops_both_ways_and_spares_loopback() -> None:
    text, _, arp = addressing.render_cut(Direction.BOTH, ()).partition("table arp")
    assert text.count("    drop\n") == 2
    assert "iif lo accept" in text
    assert "oif lo accept" in text
    assert arp.count("    drop\n") == 2


def test_who_is_cut_from_some_peers_may_still_say_which_addresses_it_has() -> None:
    for direction, peers, drops in ((Direction.BOTH, ("10.87.6.12",), 0), (Direction.INCOMING, (), 1)):
        arp = addressing.render_cut(direction, peers).partition("table arp")[2]
        assert arp.count("    drop\n") == drops


def test_a_floating_name_has_an_address_in_each_network() -> None:
    assert plan().floating_address("floating.lab", Network.EDGE) == "10.88.6.200"
    assert plan().floating_address("floating.lab", Network.CORE) == "10.87.6.200"
