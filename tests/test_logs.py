"""Records as text and as JSON, and errors that repeat."""

from __future__ import annotations

import functools
import io
import json
import logging
import logging.handlers
import queue
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glyph_fast import json as json_of_ours
from glyph_fast import logs
from glyph_fast.logs import (
    ACCESS,
    ERROR,
    SERVER,
    AccessLog,
    ErrorLog,
    Throttle,
    configure_logging,
    log,
)
from glyph_fast.wire import SENT


@pytest.fixture(autouse=True)
def restored_loggers() -> Iterator[None]:
    before = SERVER.handlers[:], SERVER.level, SERVER.propagate
    yield
    SERVER.handlers[:], level, SERVER.propagate = before
    SERVER.setLevel(level)


@pytest.fixture
def text() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("debug", "text", stream)
    return stream


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    return stream


def raised(message: str = "boom", kind: type[Exception] = ValueError) -> Exception:
    try:
        raise kind(message)
    except Exception as exc:
        return exc


# --- text


def test_text_line_has_time_level_event_and_fields(text):
    log(SERVER, logging.INFO, "listening", url="http://127.0.0.1:8080", n=3, took=0.25)
    stamp, level, rest = text.getvalue().split(maxsplit=2)
    assert level == "info"
    assert rest == "listening url=http://127.0.0.1:8080 n=3 took=0.25\n"
    assert len(stamp) == len("2031-05-06T07:08:09.123Z") and stamp.endswith("Z")


def test_timestamps_are_rfc_3339_in_utc():
    assert logs.timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert logs.timestamp(1_000_000_000.9999) == "2001-09-09T01:46:40.999Z"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a=b", '"a=b"'),
        ("é", "é"),
        ("line\nforged", '"line\\nforged"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("\u2028", '"\\u2028"'),
        ("\ud800", '"\\ud800"'),
        (None, "None"),
        (True, "True"),
        (1 / 3, "0.333333"),
    ],
)
def test_text_values_are_quoted_when_they_must_be(text, value, written):
    log(SERVER, logging.INFO, "event", key=value)
    assert text.getvalue().endswith(f" event key={written}\n")


def test_an_event_cannot_forge_a_second_line(text):
    log(SERVER, logging.INFO, "bad\r\nline \x85 \x1b[0m")
    assert text.getvalue().endswith("bad\\r\\nline \\x85 \\x1b[0m\n")
    assert text.getvalue().count("\n") == 1


def test_every_line_of_a_traceback_is_indented_and_escaped(text):
    log(SERVER, logging.ERROR, "failed", exc_info=raised("one\n2031-05-06 forged\x1b[0m"))
    _, *trace = text.getvalue().splitlines()
    assert trace[0] == "  Traceback (most recent call last):"
    assert trace[-2:] == ["  ValueError: one", "  2031-05-06 forged\\x1b[0m"]
    assert all(line.startswith("  ") for line in trace)


def test_records_of_plain_logging_calls_are_formatted_too(text):
    logging.getLogger("glyph_fast.hub").warning("%d members left", 3)
    assert text.getvalue().endswith(" warning  3 members left\n")


# --- JSON


def test_json_line_is_one_object(lines):
    log(ACCESS, logging.INFO, "closed", code=1000, seconds=1.5, remote="127.0.0.1", user=None)
    entry = json.loads(lines.getvalue())
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "info",
        "logger": "glyph_fast.access",
        "event": "closed",
        "code": 1000,
        "seconds": 1.5,
        "remote": "127.0.0.1",
        "user": None,
    }


def test_json_keeps_newlines_and_traceback_in_one_line(lines):
    log(SERVER, logging.ERROR, "a\nb", exc_info=raised(), note="c\nd")
    assert lines.getvalue().count("\n") == 1
    entry = json.loads(lines.getvalue())
    assert entry["event"] == "a\nb" and entry["note"] == "c\nd"
    assert entry["exception"].endswith("ValueError: boom")


def test_json_field_does_not_displace_a_standard_member(lines):
    log(SERVER, logging.INFO, "event", time="noon", logger="mine")
    entry = json.loads(lines.getvalue())
    assert entry["logger"] == "glyph_fast"
    assert (entry["time_"], entry["logger_"]) == ("noon", "mine")


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x", {(1,): 2}, object])
def test_json_writes_any_value_as_valid_json(lines, value):
    log(SERVER, logging.INFO, "event", value=value)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    entry = json.loads(lines.getvalue(), parse_constant=refuse)
    assert entry["value"] == str(value)


