"""Checks of values against declared types.

A type becomes a function that returns what is wrong with a value, or None. null passes every type;
a float without fraction passes as an int, as numbers from JSON are floats; an object may have more
fields than its type; a type nobody has defined (see `type_names.py`) accepts any object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..checks.signatures import PROVIDERS
from ..syntax.nodes import (
    ArrayType,
    FunctionType,
    NamedType,
    OptionalType,
    Parameter,
    TypeExpression,
    UnionType,
)
from ..syntax.scopes import ModuleScope, TypeSymbol
from .limits import charge
from .values import Value, kind
from .weight import weighed

Check = Callable[[Value], "str | None"]


def _anything(value: Value) -> str | None:
    return None


def _int(value: Value) -> str | None:
    if type(value) is int or value is None or (type(value) is float and value.is_integer()):
        return None
    return f"expected int, found {kind(value)}"


def _float(value: Value) -> str | None:
    if type(value) in (int, float) or value is None:
        return None
    return f"expected float, found {kind(value)}"


def _timestamp(value: Value) -> str | None:
    if type(value) in (int, float, str) or value is None:
        return None
    return f"expected timestamp, found {kind(value)}"


def _string(value: Value) -> str | None:
    return None if type(value) is str or value is None else f"expected str, found {kind(value)}"


def _bool(value: Value) -> str | None:
    return None if type(value) is bool or value is None else f"expected bool, found {kind(value)}"


def _array(value: Value) -> str | None:
    return None if type(value) is list or value is None else f"expected array, found {kind(value)}"


def _object(value: Value) -> str | None:
    if isinstance(value, dict) or value is None:
        return None
    return f"expected object, found {kind(value)}"


_BASIC: dict[str, Check] = {
    "int": _int,
    "float": _float,
    "str": _string,
    "string": _string,
    "bool": _bool,
    "timestamp": _timestamp,
    "any": _anything,
    "object": _anything,
    "List": _array,
    "Map": _object,
}


def accepts_everything(declared: TypeExpression) -> bool:
    """Return whether a type is one that needs no check."""
    return isinstance(declared, NamedType) and declared.name in ("any", "object")


class Types:
    """Makes checks of types, each named type once."""

    def __init__(self) -> None:
        self._made: dict[int, _ObjectCheck] = {}  # by id of the symbol: types may be recursive

    def check(
        self, declared: TypeExpression, scope: ModuleScope, parameters: Collection[str] = ()
    ) -> Check:
        """The check of a type, its names being those of `scope`.

        The names in `parameters` are type parameters and accept everything.
        """
        match declared:
            case NamedType():
                return self._named(declared, scope, parameters)
            case OptionalType():
                return self.check(declared.inner, scope, parameters)
            case ArrayType():
                return _elements(self.check(declared.element, scope, parameters))
            case UnionType():
                return _any_of([self.check(m, scope, parameters) for m in declared.members])
            case FunctionType():
                return _anything

    def _named(self, declared: NamedType, scope: ModuleScope, parameters: Collection[str]) -> Check:
        if declared.module is not None:
            namespace = scope.namespaces.get(declared.module)
            symbol = namespace.types.get(declared.name) if namespace else None
            return self._of_symbol(symbol) if symbol else _object
        name = declared.name
        if name in parameters or name in PROVIDERS:
            return _anything
        symbol = scope.types.get(name)
        if symbol is not None:
            return self._of_symbol(symbol)
        return _BASIC.get(name, _object)

    def _of_symbol(self, symbol: TypeSymbol) -> Check:
        made = self._made.get(id(symbol))
        if made is None:
            made = self._made[id(symbol)] = _ObjectCheck(symbol.node.fields)
            names = symbol.node.type_parameters
            made.fields = {
                f.name: self.check(f.type, symbol.home, names)
                for f in symbol.node.fields
                if f.type is not None
            }
            made.is_made = True
        elif not made.is_made:
            made.is_recursive = True
        return made.check


class _ObjectCheck:
    """The check of a type with fields."""

    def __init__(self, declared: list[Parameter]) -> None:
        self.required = [f.name for f in declared if f.required and f.default is None]
        self.fields: dict[str, Check] = {}
        self.is_made = False
        self.is_recursive = False

    def check(self, value: Value) -> str | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            return f"expected object, found {kind(value)}"
        charge(64)
        if self.is_recursive:  # else the type says how deep to look
            weighed(value)
        for name in self.required:
            if name not in value:
                return f"missing required field: {name}"
        for name, check in self.fields.items():
            if name in value:
                wrong = check(value[name])
                if wrong is not None:
                    return f"field {name}: {wrong}"
        return None


def _elements(element: Check) -> Check:
    def check(value: Value) -> str | None:
        if value is None:
            return None
        if type(value) is not list:
            return f"expected array, found {kind(value)}"
        charge(16 * len(value) + 16)
        for index, item in enumerate(value):
            wrong = element(item)
            if wrong is not None:
                return f"element {index}: {wrong}"
        return None

    return check


def _any_of(members: list[Check]) -> Check:
    def check(value: Value) -> str | None:
        wrong: str | None = None
        for member in members:
            wrong = member(value)
            if wrong is None:
                return None
        return wrong if len(members) == 1 else f"{kind(value)} is none of the declared types"

    return check
