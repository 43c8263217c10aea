"""`Config`: the declaration of every option, its defaults, and what does not go together."""

from __future__ import annotations

import copy
import os
import pickle
import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.options import config as config_module
from glyph_fast.options import unusable as unusable_module
from glyph_fast.options.config import (
    CONFIG_FILE,
    FIELDS,
    NOT_YET,
    OPTIONS,
    Config,
)
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.options.unusable import MAX_UDS
from glyph_fast.options.values import Address, Rate

DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8080,
    "uds": None,
    "uds_mode": "660",
    "tls_cert": None,
    "tls_key": None,
    "tls_key_password": None,
    "tls_client_ca": None,
    "tls_min_version": "1.2",
    "core": "auto",
    "engine": "auto",
    "loop": "auto",
    "log_level": "info",
    "log_format": "text",
    "workers": 1,
    "worker_timeout": 30.0,
    "reload": False,
    "dev": False,
    "skip_unsupported": False,
    "admin": None,
    "admin_token": None,
    "max_connections": 10_000,
    "max_connections_per_ip": None,
    "max_connections_per_user": None,
    "max_room_members": 1000,
    "max_rooms_per_connection": 100,
    "max_room_name": 128,
    "max_message_size": 524_288,
    "max_body_size": 10 * 2**20,
    "queue_messages": 256,
    "queue_bytes": 1_048_576,
    "queue_policy": "drop_oldest",
    "write_timeout": 10.0,
    "json_default": None,
    "close_timeout": 5.0,
    "head_timeout": 10.0,
    "keep_alive_timeout": 75.0,
    "handler_grace": 1.0,
    "inbox_messages": 64,
    "inbox_bytes": 1_048_576,
    "ping_interval": 30.0,
    "max_missed_pongs": 3,
    "allowed_origins": (),
    "redirect_slashes": False,
    "user_room": None,
    "root_path": "",
    "subprotocols": (),
    "rate_limit": None,
    "byte_rate_limit": None,
    "rate_policy": "drop",
    "handshake_rate": None,
    "trusted_proxies": (),
    "proxy_protocol": False,
    "client_commands": ("auto",),
    "client_broadcast_all": False,
    "centrifuge": None,
    "serve_client": False,
    "rooms": (),
    "history_memory": 256 * 2**20,
    "history_answer": 1000,
    "compression": "off",
    "compression_min_size": 512,
    "jwt_secret": None,
    "jwt_jwks": None,
    "jwt_audience": None,
    "jwt_algorithms": (),
    "broker": None,
    "broker_prefix": "glyph",
    "ready_needs_broker": False,
    "drain_delay": 0.0,
    "drain_timeout": 10.0,
}

# A value other than the default for each option: as one writes it, and as it is read.
OTHERS: dict[str, tuple[object, object]] = {
    "host": ("[::1]", "::1"),
    "port": ("0", 0),
    "uds": (Path("/tmp/s"), "/tmp/s"),
    "uds_mode": ("600", "600"),
    "tls_min_version": ("1.3", "1.3"),
    "core": ("python", "python"),
    "engine": ("asyncio", "asyncio"),
    "loop": ("uvloop", "uvloop"),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
    "workers": ("4", 4),
    "worker_timeout": ("5s", 5.0),
    "reload": ("on", True),
    "dev": ("on", True),
    "skip_unsupported": (True, True),
    "admin": ("[::1]:0", Address("::1", 0)),
    "admin_token": ("t", "t"),
    "max_connections": ("5", 5),
    "max_connections_per_ip": (5, 5),
    "max_connections_per_user": ("5", 5),
    "max_room_members": (5, 5),
    "max_rooms_per_connection": (5, 5),
    "max_room_name": ("64B", 64),
    "max_message_size": ("1MiB", 2**20),
    "max_body_size": ("64KiB", 65_536),
    "queue_messages": (5, 5),
    "queue_bytes": ("64KiB", 2**16),
    "queue_policy": ("block", "block"),
    "write_timeout": ("1m", 60.0),
    "close_timeout": (1, 1.0),
    "head_timeout": ("500ms", 0.5),
    "keep_alive_timeout": ("2m", 120.0),
    "handler_grace": ("0s", 0.0),
    "json_default": (repr, repr),
    "inbox_messages": (1, 1),
    "inbox_bytes": ("2KiB", 2048),
    "ping_interval": (0, 0.0),
    "max_missed_pongs": (1, 1),
    "redirect_slashes": ("yes", True),
    "root_path": ("/app/", "/app"),
    "allowed_origins": (["https://A.example"], ("https://a.example",)),
    "user_room": ("user:{user}", "user:{user}"),
    "subprotocols": (["v2", "v1"], ("v2", "v1")),
    "rate_limit": ("10/s:20", Rate(10, 20)),
    "byte_rate_limit": ("1KiB/s", Rate(1024, 1024)),
    "rate_policy": ("disconnect", "disconnect"),
    "handshake_rate": ("60/m", Rate(1, 60)),
    "trusted_proxies": (["10.0.0.0/8"], ("10.0.0.0/8",)),
    "proxy_protocol": (True, True),
    "client_commands": ("none", ()),
    "client_broadcast_all": (True, True),
    "centrifuge": ("on", "/connection/websocket"),
    "serve_client": (True, True),
    "rooms": ({"a*": {"max_members": 5}}, (RoomDeclaration(pattern="a*", max_members=5),)),
    "history_memory": ("1MiB", 2**20),
    "history_answer": ("5", 5),
    "compression": ("shared", "shared"),
    "compression_min_size": (0, 0),
    "jwt_secret": ("s" * 32, "s" * 32),
    "jwt_jwks": ("https://a.example/k", "https://a.example/k"),
    "broker": ("redis://:hush@a/1", "redis://:hush@a/1"),
    "broker_prefix": ("chat", "chat"),
    "ready_needs_broker": ("on", True),
    "drain_delay": ("5s", 5.0),
    "drain_timeout": ("0s", 0.0),
}


