"""Following messages from one publisher to many seats."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.load.flow import AnsweredSeat, Flow, ManySeats, Seat, Tally, WindowFull
from glyph_fast.load.payloads import make_script


class Publisher:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, payload: Any) -> None:
        self.sent.append(payload)


class Run:
    """A flow with two seats and a list of the mismatches found."""

    def __init__(self, in_flight: int = 2, closed_loop: bool = False) -> None:
        self.wrong: list[tuple[Any, Any]] = []
        self.tally = Tally(lambda peer, got, expected: self.wrong.append((got, expected)))
        self.tally.is_closed_loop = closed_loop
        self.publisher = Publisher()
        script = make_script(32, in_flight, binary=False)
        self.flow = Flow(self.tally, self.publisher, script)
        self.flow.audience = 2
        self.seats = [Seat(self.flow), Seat(self.flow)]


def test_a_message_is_done_when_its_last_listener_has_it() -> None:
    run = Run()
    run.flow.send(0)
    (message,) = run.publisher.sent
    run.seats[0].hear(None, message)
    assert (run.flow.done, run.tally.outstanding, run.tally.latency.count) == (0, 1, 0)
    run.seats[1].hear(None, message)
    assert (run.flow.done, run.tally.outstanding, run.tally.latency.count) == (1, 0, 1)
    assert run.tally.delivered == 2


def test_a_closed_loop_sends_the_next_when_one_is_done() -> None:
    run = Run(closed_loop=True)
    run.flow.send(0)
    for seat in run.seats:
        seat.hear(None, run.publisher.sent[0])
    assert len(run.publisher.sent) == 2
    assert run.publisher.sent[1] != run.publisher.sent[0]


def test_messages_out_of_order_are_a_mismatch() -> None:
    run = Run()
    run.flow.send(0)
    run.flow.send(0)
    first, second = run.publisher.sent
    run.seats[0].hear(None, second)
    assert run.wrong == [(second, first)]
    assert run.tally.delivered == 0


def test_a_message_of_the_other_kind_is_a_mismatch() -> None:
    run = Run()
    run.flow.send(0)
    run.seats[0].hear(None, run.publisher.sent[0].encode())
    assert len(run.wrong) == 1


def test_more_messages_than_payloads_cannot_be_outstanding() -> None:
    run = Run()
    for _ in range(len(run.flow.script)):
        run.flow.send(0)
    with pytest.raises(WindowFull):
        run.flow.send(0)


def test_flows_of_one_room_are_told_apart_and_their_order_is_kept() -> None:
    tally = Tally(lambda *_: pytest.fail("no mismatch expected"))
    tally.is_closed_loop = False
    flows = [Flow(tally, Publisher(), make_script(32, 1, binary=True, tag=tag)) for tag in range(2)]
    for flow in flows:
        flow.audience = 1
        flow.send(0)
    one, two = (flow.publisher.sent[0] for flow in flows)
    seats = [ManySeats(flows), ManySeats(flows)]
    seats[0].hear(None, one)
    seats[0].hear(None, two)
    seats[1].hear(None, two)
    seats[1].hear(None, one)
    assert seats[0].order != seats[1].order


def test_a_publisher_passes_over_what_comes_back_to_it() -> None:
    tally = Tally(lambda *_: pytest.fail("no mismatch expected"))
    flows = [Flow(tally, Publisher(), make_script(32, 1, binary=False))]
    ManySeats(flows, own=0).hear(None, flows[0].script[3])
    assert tally.delivered == 0


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ('{"of":0,"at":"now"}', True),
        ('{"of":1,"at":"now"}', False),
        ('{"of":0,"at":"now"', False),
        ("", False),
        (b'{"of":0,"at":"now"}', False),
    ],
)
def test_an_answer_begins_as_it_must_and_is_whole(answer: Any, is_right: bool) -> None:
    run = Run()
    run.flow.audience = 1
    seat = AnsweredSeat(run.flow, [f'{{"of":{n},' for n in range(run.flow.mask + 1)])
    run.flow.send(0)
    seat.hear(None, answer)
    assert (run.flow.done, len(run.wrong)) == ((1, 0) if is_right else (0, 1))


def test_an_answer_to_nothing_is_a_mismatch() -> None:
    run = Run()
    seat = AnsweredSeat(run.flow, [f'{{"of":{n},' for n in range(run.flow.mask + 1)])
    seat.hear(None, '{"of":0,"at":"now"}')
    assert run.wrong
