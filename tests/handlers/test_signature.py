"""How many arguments a function gets, and which functions are refused when they are registered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial, wraps
from typing import Any

import pytest

from glyph_fast.handlers.registry import Registry
from glyph_fast.handlers.signature import (
    adapt,
    check_coroutine_function,
    check_takes_nothing,
    parameters_of,
)


def none() -> tuple[Any, ...]:
    return ()


def one(a: Any) -> tuple[Any, ...]:
    return (a,)


def three(a: Any, b: Any, c: Any) -> tuple[Any, ...]:
    return (a, b, c)


def optional(a: Any, b: Any = "default") -> tuple[Any, ...]:
    return (a, b)


def everything(*args: Any) -> tuple[Any, ...]:
    return args


class Callable:
    def __call__(self, a: Any) -> tuple[Any, ...]:
        return (a,)

    def method(self, a: Any, b: Any) -> tuple[Any, ...]:
        return (a, b)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (none, ()),
        (one, (1,)),
        (three, (1, 2, 3)),
        (optional, (1, 2)),
        (everything, (1, 2, 3)),
        (Callable(), (1,)),
        (Callable().method, (1, 2)),
        (partial(three, "bound"), ("bound", 1, 2)),
        (lambda a, /: (a,), (1,)),
    ],
)
def test_a_handler_gets_as_many_arguments_as_it_takes(handler: Any, expected: Any) -> None:
    assert adapt(handler, 3)(1, 2, 3) == expected


def test_a_handler_that_takes_all_arguments_is_called_straight() -> None:
    assert adapt(three, 3) is three


def test_a_handler_without_a_signature_is_given_everything() -> None:
    assert adapt(max, 3)(1, 2, 3) == 3


def keyword_only(a: Any, *, needed: Any) -> None: ...


@pytest.mark.parametrize("handler", [three, keyword_only])
def test_a_handler_that_demands_more_is_refused_when_it_is_registered(handler: Any) -> None:
    with pytest.raises(TypeError, match="demands more than the one argument"):
        Registry().on_message("text")(handler)


def test_the_error_shows_the_handler_as_it_is_written() -> None:
    def page(request: Any, item: Any) -> None: ...

    with pytest.raises(TypeError, match=r"^page\(request, item\) demands more"):
        adapt(page, 1)
    with pytest.raises(TypeError, match=r"^generator\(a\) is a generator"):
        adapt(generator, 1)
    with pytest.raises(TypeError, match=r"^functools.partial\(.* demands more"):
        adapt(partial(three), 1)


def generator(a: Any) -> Any:
    yield a


async def async_generator(a: Any) -> Any:
    yield a


@pytest.mark.parametrize("handler", [generator, async_generator])
def test_where_it_may_yield_a_generator_is_a_handler(handler: Any) -> None:
    assert adapt(handler, 2, may_yield=True)("a", "b") is not None


@pytest.mark.parametrize("handler", [generator, async_generator])
def test_a_generator_is_refused_when_it_is_registered(handler: Any) -> None:
    with pytest.raises(TypeError, match="never yields"):
        Registry().on_message("text")(handler)


def test_the_name_in_the_log_is_that_of_the_applications_function() -> None:
    assert adapt(one, 3).__qualname__ == "one"


# What wraps a function.


def with_session(function: Any) -> Any:
    @wraps(function)
    def wrapper(ctx: Any) -> Any:
        return function(ctx, "session")

    return wrapper


def with_session_whatever(function: Any) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, "session", **kwargs)

    return wrapper


def with_named_session(function: Any) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, session="session", **kwargs)

    return wrapper


def logged(function: Any) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def logged_first(function: Any) -> Any:
    @wraps(function)
    def wrapper(first: Any, *rest: Any) -> Any:
        return function(first, *rest)

    return wrapper


def two(ctx: Any, session: Any) -> tuple[Any, ...]:
    return (ctx, session)


def named(ctx: Any, *, session: Any) -> tuple[Any, ...]:
    return (ctx, session)


@pytest.mark.parametrize(
    ("handler", "n", "expected"),
    [
        (with_session(two), 1, (1, "session")),
        (with_session(two), 3, (1, "session")),
        (with_session_whatever(two), 1, (1, "session")),
        (with_named_session(named), 1, (1, "session")),
        (with_named_session(named), 3, (1, "session")),
        (logged(with_session(two)), 1, (1, "session")),
        (logged(with_session(two)), 3, (1, "session")),
        (with_session(logged(two)), 3, (1, "session")),
        (logged(one), 3, (1,)),
        (logged(logged(one)), 3, (1,)),
        (logged(three), 3, (1, 2, 3)),
        (logged(none), 3, ()),
        (logged_first(one), 3, (1,)),
        (logged_first(three), 3, (1, 2, 3)),
        (logged(everything), 3, (1, 2, 3)),
        (logged(Callable().method), 3, (1, 2)),
        (logged(max), 3, 3),
        (partial(logged(three), "bound"), 2, ("bound", 1, 2)),
    ],
)
def test_what_is_called_counts_and_not_what_it_wraps(handler: Any, n: int, expected: Any) -> None:
    assert adapt(handler, n)(*[1, 2, 3][:n]) == expected


def test_a_wrapper_that_demands_more_is_refused_whatever_it_wraps() -> None:
    @wraps(one)
    def wrapper(ctx: Any, session: Any) -> Any: ...

    with pytest.raises(TypeError, match="demands more than the one argument"):
        adapt(wrapper, 1)
    assert [each.name for each in parameters_of(wrapper)] == ["ctx", "session"]


# Coroutine functions, and hooks.


async def waiting(conn: Any) -> None: ...


class Waiting:
    async def __call__(self, conn: Any) -> None: ...


def awaited_by_somebody(function: Any) -> Any:
    @wraps(function)
    def wrapper(conn: Any) -> Any:
        return function(conn)

    return wrapper


@pytest.mark.parametrize(
    "function",
    [
        waiting,
        partial(waiting, 1),
        Waiting(),
        Waiting().__call__,
        awaited_by_somebody(waiting),
        lambda conn: waiting(conn),
        asyncio.sleep,
    ],
)
def test_what_may_give_a_coroutine_is_taken(function: Any) -> None:
    check_coroutine_function(function, "a task")


@pytest.mark.parametrize("function", [one, logged(one), Callable().method, Callable.method])
def test_a_plain_function_is_refused_where_a_coroutine_is_needed(function: Any) -> None:
    with pytest.raises(TypeError, match=r"a task is an `async def`, and \w+ is a `def`"):
        check_coroutine_function(function, "a task")


async def yielding(conn: Any) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [yielding, logged(yielding)])
def test_a_generator_is_not_called_a_def(function: Any) -> None:
    with pytest.raises(TypeError, match="a task never yields, and yielding is a generator"):
        check_coroutine_function(function, "a task")


def test_a_hook_gets_nothing() -> None:
    check_takes_nothing(none)
    check_takes_nothing(optional_only)
    with pytest.raises(TypeError, match="demands more than no argument"):
        check_takes_nothing(one)


def optional_only(a: Any = 1) -> None: ...


# Decorators that are used as what they are not.


def test_a_route_is_read_by_a_coroutine_function() -> None:
    with pytest.raises(TypeError, match="reads its route is an `async def`, and one is a `def`"):
        Registry().websocket("/a")(one)


def test_websocket_needs_a_path() -> None:
    with pytest.raises(
        TypeError, match=r'websocket needs a path, as in @server.websocket\("/path"'
    ):
        Registry().websocket(waiting)  # type: ignore[arg-type]