# --- configuration


def test_level_holds_for_all_our_loggers():
    stream = io.StringIO()
    configure_logging("warning", "text", stream)
    log(ACCESS, logging.INFO, "left out")
    log(ERROR, logging.WARNING, "written")
    assert "left out" not in stream.getvalue() and "written" in stream.getvalue()


def test_configuring_again_replaces_the_former_setting(text):
    later = io.StringIO()
    configure_logging("info", "json", later)
    log(SERVER, logging.INFO, "event")
    assert text.getvalue() == ""
    assert json.loads(later.getvalue())["event"] == "event"


def test_configuring_leaves_the_handlers_of_the_application():
    theirs = logging.StreamHandler(io.StringIO())
    SERVER.addHandler(theirs)
    configure_logging()
    configure_logging()
    assert theirs in SERVER.handlers and len(SERVER.handlers) == 2


def test_the_default_stream_is_stderr(capsys):
    configure_logging()
    log(SERVER, logging.INFO, "event")
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.endswith("event\n")


def test_records_are_not_written_by_the_root_logger_as_well(text, monkeypatch):
    root = io.StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(root)])
    log(SERVER, logging.INFO, "event")
    assert "event" in text.getvalue() and root.getvalue() == ""


def test_a_record_names_the_place_that_logged_it(text):
    records: list[logging.LogRecord] = []
    SERVER.handlers[-1].addFilter(lambda record: records.append(record) or True)
    log(SERVER, logging.INFO, "event")
    assert records[0].funcName == "test_a_record_names_the_place_that_logged_it"


# --- the logging of a program


@pytest.fixture
def theirs(monkeypatch) -> io.StringIO:
    """What a root handler writes that knows nothing of us, as `basicConfig` makes one."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    SERVER.handlers[:] = []
    SERVER.propagate = True
    SERVER.setLevel("INFO")
    return stream


def test_the_message_carries_its_fields_to_every_formatter(theirs):
    log(ACCESS, logging.INFO, "request", path="/a b", status=200, seconds=0.25)
    assert theirs.getvalue() == (
        'INFO:glyph_fast.access:request path="/a b" status=200 seconds=0.25\n'
    )


def test_a_per_cent_sign_in_a_field_is_no_placeholder(theirs):
    log(ACCESS, logging.INFO, "request 100%", path="/%s%d")
    assert theirs.getvalue() == "INFO:glyph_fast.access:request 100% path=/%s%d\n"


def test_a_field_cannot_forge_a_line_of_another_formatter(theirs):
    log(ACCESS, logging.INFO, "request\nCRITICAL:root:fire", path="/\nCRITICAL:root:fire")
    assert theirs.getvalue().count("\n") == 1


def test_a_record_that_went_through_a_queue_is_written_alike(lines):
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    SERVER.addHandler(logging.handlers.QueueHandler(waiting))
    log(SERVER, logging.INFO, "listening", url="http://a", n=3)
    passed_on = waiting.get_nowait()
    assert passed_on.getMessage() == "listening url=http://a n=3"
    assert logs.JsonFormatter().format(passed_on) == lines.getvalue().rstrip("\n")


PROGRAM = """
import asyncio, logging, logging.config, urllib.request
from glyph_fast import Config, Server

server = Server()

def configure():
    {configure}

@server.get("/oops")
def oops(request):
    {late}
    raise LookupError("in the handler")

def ask(line):
    port = line.rpartition(":")[2]
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{{port}}/oops")
    except urllib.error.HTTPError as exc:
        assert exc.code == 500

async def main():
    asked = asyncio.get_running_loop().create_future()
    def announce(line):
        asyncio.get_running_loop().run_in_executor(None, ask, line).add_done_callback(
            lambda done: asked.set_result(None))
    serving = asyncio.create_task(server.serve(port=0, announce=announce))
    await asked
    await server.shutdown()
    await serving