@pytest.fixture
def everything_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_module, "NOT_YET", set())


@pytest.fixture
def pem(tmp_path: Path) -> str:
    file = tmp_path / "some.pem"
    file.write_text("what is in it is judged when the server starts")
    return str(file)


def refusal(**options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        Config(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the declaration


def test_defaults_are_those_of_the_contract():
    config = Config()
    assert {name: getattr(config, name) for name in FIELDS} == DEFAULTS


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_option_is_read_when_the_config_is_made(name, everything_available):
    written, read = OTHERS[name]
    assert getattr(Config(**{name: written}), name) == read


def test_every_option_is_tried_above():
    needs_files = {"tls_cert", "tls_key", "tls_key_password", "tls_client_ca"}
    needs_keys = {"jwt_audience", "jwt_algorithms"}  # tried in test_jwtoptions
    assert set(OTHERS) | needs_files | needs_keys == set(FIELDS)


def test_a_function_is_for_python_alone():
    assert "json_default" not in {each.name for each in OPTIONS}
    assert refusal(json_default="str") == "json_default: expected a function, found 'str'"


def test_option_of_a_missing_feature_is_refused_rather_than_ignored(monkeypatch):
    monkeypatch.setattr(config_module, "NOT_YET", {"queue_policy"})
    assert refusal(queue_policy="block") == "queue_policy is not available in this version"
    assert Config(queue_policy="drop_oldest", port=1).port == 1


def test_all_options_of_missing_features_are_refused():
    for name in NOT_YET:
        assert refusal(**{name: OTHERS[name][0]}) == f"{name} is not available in this version"


def test_what_is_not_yet_available_is_an_option():
    assert set(FIELDS) >= NOT_YET


@pytest.mark.parametrize("name", ["resume_window", "broker_url"])
def test_reserved_names_are_unknown(name):
    assert name not in FIELDS
    with pytest.raises(ConfigError, match=f"^{name}: unknown option"):
        Config().replace(**{name: 1})


def test_names_of_flags_and_variables_are_unique():
    for names in ([each.flag for each in OPTIONS], [each.env for each in OPTIONS]):
        assert len(set(names)) == len(names)


def test_repeatable_options_are_plural_in_file_and_environment():
    flags = {each.name: each.flag for each in OPTIONS if each.repeat}
    assert flags.pop("host") == "--host"  # as it was called before it could be repeated
    assert flags == {
        "allowed_origins": "--allowed-origin",
        "subprotocols": "--subprotocol",
        "trusted_proxies": "--trusted-proxy",
    }


def test_every_option_has_help_and_all_but_switches_have_a_metavar():
    for each in OPTIONS:
        assert each.help and bool(each.metavar) != each.is_switch, each.name


def test_config_file_is_an_option_but_not_a_field():
    assert CONFIG_FILE in OPTIONS and "config" not in FIELDS


# --- a Config as a value


def test_config_is_frozen_hashable_and_comparable():
    config = Config(ping_interval="1m", allowed_origins=["*"])
    assert config == Config(ping_interval=60, allowed_origins=("*",))
    assert hash(config) == hash(Config(ping_interval=60, allowed_origins="*"))
    with pytest.raises(FrozenInstanceError):
        config.port = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        config.prot = 1  # type: ignore[attr-defined]


def test_config_can_be_copied_and_pickled():
    config = Config(ping_interval="1m", client_commands="none")
    assert copy.copy(config) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_repr_shows_no_secret(everything_available):
    shown = repr(Config(admin_token="hush-a", jwt_secret="hush-b" * 6, port=8))
    assert "hush" not in shown and "port=8" in shown


def test_replace_makes_a_checked_copy():
    config = Config(port=1)
    assert config.replace(port="2", ping_interval="1s") == Config(port=2, ping_interval=1)
    assert config.port == 1
    with pytest.raises(ConfigError, match="^port: expected a whole number"):
        config.replace(port=-1)


@pytest.mark.parametrize("make", [Config, Config().replace], ids=["Config", "replace"])
def test_an_unknown_name_is_refused_with_a_hint(make):
    with pytest.raises(ConfigError, match=re.escape("prot: unknown option; did you mean port?")):
        make(prot=1)


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "http://127.0.0.1:99"),
        ({"host": "::1"}, "http://[::1]:99"),
        ({"host": "localhost"}, "http://localhost:99"),
        ({"uds": "/run/chat.sock"}, "unix:/run/chat.sock"),
    ],
)
def test_url_is_where_clients_find_the_server(options, url):
    assert Config(**options).url(99) == url


