"""What is declared about rooms: how it is read, and which pattern counts."""

from __future__ import annotations

import fnmatch
import pickle
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.options.config import Config
from glyph_fast.options.rooms import (
    KEYS,
    Declarations,
    RoomDeclaration,
    declaration_of_program,
    literal_characters,
)
from glyph_fast.options.sources import load_config


def declared(*patterns: str) -> list[RoomDeclaration]:
    return [RoomDeclaration(pattern=each) for each in patterns]


def in_file(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "some.toml"
    file.write_text(text, encoding="utf-8")
    return load_config({}, {}, file)


# Reading.


def test_a_table_for_each_pattern_is_read_from_the_file(tmp_path: Path) -> None:
    config = in_file(
        tmp_path,
        'port = 1\n[rooms."chat:*"]\nclient_join = true\nmax_members = 50\n'
        "[rooms.lobby]\nclient_publish = false\n[rooms.empty]\n",
    )
    assert config.rooms == (
        RoomDeclaration(pattern="chat:*", client_join=True, max_members=50),
        RoomDeclaration(pattern="lobby", client_publish=False),
        RoomDeclaration(pattern="empty"),
    )
    assert config.port == 1


def test_python_takes_the_same_tables_and_takes_back_what_it_gives() -> None:
    config = Config(rooms={"chat:*": {"client_join": "on", "max_members": "5"}})
    assert config.rooms == (RoomDeclaration(pattern="chat:*", client_join=True, max_members=5),)
    assert Config(rooms=config.rooms) == config == config.replace(port=8080)
    assert hash(config) == hash(Config(rooms=config.rooms))
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rooms = 5", 'rooms: expected a table for each pattern of room names, such as [rooms."'),
        ('rooms = ["a"]', "rooms: expected a table for each pattern of room names"),
        ("[[rooms]]", "rooms: expected a table for each pattern of room names"),
        (
            "[rooms]\nclient_join = true",
            'rooms."client_join": expected a table of client_join, client_publish, max_members, '
            "presence, history_size, history_bytes, history_ttl, history_meta_ttl, "
            "client_history, found True",
        ),
        ('[rooms.""]', "rooms: expected a pattern of room names such as chat:*, found ''"),
        (
            '[rooms."a\\nb"]',
            "rooms: expected a pattern of room names such as chat:*, found 'a\\nb'",
        ),
        (
            "[rooms.a]\nmax_member = 5",
            'rooms."a".max_member: unknown option; did you mean max_members?',
        ),
        ("[rooms.a]\nzzz = 5", 'rooms."a".zzz: unknown option'),
        ('[rooms."ü\\""]\nzzz = 5', 'rooms."ü\\"".zzz: unknown option'),
        (
            "[rooms.a]\nhistory_size = -1",
            'rooms."a".history_size: expected a whole number of at least 0, found -1',
        ),
        (
            '[rooms.a]\nhistory_ttl = "0s"',
            'rooms."a".history_ttl: expected a duration such as 250ms, 30s or 5m, more than 0, '
            "found '0s'",
        ),
        ('[rooms.a]\nclient_join = "x"', "rooms.\"a\".client_join: expected on or off, found 'x'"),
        ("[rooms.a]\nclient_publish = 1", 'rooms."a".client_publish: expected on or off, found 1'),
        (
            "[rooms.a]\nmax_members = 0",
            'rooms."a".max_members: expected a whole number of at least 1, found 0',
        ),
        (
            "[rooms.a]\nmax_members = true",
            'rooms."a".max_members: expected a whole number of at least 1, found True',
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_told_in_one_line(
    text: str, error: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        in_file(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'some.toml'}: {error}")
    assert "\n" not in str(caught.value)


def test_neither_flag_nor_variable_holds_a_table() -> None:
    assert load_config({}, {"GLYPH_FAST_ROOMS": "5"}) == Config()


@pytest.mark.parametrize(
    ("pattern", "given", "error"),
    [
        ("a", {"max_members": 0}, 'rooms."a".max_members: expected a whole number of at least 1'),
        ("a", {"client_join": "maybe"}, 'rooms."a".client_join: expected on or off'),
        ("", {}, "rooms: expected a pattern of room names such as chat:*, found ''"),
        (5, {}, "rooms: expected a pattern of room names such as chat:*, found 5"),
    ],
)
def test_a_program_hears_the_same_errors(pattern: Any, given: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declaration_of_program(pattern, given)
    assert str(caught.value).startswith(error)


def test_what_rooms_remember_is_read_in_the_units_of_options(tmp_path: Path) -> None:
    text = (
        '[rooms.a]\nhistory_size = 200\nhistory_bytes = "2MiB"\nhistory_ttl = "10m"\n'
        'history_meta_ttl = "7d"\nclient_history = false'
    )
    (found,) = in_file(tmp_path, text).rooms
    assert found == RoomDeclaration(
        pattern="a",
        history_size=200,
        history_bytes=2 * 2**20,
        history_ttl=600.0,
        history_meta_ttl=7 * 86400.0,
        client_history=False,
    )
    default = RoomDeclaration(pattern="a")
    assert (default.history_bytes, default.history_ttl) == (2**20, 300.0)
    assert (default.history_meta_ttl, default.client_history) == (30 * 86400.0, True)


def test_what_a_program_does_not_give_is_left_to_the_default() -> None:
    given = {"client_join": True, "client_publish": None, "max_members": None}
    found = declaration_of_program("a", given)
    assert found == RoomDeclaration(pattern="a", client_join=True)


def test_every_key_is_a_field_of_the_declaration() -> None:
    assert {"pattern", *KEYS} == set(RoomDeclaration.__dataclass_fields__)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "as by default"),
        ({"client_publish": False}, "client_publish=False"),
        ({"client_join": True, "max_members": 5}, "client_join=True, max_members=5"),
    ],
)
def test_a_declaration_is_told_as_it_would_be_written(given: dict[str, Any], text: str) -> None:
    assert str(declaration_of_program("a", given)) == text


# Which one counts.


@pytest.mark.parametrize(
    ("in_file", "in_program", "name", "counts"),
    [
        ((), (), "a", None),
        ((), ("b", "A"), "a", None),
        ((), ("*", "chat:*", "chat:1"), "chat:1", "chat:1"),
        ((), ("*", "chat:*", "chat:1"), "chat:2", "chat:*"),
        ((), ("*", "chat:*", "chat:1"), "other", "*"),
        ((), ("*:red", "team:*"), "team:red", "team:*"),  # five literal characters, four
        ((), ("a?", "?a"), "aa", "a?"),  # as many: the first
        ((), ("?a", "a?"), "aa", "?a"),
        ((), ("[ab]*", "?*"), "a", "[ab]*"),
        (("*",), ("chat:1",), "chat:1", "*"),  # the file's, however little it says
        (("chat:*", "*"), ("chat:1",), "other", "*"),
        (("chat:*",), ("*",), "other", "*"),
        ((), ("[*]",), "*", "[*]"),
        ((), ("[*]",), "a", None),
        ((), ("a*",), "a\n", "a*"),
    ],
)
def test_of_several_patterns_one_counts(
    in_file: tuple[str, ...], in_program: tuple[str, ...], name: str, counts: str | None
) -> None:
    found = Declarations(declared(*in_file), declared(*in_program)).of(name)
    assert (found and found.pattern) == counts


def test_of_equal_patterns_the_first_counts_whole() -> None:
    first = RoomDeclaration(pattern="a", max_members=1)
    second = RoomDeclaration(pattern="a", client_join=True)
    assert Declarations((), (first, second)).of("a") is first
    assert Declarations((second,), (first,)).of("a") is second


def test_they_are_listed_in_the_order_in_which_they_are_looked_at() -> None:
    both = Declarations(declared("*", "ab*"), declared("a", "abc"))
    assert [each.pattern for each in both] == ["ab*", "*", "abc", "a"]


@pytest.mark.parametrize(
    ("pattern", "n"),
    [
        ("", 0), ("*", 0), ("?", 0), ("chat:*", 5), ("a?b", 2), ("[ab]c", 1), ("[!ab]c", 1),
        ("[]ab]c", 1), ("[a", 2), ("[*]x", 2), ("[!]", 3), ("[]", 2), ("a[b", 3), ("[!]]", 0),
    ],
)  # fmt: skip
def test_literal_characters_are_those_that_stand_for_themselves(pattern: str, n: int) -> None:
    assert literal_characters(pattern) == n
    assert (n == len(pattern)) <= fnmatch.fnmatchcase(pattern, pattern)