{call}
asyncio.run(main())
"""
DICT_CONFIG = (
    "logging.config.dictConfig({'version': 1, 'root': {'handlers': ['h'], 'level': 'INFO'},"
    " 'handlers': {'h': {'class': 'logging.StreamHandler'}}})"
)


@pytest.mark.parametrize("call", ["configure()", "server.on_startup(configure)", ""])
@pytest.mark.parametrize("configure", ["logging.basicConfig(level='INFO')", DICT_CONFIG])
def test_a_program_that_configures_logging_sees_fields_and_tracebacks(configure, call):
    late = "pass" if call else "configure()"  # while the server serves
    program = PROGRAM.format(configure=configure, call=call, late=late)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if call:
        assert re.search(r"listening url=http://127.0.0.1:\d+ core=\w+ engine=\w+", done.stderr)
    assert re.search(r"request .*target=/oops status=500", done.stderr)
    assert re.search(r"handler failed .*handler=\S+oops", done.stderr)
    assert "LookupError: in the handler" in done.stderr


def test_loggers_that_dict_config_disabled_are_enabled_by_the_next_record(text, monkeypatch):
    for logger in (SERVER, ACCESS, ERROR):
        monkeypatch.setattr(logger, "disabled", True)
    assert AccessLog().is_on
    for logger in (SERVER, ACCESS, ERROR):
        logger.disabled = True
    ErrorLog().record(echo, ValueError("no"))
    assert "handler failed" in text.getvalue()


def test_a_logger_that_somebody_disabled_alone_stays_silent(monkeypatch):
    monkeypatch.setattr(ACCESS, "disabled", True)
    logs.enable_loggers()
    assert ACCESS.disabled
    monkeypatch.setattr(SERVER, "disabled", True)
    logs.enable_loggers()
    assert not (SERVER.disabled or ACCESS.disabled or ERROR.disabled)


# --- errors that repeat


def test_an_awaited_send_is_told_what_to_do(text):
    async def handler() -> None:
        await SENT  # type: ignore[misc]

    try:
        handler().send(None)
    except TypeError as exc:
        ErrorLog().record(handler, exc)
    assert "a send never waits: call it without await; conn.drain() waits" in text.getvalue()
    ErrorLog().record(handler, TypeError("await something else"))
    assert text.getvalue().count("a send never waits") == 1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def echo(ctx: object) -> None:
    raise NotImplementedError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def errors(clock: Clock) -> ErrorLog:
    return ErrorLog(clock=clock)


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_first_error_is_logged_with_its_traceback(lines, errors):
    errors.record(echo, raised(), connection="ab12")
    (entry,) = entries(lines)
    assert entry["event"] == "handler failed"
    assert entry["logger"] == "glyph_fast.error"
    assert entry["handler"] == f"{__name__}:echo"
    assert entry["connection"] == "ab12"
    assert "Traceback" in str(entry["exception"])


def test_repeated_error_is_counted_and_summed_up_at_growing_intervals(lines, errors, clock):
    said: list[tuple[float, object, object]] = []
    for _ in range(200):  # one error a second
        errors.record(echo, raised())
        for entry in entries(lines)[1 + len(said) :]:
            said.append((clock.now - 100, entry["times"], entry["total"]))
        clock.now += 1
    assert said == [(10, 10, 11), (50, 40, 51)]
    assert errors.total == 200


def test_intervals_stop_growing_at_an_hour(lines, errors, clock):
    for _ in range(20):
        errors.record(echo, raised())
        clock.now += logs.LONGEST_INTERVAL
    assert len(entries(lines)) == 20


def test_summary_tells_type_and_place_but_not_the_text(lines, errors, clock):
    for text in ("first", "secret"):
        errors.record(echo, raised(text))
    errors.flush()
    summary = entries(lines)[1]
    assert summary["event"] == "handler still fails"
    assert (summary["exception"], summary["times"], summary["total"]) == ("ValueError", 1, 2)
    assert str(summary["where"]).startswith(__file__ + ":")
    assert "secret" not in lines.getvalue()


def test_flush_says_nothing_twice(lines, errors):
    for _ in range(3):
        errors.record(echo, raised())
    errors.flush()
    errors.flush()
    assert [entry.get("times") for entry in entries(lines)] == [None, 2]


@pytest.mark.parametrize(
    ("handler", "exc"),
    [
        ("other", raised()),
        (echo, raised(kind=KeyError)),
        (echo, ValueError("from another line")),
    ],
)
def test_another_handler_type_or_line_is_another_kind(lines, errors, handler, exc):
    errors.record(echo, raised())
    errors.record(handler, exc)
    assert [entry["event"] for entry in entries(lines)] == ["handler failed"] * 2


def test_one_line_of_ours_that_fails_for_two_lines_of_the_program_is_two_kinds(lines, errors):
    def here() -> None:
        json_of_ours.dumps({1, 2})

    def there() -> None:
        json_of_ours.dumps({1, 2})

    for function in (here, there, here):
        try:
            function()
        except TypeError as exc:
            errors.record(echo, exc)
    assert [entry["event"] for entry in entries(lines)] == ["handler failed"] * 2
    assert [kind["count"] for kind in errors.recent()] == [2, 1]
    for kind in errors.recent():
        assert str(kind["where"]).startswith(__file__)


def test_a_line_of_the_standard_library_does_not_stand_for_the_program(errors):
    def here() -> None:
        json.loads("{")

    try:
        here()
    except ValueError as exc:
        errors.record(echo, exc)
    assert str(errors.recent()[0]["where"]) == f"{__file__}:{here.__code__.co_firstlineno + 1}"


def test_an_error_that_no_line_of_the_program_had_part_in_names_the_innermost(errors):
    code = compile("json.loads('{')", "<frozen x>", "exec")
    try:
        exec(code)
    except ValueError as exc:
        innermost = exc.__traceback__
        while innermost is not None and innermost.tb_next is not None:
            innermost = innermost.tb_next
        assert innermost is not None
        errors.record(echo, exc.with_traceback(innermost))
    assert "json" in str(errors.recent()[0]["where"])


def test_a_line_of_a_glyph_program_is_one_of_the_program(errors):
    file = Path(logs.__file__).parent / "chat" / "chat.glyph"  # which is ours, as it happens
    try:
        exec(compile("\n\n1 / 0", str(file), "exec"))
    except ZeroDivisionError as exc:
        errors.record(echo, exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next))
    assert errors.recent()[0]["where"] == f"{file}:3"


def test_number_of_kinds_is_bounded_and_what_is_forgotten_is_summed_up(lines, errors, monkeypatch):
    monkeypatch.setattr(logs, "MAX_KINDS", 2)
    for name in ("a", "b", "b", "a", "c"):  # "b" was seen longest ago when "c" comes
        errors.record(name, raised())
    errors.flush()
    summaries = [e["handler"] for e in entries(lines) if e["event"] == "handler still fails"]
    assert summaries == ["b", "a"]
    errors.record("b", raised())
    assert entries(lines)[-1]["event"] == "handler failed"


class Greeter:
    def greet(self) -> None: ...

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (echo, "echo"),
        (Greeter.greet, "Greeter.greet"),
        (Greeter().greet, "Greeter.greet"),
        (Greeter(), "Greeter"),
        (functools.partial(functools.partial(echo), 1), "echo"),
    ],
)
def test_handlers_are_named_by_module_and_qualified_name(handler, name):
    assert logs.qualified_name(handler) == f"{__name__}:{name}"


def test_a_name_stands_for_itself():
    assert logs.qualified_name("chat.glyph:12") == "chat.glyph:12"


def test_a_throttle_lets_some_through_and_counts_the_others() -> None:
    now = [0.0]
    throttle = Throttle(limit=2, interval=10.0, clock=lambda: now[0])
    assert [throttle.admit() for _ in range(4)] == [0, 0, None, None]
    now[0] = 10.0
    assert [throttle.admit() for _ in range(3)] == [2, 0, None]


def test_refusals_are_told_in_part_and_the_next_line_counts_the_others(caplog) -> None:
    now = [0.0]
    access = AccessLog("admin", Throttle(limit=2, interval=10.0, clock=lambda: now[0]))
    with caplog.at_level(logging.INFO, "glyph_fast.access"):
        for number in range(5):
            access.say_refused("bad request", number=number)
        now[0] = 10.0
        access.say_refused("bad request", number=5)
    assert [record.fields for record in caplog.records] == [
        {"number": 0, "port": "admin"},
        {"number": 1, "port": "admin"},
        {"number": 5, "others_unsaid": 3, "port": "admin"},
    ]


def test_recent_errors_are_told_the_latest_first() -> None:
    errors = ErrorLog()
    for exc in (KeyError("a"), ValueError("b"), KeyError("c")):
        errors.record("handler", exc)
    latest, former = errors.recent()
    assert (latest["exception"], latest["count"]) == ("KeyError", 2)
    assert (former["exception"], former["count"]) == ("ValueError", 1)
    assert [each["exception"] for each in errors.recent(1)] == ["KeyError"]
