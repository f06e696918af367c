"""What connections may take of a process, and what is told of those that a limit has ended."""

import resource

import pytest
from structlog.testing import capture_logs

from extender.runtime.connections import FEWEST, FOR_OTHERS, PortConnections, most_of_each, raise_descriptors
from extender.servers import bodies, connections
from extender.telemetry.metrics import ENDED, PORTS, Metrics


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [(1024, 256), (512, 85), (100, FEWEST), (1_000_000, connections.MOST), (resource.RLIM_INFINITY, connections.MOST)],
)
def test_no_port_takes_what_the_others_need(descriptors: int, most: int) -> None:
    assert most_of_each(descriptors) == most
    if descriptors > FOR_OTHERS:
        assert len(PORTS) * most <= descriptors - FOR_OTHERS


def test_the_process_gets_all_descriptors_it_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        assert raise_descriptors() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        assert raise_descriptors() == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_every_end_is_counted_and_some_are_logged() -> None:
    metrics = Metrics()
    with capture_logs() as logs:
        ports = PortConnections(metrics)
        for _ in range(1000):
            ports.of("extender").report("full")
        ports.of("metrics").report("full")
        ports.of("webhook").report("idle")
    told = [(line["server"], line["error"]) for line in logs]
    assert told == [(port, "there are as many as may be, and these did least") for port in ("extender", "metrics")]
    text = metrics.render()[0].decode()
    assert 'spotmix_connections_ended_total{port="extender",why="full"} 1000.0' in text
    assert 'spotmix_connections_ended_total{port="webhook",why="idle"} 1.0' in text
    for why in ENDED:
        ports.of("webhook").report(why)


def test_all_ports_share_the_room_for_bodies() -> None:
    ports = PortConnections(Metrics())
    assert len({id(ports.of(port).room) for port in PORTS}) == 1
    assert isinstance(ports.of("extender").room, bodies.BodyRoom)
    assert [list(reading.values.items()) for reading in ports.readings()] == [[((port,), 0) for port in PORTS]]
