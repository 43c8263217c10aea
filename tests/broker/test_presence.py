"""What is known of the members in another process, whatever is lost, repeated or out of order."""

from __future__ import annotations

import random

from glyph_fast.broker.presence import MAX_HELD, Diff, Entry, Remote, Snapshot


def entry(name: str) -> Entry:
    return Entry(name, b'{"id":"%b"}' % name.encode())


A, B, C = entry("a"), entry("b"), entry("c")


def test_diffs_in_order_are_applied_once() -> None:
    remote = Remote()
    first, second = Diff(1, 0, {"a": A, "b": B}, ()), Diff(4, 1, {"c": C}, ("a",))
    assert remote.hear(first) == [("a", A), ("b", B)]
    assert remote.hear(second) == [("a", None), ("c", C)]
    assert remote.hear(first) == remote.hear(second) == []
    assert remote.members == {"b": B, "c": C} and remote.seq == 4


def test_a_gap_waits_for_a_snapshot_and_what_comes_behind_it_is_kept() -> None:
    remote = Remote()
    remote.hear(Diff(1, 0, {"a": A}, ()))
    assert remote.hear(Diff(3, 2, {"c": C}, ())) == [] and remote.seq is None
    assert remote.hear(Diff(4, 3, {}, ("c",))) == []
    assert remote.take(Snapshot("n", 2, {"b": B})) == [
        ("a", None), ("b", B), ("c", C), ("c", None)
    ]  # fmt: skip
    assert remote.members == {"b": B} and remote.seq == 4


def test_an_empty_diff_after_itself_shows_that_the_last_was_lost() -> None:
    remote = Remote()
    remote.hear(Diff(1, 0, {"a": A}, ()))
    remote.hear(Diff(1, 1, {}, ()))
    assert remote.seq == 1
    remote.hear(Diff(2, 2, {}, ()))
    assert remote.seq is None
    assert remote.take(Snapshot("n", 2, {})) == [("a", None)] and remote.seq == 2


def test_a_snapshot_with_a_hole_behind_it_is_asked_for_again() -> None:
    remote = Remote()
    remote.seq = None
    remote.hear(Diff(5, 4, {"c": C}, ()))
    assert remote.take(Snapshot("n", 3, {"a": A})) == [("a", A)]
    assert remote.seq is None
    assert remote.take(Snapshot("n", 4, {"a": A})) == [("c", C)]
    assert remote.seq == 5


def test_a_room_that_was_forgotten_begins_anew() -> None:
    remote = Remote()
    remote.hear(Diff(1, 0, {"a": A}, ()))
    # That a left was lost, with the room; its next life is numbered on.
    assert remote.hear(Diff(9, 0, {"b": B}, ())) == [("a", None), ("b", B)]
    assert remote.take(Snapshot("n", 8, {"a": A})) == []  # late
    assert remote.members == {"b": B}


def test_what_waits_is_bounded() -> None:
    remote = Remote()
    remote.seq = None
    for seq in range(2, 1000):
        remote.hear(Diff(seq, seq - 1, {str(seq): A}, ()))
    remote.take(Snapshot("n", 1, {}))
    assert len(remote.members) == MAX_HELD and remote.seq == MAX_HELD + 1
    remote.hear(Diff(1000, 999, {}, ()))
    assert remote.seq is None  # the hole is found


def test_any_loss_and_repetition_is_healed_by_snapshots() -> None:
    chance = random.Random(7)
    for _ in range(300):
        truth: dict[str, Entry] = {}
        remote, seq, after = Remote(), 0, 0
        late: list[Diff] = []
        for _ in range(chance.randrange(40)):
            joined = {name: entry(name) for name in chance.sample("abcdef", chance.randrange(3))}
            left = tuple(name for name in truth if name not in joined and chance.random() < 0.3)
            seq += chance.randrange(1, 4)
            diff, after = Diff(seq, after, joined, left), seq
            truth = {name: one for name, one in truth.items() if name not in left} | joined
            if not truth and chance.random() < 0.5:
                after = 0
            fate = chance.random()
            if fate < 0.3:
                late.append(diff)
                continue
            for heard in (diff, *(late if chance.random() < 0.3 else ())):
                remote.hear(heard)
            if remote.seq is None and chance.random() < 0.5:
                remote.take(Snapshot("n", seq, truth))
        seq += 1
        remote.hear(Diff(seq, after, {"z": A}, ()))
        truth = truth | {"z": A}
        if remote.seq is None:
            remote.take(Snapshot("n", seq, truth))
        assert remote.members == truth and remote.seq == seq
