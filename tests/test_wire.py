"""The numbers of the wire: which close codes may be sent, and tables that index one another."""

from __future__ import annotations

import base64
import hashlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import glyph_fast
from glyph_fast import wire
from glyph_fast.handlers.builtin import ClientCommands


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4008, 4999])
def test_may_be_sent(code: int) -> None:
    assert wire.is_sendable_code(code)


# RFC 6455 §7.4.1 reserves 1004, 1005, 1006 and 1015; §7.4.2 leaves the ranges around them unused.
@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_must_not_be_sent(code: int) -> None:
    assert not wire.is_sendable_code(code)


def test_every_close_code_of_ours_may_be_sent_but_the_two_that_mean_no_code() -> None:
    codes = {wire.NORMAL, wire.PROTOCOL_ERROR, wire.UNSUPPORTED_DATA, wire.INVALID_DATA}
    codes |= {wire.POLICY_VIOLATION, wire.TOO_BIG, wire.INTERNAL_ERROR, *wire.CLOSE_REASONS}
    assert all(map(wire.is_sendable_code, codes))
    assert not wire.is_sendable_code(wire.NO_STATUS)
    assert not wire.is_sendable_code(wire.ABNORMAL)


def test_every_close_reason_fits_a_control_frame() -> None:
    assert all(len(text.encode()) <= wire.MAX_CLOSE_REASON for text in wire.CLOSE_REASONS.values())


def test_policies_are_indexed_by_their_numbers() -> None:
    numbers = (wire.DROP_OLDEST, wire.DROP_NEWEST, wire.BLOCK, wire.DISCONNECT)
    assert [wire.POLICIES[number] for number in numbers] == [
        "drop_oldest",
        "drop_newest",
        "block",
        "disconnect",
    ]


def test_the_guid_gives_the_accept_key_of_the_rfc_s_example() -> None:
    digest = hashlib.sha1(b"dGhlIHNhbXBsZSBub25jZQ==" + wire.ACCEPT_GUID).digest()
    assert base64.b64encode(digest) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3


def test_a_result_is_a_tuple_of_three_with_two_attributes_beside_them() -> None:
    result = wire.SendResult(1, 2, 3, displaced=4, pending=True)
    sent, queued, dropped = result
    assert result == (sent, queued, dropped) == (1, 2, 3)
    assert (result.displaced, result.pending) == (4, True)
    assert (wire.SENT.displaced, wire.SENT.pending) == (0, False)
    assert repr(wire.SENT) == "SendResult(sent=1, queued=0, dropped=0)"
    assert repr(result).endswith("dropped=3, displaced=4, pending=True)")
    again = pickle.loads(pickle.dumps(result))
    assert (type(again), again, again.displaced) == (wire.SendResult, result, 4)


def test_the_shared_results_cannot_be_changed() -> None:
    for name in ("sent", "displaced", "pending"):
        with pytest.raises(AttributeError):
            setattr(wire.SENT, name, 1)


def test_each_single_result_counts_one_receiver() -> None:
    assert [sum(result) for result in (wire.SENT, wire.QUEUED, wire.DROPPED)] == [1, 1, 1]
    assert wire.NOBODY == (0, 0, 0)


# The words.


NEW_WORD = """
import sys
from glyph_fast import Config, GlyphServer, MessageType, Server
from glyph_fast.handlers.builtin import ClientCommands
from glyph_fast.testing import SyncTestClient

ClientCommands.shout = lambda self, ctx: ctx.reply_json(ctx.message.data.upper())

def answer(server):
    heard = []
    server.on_message(MessageType.SHOUT)(lambda ctx: heard.append(ctx.message.type))
    with SyncTestClient(server) as client, client.connect("/ws") as ws:
        ws.send_json({"type": "shout", "data": "hey"})
        print(ws.receive_json()["data"], *heard)

program = GlyphServer()
program.load(sys.argv[1])
answer(Server())
answer(program)
print("shout" in Config().command_words, Config(client_commands="shout").client_commands)
"""


def test_a_word_is_added_in_one_place(tmp_path: Path) -> None:
    """A copy of the package with one more line knows it in Python and Glyph, and as an option."""
    package = tmp_path / "glyph_fast"
    shutil.copytree(Path(glyph_fast.__file__).parent, package)
    table = package / "wire.py"
    line = '    PING = "ping", COMMAND\n'
    before = table.read_text()
    table.write_text(
        before.replace(line, line + line.replace("PING", "SHOUT").replace("ping", "shout"))
    )
    assert table.read_text().count("\n") == before.count("\n") + 1
    program = tmp_path / "relay.glyph"
    program.write_text("@ ws /ws {\n  on message {\n    ws.send(input)\n  }\n}\n")
    done = subprocess.run(
        [sys.executable, "-c", NEW_WORD, program], cwd=tmp_path, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["HEY shout", "HEY shout", "True ('shout',)"]


@pytest.mark.parametrize("command", wire.COMMANDS)
def test_every_command_has_its_effect(command: wire.MessageType) -> None:
    assert callable(getattr(ClientCommands, command.value))


def test_a_type_is_its_word() -> None:
    assert wire.MessageType.JOIN_ROOM == "join_room" == wire.MessageType("join_room").value
    assert pickle.loads(pickle.dumps(wire.MessageType.TEXT)) is wire.MessageType.TEXT
    with pytest.raises(ValueError, match="'shout' is no type of message; the types are text, b"):
        wire.MessageType("shout")
