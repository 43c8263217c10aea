"""Python functions offered to Glyph programs.

Its annotations are the function's signature: arguments and the result are checked by them, as those
of a Glyph function are. An exception it raises is a failure of the handler that called it.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from ...handlers.signature import parameters_of
from ..runtime.failures import TOO_DEEP
from ..runtime.typecheck import Check, Types
from ..runtime.values import Failure, Stop, Value
from ..syntax.declarations import Function
from ..syntax.nodes import (
    ArrayType,
    Block,
    LiteralValue,
    NamedType,
    OptionalType,
    Parameter,
    TypeExpression,
    UnionType,
)
from ..syntax.scopes import FunctionSymbol, ModuleScope
from ..syntax.source import Position

_NOWHERE = Position(1, 1)
_NAMES: dict[object, str] = {
    int: "int",
    float: "float",
    str: "str",
    bool: "bool",
    list: "List",
    dict: "Map",
    object: "any",
    Any: "any",
    inspect.Parameter.empty: "any",
}


class HostFunction:
    """One Python function and what a program knows of it.

    Raises TypeError for a signature that Glyph has no words for: coroutines, keyword-only or
    collected arguments, annotations other than int, float, str, bool, list, dict, Any, None and
    unions of them.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        if inspect.iscoroutinefunction(function):
            raise TypeError("a function offered to Glyph cannot be async: programs do not wait")
        self.function = function
        self.name = name or function.__name__
        hints = typing.get_type_hints(function)
        parameters = [_parameter(p, hints) for p in parameters_of(function)]
        returns = None if "return" not in hints else _type(hints["return"])
        body = Block([], at=_NOWHERE)
        node = Function(self.name, [], parameters, returns, body, at=_NOWHERE)
        names = (f"host_{self.name}", f"hostvalue_{self.name}")
        self.symbol = FunctionSymbol(self.name, node, *names, is_offered=True)
        types_of = Types()
        self._checks = [_check(types_of, p.type) for p in parameters]
        self._converts = [_is_int(p.type) for p in parameters]
        self._result = _check(types_of, returns)

    def call(self, event: object, steps: object, depth: int, *arguments: Value) -> Value:
        """Call it for a program."""
        given = [self._argument(index, value) for index, value in enumerate(arguments)]
        try:
            result = self.function(*given)
        except (Failure, Stop):
            raise
        except RecursionError:
            raise Failure(f"`{self.name}`: {TOO_DEEP}") from None
        except Exception as error:
            raise Failure(f"`{self.name}` raised {type(error).__name__}: {error}") from error
        wrong = self._result(result)
        if wrong is not None:
            raise Failure(f"the result of `{self.name}`: {wrong}")
        return list(result) if type(result) is tuple else result

    def _argument(self, index: int, value: Value) -> Value:
        wrong = self._checks[index](value)
        if wrong is not None:
            name = self.symbol.node.parameters[index].name
            raise Failure(f"`{name}` of `{self.name}`: {wrong}")
        return int(value) if self._converts[index] and type(value) is float else value


def _parameter(parameter: inspect.Parameter, hints: dict[str, Any]) -> Parameter:
    if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
        raise TypeError(f"parameter {parameter.name!r}: Glyph passes arguments by position only")
    declared = _type(hints.get(parameter.name, inspect.Parameter.empty))
    is_required = parameter.default is parameter.empty
    default = None if is_required else LiteralValue(None, at=_NOWHERE)
    return Parameter(parameter.name, declared, is_required, default, at=_NOWHERE)


def _type(annotation: Any) -> TypeExpression:
    """The Glyph type of an annotation."""
    if annotation is None or annotation is type(None):
        return OptionalType(NamedType("any", at=_NOWHERE), at=_NOWHERE)
    try:
        name = _NAMES.get(annotation)
    except TypeError:
        name = None
    if name is not None:
        return NamedType(name, at=_NOWHERE)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return ArrayType(_type(arguments[0]), at=_NOWHERE)
    if origin is dict and arguments[0] is str:
        return NamedType("Map", at=_NOWHERE)
    if origin is typing.Union or origin is types.UnionType:
        members = [_type(member) for member in arguments if member is not type(None)]
        return members[0] if len(members) == 1 else UnionType(members, at=_NOWHERE)
    raise TypeError(f"Glyph has no type for the annotation {annotation!r}")


def _check(makes: Types, declared: TypeExpression | None) -> Check:
    anything = NamedType("any", at=_NOWHERE)
    return makes.check(declared or anything, ModuleScope())


def _is_int(declared: TypeExpression | None) -> bool:
    return isinstance(declared, NamedType) and declared.name == "int"
