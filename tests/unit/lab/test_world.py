from stationmaster.lab import demo, failures, world
from stationmaster.lab.addressing import LabPlan, Network
from stationmaster.lab.measure import Event, Operation


def test_instances_of_the_guide_know_nothing_but_the_balancer() -> None:
    plan = LabPlan("0001", world.guide_hosts())
    for name in ("rpm1", "deb1"):
        known = plan.render_hosts_file(name)
        assert world.BALANCER in known
        assert not any(other in known for other in ("stationa.lab", "stationb.lab", "hub.lab", "up.lab"))


def test_instances_that_start_without_a_balancer_know_their_station() -> None:
    plan = LabPlan("0001", world.guide_hosts((Network.CORE, Network.EDGE)))
    assert f"{plan.address('sta')} sta.lab sta stationa.lab" in plan.render_hosts_file("rpm1")


def test_the_closing_sentence_counts_operations_alone() -> None:
    event = Event("e", 10.0, 20.0, None, None, None)
    operations = (
        Operation("agent", 1, 2),
        Operation("apt refresh", 11, 12, "exit 100"),
        Operation("GET http", 1, 2, "x"),
    )
    outcome = failures.Outcome((event,), operations)
    assert demo.summary(outcome) == "1 dnf, apt and agent operations done, 1 failed."
    assert outcome.failed_operations() == 1