def test_url_with_tls_is_https(pem):
    assert Config(tls_cert=pem).url(99) == "https://127.0.0.1:99"


# --- what does not go together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uds": "/tmp/s", "tls_cert": "PEM"}, "uds and tls_cert do not go together"),
        ({"uds": "/" + "x" * MAX_UDS}, f"uds: the path is longer than {MAX_UDS} bytes"),
        ({"tls_key": "PEM"}, "tls_key needs tls_cert"),
        ({"tls_client_ca": "PEM"}, "tls_client_ca needs tls_cert"),
        ({"tls_cert": "/no/such"}, "tls_cert: no such file: /no/such"),
        ({"tls_cert": "PEM", "tls_key": "/no/such"}, "tls_key: no such file: /no/such"),
        ({"tls_cert": "PEM", "tls_client_ca": "/"}, "tls_client_ca: no such file: /"),
        (
            {"client_broadcast_all": True, "client_commands": "ping"},
            "client_broadcast_all needs broadcast in client_commands",
        ),
        (
            {"admin": "0.0.0.0:9090"},
            "admin: an address other machines can reach needs admin_token",
        ),
    ],
)
def test_unusable_combination_is_refused(options, message, pem, everything_available):
    options = {name: pem if value == "PEM" else value for name, value in options.items()}
    assert refusal(**options) == message


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_native_engine_elsewhere_than_on_linux_is_refused(platform, monkeypatch):
    monkeypatch.setattr(unusable_module.sys, "platform", platform)
    assert refusal(engine="native") == "engine: the native engine needs Linux"


@pytest.mark.parametrize(
    "options",
    [
        {"tls_cert": "PEM"},
        {"tls_cert": "PEM", "tls_key": "PEM", "tls_client_ca": "PEM", "engine": "asyncio"},
        {"uds": "/" + "x" * (MAX_UDS - 1)},
        {"admin": "127.0.0.1:0"},
        {"admin": "0.0.0.0:9090", "admin_token": "t"},
        {"client_broadcast_all": True, "client_commands": "broadcast"},
        {"client_broadcast_all": True, "client_commands": "auto"},
    ],
)
def test_usable_combination_is_accepted(options, pem, everything_available):
    options = {name: pem if value == "PEM" else value for name, value in options.items()}
    assert isinstance(Config(**options), Config)


def test_length_of_a_socket_path_counts_bytes():
    path = "/" + "ü" * (MAX_UDS // 2)
    assert len(path) < MAX_UDS < len(os.fsencode(path)) + 1
    assert Config(uds=path).uds == path
    assert "longer" in refusal(uds=path + "ü")


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("::", ("::",)),
        ("[::1]", ("::1",)),
        ("127.0.0.1,::1", ("127.0.0.1", "::1")),
        (["a", "[::1]", "a"], ("a", "::1")),
        (("localhost",), ("localhost",)),
    ],
)
def test_one_host_or_several_are_read_in_any_form(given, hosts):
    config = Config(host=given)
    assert config.hosts == hosts
    assert Config(host=config.host) == config
    urls = tuple(f"http://{f'[{host}]' if ':' in host else host}:80" for host in hosts)
    assert (config.url(80), config.urls(80)) == (urls[0], urls)


@pytest.mark.parametrize("given", ["", [], "a,", [""], ["a b"], 5, None])
def test_what_is_no_host_is_refused(given):
    assert "expected a host name or an IP address" in refusal(host=given) or "words" in refusal(
        host=given
    )


@pytest.mark.parametrize("given", ["66", "0o660", "888", "rw-rw----", 660, 0o660, "1660", None])
def test_a_mode_is_three_octal_digits(given):
    assert "expected three octal digits such as 660" in refusal(uds_mode=given)
    assert Config(uds_mode="0600").uds_mode == "0600"
