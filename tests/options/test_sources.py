"""Flags, environment and file: which of them wins, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.options.config import FIELDS, NOT_YET, OPTIONS, Config
from glyph_fast.options.sources import given_options, load_config


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that no glyph-fast.toml of anybody counts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(directory: Path, content: str, name: str = "glyph-fast.toml") -> Path:
    file = directory / name
    file.write_text(content, encoding="utf-8")
    return file


def refusal(flags=None, environ=None, file_path=None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(flags or {}, environ or {}, file_path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(directory):
    (directory / "glyph-fast.toml").write_bytes(b"\xef\xbb\xbfport = 7")
    assert load_config({}, {}).port == 7


# --- precedence


def test_nothing_given_is_the_default():
    assert load_config({}, {"PATH": "/bin", "GLYPH_CORS_ORIGIN": "*"}) == Config()


LAYERS = [
    ("file", 1),
    ("GLYPH_PORT", 2),
    ("GLYPH_FAST_PORT", 3),
    ("flag", 4),
]


@pytest.mark.parametrize("highest", range(1, len(LAYERS) + 1))
def test_flag_wins_over_environment_over_file_over_default(highest, directory):
    flags, environ = {}, {}
    for where, port in LAYERS[:highest]:
        if where == "file":
            write(directory, f"port = {port}\nhost = 'file'")
        elif where == "flag":
            flags["port"] = str(port)
        else:
            environ[where] = str(port)
    config = load_config(flags, environ)
    assert (config.port, config.host) == (highest, "file")


def test_older_variables_count_for_host_and_port_only():
    config = load_config({}, {"GLYPH_PORT": "1", "GLYPH_HOST": "::1", "GLYPH_UDS": "/s"})
    assert (config.port, config.host, config.uds) == (1, "::1", None)


def test_flags_that_were_not_given_do_not_count():
    environ = {"GLYPH_FAST_PORT": "5", "GLYPH_FAST_SUBPROTOCOLS": "v1"}
    assert load_config({"port": None, "subprotocols": ()}, environ) == Config(
        port=5, subprotocols=["v1"]
    )


def test_a_switch_can_be_turned_off_again_by_a_flag(directory):
    write(directory, "client_broadcast_all = true")
    assert load_config({}, {}).client_broadcast_all
    assert not load_config({"client_broadcast_all": False}, {}).client_broadcast_all


def test_an_empty_variable_counts_as_not_set(directory):
    write(directory, "port = 7")
    assert load_config({}, {"GLYPH_FAST_PORT": "", "GLYPH_PORT": ""}).port == 7


def test_a_bad_value_that_is_overruled_does_no_harm():
    assert load_config({"port": "1"}, {"GLYPH_FAST_PORT": "abc"}).port == 1


def test_lists_come_from_flags_variables_and_files(directory):
    origins = ("https://a.example", "https://b.example")
    by_flag = load_config({"allowed_origins": origins}, {})
    by_variable = load_config({}, {"GLYPH_FAST_ALLOWED_ORIGINS": ", ".join(origins)})
    write(directory, f"allowed_origins = {list(origins)}")
    by_file = load_config({}, {})
    assert by_flag == by_variable == by_file == Config(allowed_origins=origins)


WITH_DEFAULT = sorted(name for name in set(FIELDS) - NOT_YET if FIELDS[name].default_text)


@pytest.mark.parametrize("name", WITH_DEFAULT)
def test_every_default_can_be_written_as_variable_and_in_the_file(name, directory):
    default = FIELDS[name].default_text
    assert load_config({}, {FIELDS[name].env: default}) == Config()
    write(directory, f'{name} = "{default}"')
    assert load_config({}, {}) == Config()


# --- the file


def test_file_is_found_in_the_working_directory_only_by_its_name(directory):
    write(directory, "port = 1", "other.toml")
    assert load_config({}, {}).port == 8080
    write(directory, "port = 2")
    assert load_config({}, {}).port == 2


def test_file_can_be_named_by_argument_flag_and_variable(directory):
    write(directory, "port = 1")
    for port in (2, 3, 4):
        write(directory, f"port = {port}", f"{port}.toml")
    environ = {"GLYPH_FAST_CONFIG": "2.toml"}
    assert load_config({}, environ).port == 2
    assert load_config({"config": "3.toml"}, environ).port == 3
    assert load_config({"config": "3.toml"}, environ, directory / "4.toml").port == 4


def test_named_file_that_is_absent_is_an_error():
    assert refusal({"config": "no.toml"}) == "--config: no such file: no.toml"


def test_file_that_is_a_directory_is_an_error(directory):
    (directory / "glyph-fast.toml").mkdir()
    assert refusal() == "glyph-fast.toml: is a directory"


@pytest.mark.parametrize("content", [b"port = ", b"= 1", b"port = 1\nport = 2", b"host = '\xff'"])
def test_file_that_is_not_toml_is_an_error(content, directory):
    (directory / "glyph-fast.toml").write_bytes(content)
    assert refusal().startswith("glyph-fast.toml: not TOML: ")


def test_number_too_long_to_read_is_an_error(directory):
    write(directory, "port = " + "9" * 5000)
    assert refusal().startswith("glyph-fast.toml: not TOML: ")


# --- unknown names and bad values


@pytest.mark.parametrize(
    ("flags", "environ", "content", "message"),
    [
        ({"prot": 1}, {}, "", "prot: unknown option; did you mean port?"),
        (
            {"allowed_origin": "*"}, {}, "",
            "allowed_origin: unknown option; did you mean allowed_origins?",
        ),
        (
            {}, {}, "prot = 1",
            "glyph-fast.toml: prot: unknown option; did you mean port?",
        ),
        (
            {}, {}, "max-connections = 1",
            "glyph-fast.toml: max-connections: unknown option; "
            "did you mean max_connections?",
        ),
        ({}, {}, "[serve]\nport = 1", "glyph-fast.toml: serve: unknown option"),
    ],
)  # fmt: skip
def test_unknown_name_is_refused_with_a_hint(flags, environ, content, message, directory):
    write(directory, content)
    assert refusal(flags, environ).startswith(message)


def test_file_cannot_name_another_file(directory):
    write(directory, "config = 'x.toml'")
    assert refusal().startswith("glyph-fast.toml: config: unknown option")


def test_bad_value_names_the_place_it_came_from(directory):
    expected = "expected a whole number from 0 to 65535, found 'abc'"
    assert refusal({"port": "abc"}) == f"--port: {expected}"
    assert refusal({}, {"GLYPH_FAST_PORT": "abc"}) == f"GLYPH_FAST_PORT: {expected}"
    assert refusal({}, {"GLYPH_PORT": "abc"}) == f"GLYPH_PORT: {expected}"
    write(directory, 'port = "abc"')
    assert refusal() == f"glyph-fast.toml: port: {expected}"
    other = write(directory, "port = 1.5", "other.toml")
    assert refusal(file_path=other).startswith(f"{other}: port: expected")


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"tls_key": "/"}, {}, "--tls-key needs --tls-cert"),
        (
            {"uds": "/s"}, {"GLYPH_FAST_TLS_CERT": "/c"},
            "--uds and GLYPH_FAST_TLS_CERT do not go together",
        ),
        ({}, {"GLYPH_FAST_LOOP": "asyncio"}, "GLYPH_FAST_LOOP is not available in this version"),
        ({"max_room_name": "5"}, {}, "--max-room-name is not available in this version"),
    ],
)  # fmt: skip
def test_unusable_combination_names_the_places_too(flags, environ, message, monkeypatch):
    monkeypatch.setattr("glyph_fast.options.config.NOT_YET", {"loop", "max_room_name"})
    assert refusal(flags, environ) == message


# --- variables of somebody else


def service_variables(service: str) -> dict[str, str]:
    """What the kubelet sets for a Service with two named ports (`GetEnvVarsForService`)."""
    name = service.upper().replace("-", "_")
    found = {f"{name}_SERVICE_HOST": "10.0.0.1", f"{name}_SERVICE_PORT": "80"}
    found |= {f"{name}_SERVICE_PORT_HTTP": "80", f"{name}_SERVICE_PORT_DNS": "53"}
    found[f"{name}_PORT"] = "tcp://10.0.0.1:80"
    for port, protocol in ((80, "tcp"), (53, "udp"), (99, "sctp")):
        start = f"{name}_PORT_{port}_{protocol.upper()}"
        found[start] = f"{protocol}://10.0.0.1:{port}"
        found |= {f"{start}_PROTO": protocol, f"{start}_PORT": str(port)}
        found[f"{start}_ADDR"] = "10.0.0.1"
    return found


@pytest.mark.parametrize(
    "service",
    [
        "glyph", "glyph-fast", "glyph-fast-redis-master", "glyph-fast-metrics", "glyph-fast-admin",
        "glyph-fast-port", "glyph-fast-admin-token", "glyph-fast-v6",
    ],
)  # fmt: skip
def test_variables_of_a_kubernetes_service_are_no_options(service):
    given = given_options({}, service_variables(service))
    assert (given.values, given.doubts) == ({}, ())


def test_an_option_stands_beside_the_variables_of_a_service():
    environ = service_variables("glyph-fast") | {"GLYPH_PORT": "7"}
    assert load_config({}, environ).port == 7
    assert load_config({}, service_variables("glyph") | {"GLYPH_FAST_PORT": "8"}).port == 8


@pytest.mark.parametrize(
    "variable",
    [
        "GLYPH_FAST_BUILD", "GLYPH_FAST_DEBUG", "GLYPH_FAST_SANITIZE", "GLYPH_FAST_IO_URING",
        "GLYPH_FAST_DIRECT_TLS", "GLYPH_FAST_VERSION", "GLYPH_FAST_IMAGE", "GLYPH_FAST_HOME",
        "GLYPH_FAST_REDIS_URL", "GLYPH_FAST_", "MY_GLYPH_FAST_PROT",
    ],
)  # fmt: skip
def test_variables_that_are_near_to_no_option_are_ignored_in_silence(variable):
    given = given_options({}, {variable: "1"})
    assert (given.values, given.doubts) == ({}, ())


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("GLYPH_FAST_PROT", "GLYPH_FAST_PORT"),
        ("GLYPH_FAST_ALLOWED_ORIGIN", "GLYPH_FAST_ALLOWED_ORIGINS"),
        ("GLYPH_FAST_LOGLEVEL", "GLYPH_FAST_LOG_LEVEL"),
        ("GLYPH_FAST_MAX_CONNECTION", "GLYPH_FAST_MAX_CONNECTIONS"),
        ("GLYPH_FAST_CONFIG_FILE", "GLYPH_FAST_CONFIG"),
    ],
)
def test_a_variable_that_is_near_to_an_option_is_ignored_with_a_doubt(variable, meant):
    given = given_options({}, {variable: "1"})
    assert given.values == {}
    assert given.doubts == (f"{variable} is not an option; did you mean {meant}?",)


def test_core_and_engine_can_be_set_in_the_environment():
    environ = {"GLYPH_FAST_CORE": "python", "GLYPH_FAST_ENGINE": "asyncio"}
    assert load_config({}, environ) == Config(core="python", engine="asyncio")


# --- over the configuration of a program


def test_given_options_change_nothing_else_of_a_config(directory):
    write(directory, "max_connections = 5")
    given = given_options({"port": "1"}, {"GLYPH_FAST_PING_INTERVAL": "1m"})
    own = Config(port=9, ping_interval=5, max_room_members=7, max_connections=9)
    assert given.over(own) == Config(
        port=1, ping_interval=60, max_room_members=7, max_connections=5
    )


def test_option_given_as_its_default_still_counts():
    assert given_options({"port": "8080"}, {}).over(Config(port=9)).port == 8080


def test_given_options_are_checked_against_the_config_they_go_over():
    given = given_options({"client_commands": "none"}, {})
    with pytest.raises(ConfigError, match="broadcast in --client-commands"):
        given.over(Config(client_broadcast_all=True))


def test_what_only_a_program_can_give_is_no_key_no_variable_and_no_flag(tmp_path):
    path = tmp_path / "f.toml"
    path.write_text('json_default = "str"\n')
    with pytest.raises(ConfigError) as caught:
        load_config({}, {}, path)
    expected = f"{path}: json_default: only a program can give it, in Config(json_default=…)"
    assert str(caught.value) == expected
    assert load_config({}, {"GLYPH_FAST_JSON_DEFAULT": "str"}).json_default is None
    assert given_options({"port": 1}, {}).over(Config(json_default=str)).json_default is str


def test_every_flag_is_taken_by_its_name():
    known = {each.name: None for each in OPTIONS}
    assert given_options(known, {}).values == {}
