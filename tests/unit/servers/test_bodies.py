"""What bodies take of memory: many, slow and large ones, and who gives way."""

import pytest

from extender.servers.bodies import LARGE, TOTAL, TURN, WAITING, BodyRoom


class Sending:
    """A body that arrives."""

    def __init__(self, room: BodyRoom) -> None:
        self.room = room
        self.arriving = True
        self.held = False
        self.ended = ""

    def hold(self) -> None:
        self.held = True

    def go_on(self) -> None:
        self.held = False

    def end(self, reason: str) -> None:
        self.ended = reason

    def send(self, size: int, now: float = 0.0) -> None:
        self.room.took(self, size, now)

    def answered(self, now: float = 0.0) -> None:
        self.arriving = False
        self.room.released(self, now)


@pytest.fixture
def room() -> BodyRoom:
    return BodyRoom()


def test_small_bodies_come_and_go(room: BodyRoom) -> None:
    for _ in range(3):
        bodies = [Sending(room) for _ in range(TOTAL // LARGE)]
        for body in bodies:
            body.send(LARGE)
        assert room.total == TOTAL
        for body in bodies:
            body.answered()
            body.answered()
        assert room.total == 0
        assert not any(body.ended for body in bodies)


def test_the_one_that_arrives_for_longest_gives_way(room: BodyRoom) -> None:
    slow = [Sending(room) for _ in range(TOTAL // LARGE)]
    for body in slow:
        body.send(LARGE)
    slow[0].arriving = False
    quick = Sending(room)
    quick.send(1000)
    assert [body.ended for body in slow] == ["", "memory"] + [""] * (len(slow) - 2)
    assert not quick.ended
    assert room.total <= TOTAL


def test_where_all_have_arrived_the_newcomer_gives_way(room: BodyRoom) -> None:
    for _ in range(TOTAL // LARGE):
        body = Sending(room)
        body.send(LARGE)
        body.arriving = False
    late = Sending(room)
    late.send(1)
    assert late.ended == "memory"
    assert room.total == TOTAL


def test_large_bodies_take_turns_the_newest_first(room: BodyRoom) -> None:
    first, second, third = (Sending(room) for _ in range(3))
    for body in (first, second, third):
        body.send(LARGE)
        body.send(1)
    assert [body.held for body in (first, second, third)] == [False, True, True]
    first.send(100 * LARGE)
    assert room.total == 2 * (LARGE + 1)
    first.answered()
    assert [body.held for body in (second, third)] == [True, False]
    third.answered()
    assert not second.held
    second.answered()
    assert room.total == 0
    assert not any(body.ended for body in (first, second, third))


def test_few_wait_for_their_turn(room: BodyRoom) -> None:
    bodies = [Sending(room) for _ in range(30)]
    for body in bodies:
        body.send(LARGE + 1)
    assert [body.ended for body in bodies] == [""] + ["memory"] * (29 - WAITING) + [""] * WAITING
    assert room.total == WAITING * (LARGE + 1)


def test_a_slow_one_loses_its_turn_to_those_that_wait(room: BodyRoom) -> None:
    slow, quick = Sending(room), Sending(room)
    slow.send(LARGE + 1, 10.0)
    room.sweep(100.0)
    assert not slow.ended
    quick.send(LARGE + 1, 100.0)
    room.sweep(100.0)
    assert (slow.ended, quick.held) == ("memory", False)
    waits = Sending(room)
    waits.send(LARGE + 1, 101.0)
    quick.arriving = False
    room.sweep(101.0 + TURN)
    # It has arrived, and is being answered.
    assert (quick.ended, waits.held) == ("", True)
    quick.answered(110.0)
    assert not waits.held


def test_one_that_goes_away_while_it_waits(room: BodyRoom) -> None:
    first, gone, third = (Sending(room) for _ in range(3))
    for body in (first, gone, third):
        body.send(LARGE + 1)
    third.answered()
    gone.answered()
    first.answered()
    assert room.total == 0
    fourth = Sending(room)
    fourth.send(LARGE + 1)
    assert not fourth.held
