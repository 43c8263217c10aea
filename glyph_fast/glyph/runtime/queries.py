"""Query strings: taking them apart, and converting what a route has declared."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from urllib.parse import unquote_to_bytes

from ..syntax.nodes import ArrayType, NamedType, OptionalType, Parameter, TypeExpression
from .operators import MAX_INT, MIN_INT
from .values import Value

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
MAX_PARAMETERS = 1000  # of one query
_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
    "": False,
}

Convert = Callable[[str], Value]


class BadQuery(Exception):
    """A query string that the route cannot take; the text is for the client."""


@dataclass(slots=True, frozen=True)
class DeclaredQuery:
    """A query parameter that a route declares."""

    name: str
    convert: Convert
    takes_all: bool  # every occurrence, as an array
    required: bool
    has_default: bool


def declared_query(parameter: Parameter) -> DeclaredQuery:
    """The runtime's view of `? name: Type! = default`."""
    declared = parameter.type
    while isinstance(declared, OptionalType):
        declared = declared.inner
    element = _element_type(declared)
    convert = _converter(declared if element is None else element)
    has_default = parameter.default is not None
    required = parameter.required and not has_default
    return DeclaredQuery(parameter.name, convert, element is not None, required, has_default)


def read_query(
    text: str, declared: list[DeclaredQuery], absent: set[str] | None = None
) -> dict[str, Value]:
    """The value of `query`: declared parameters by their types, others by what they look like.

    A declared parameter that is missing is null; those whose default the handler has to fill in
    are added to `absent`. Raises BadQuery.
    """
    given = _parse(text)
    query: dict[str, Value] = {}
    for parameter in declared:
        values = given.pop(parameter.name, None)
        if values is not None:
            query[parameter.name] = _declared_value(parameter, values)
        elif parameter.required:
            raise BadQuery(f"required query parameter missing: {parameter.name}")
        else:
            query[parameter.name] = None
            if parameter.has_default and absent is not None:
                absent.add(parameter.name)
    for name, values in given.items():
        query[name] = _guess(values[0]) if len(values) == 1 else list(values)
    return query


def _parse(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    if not text:
        return values
    if text.count("&") >= MAX_PARAMETERS:
        raise BadQuery(f"more than {MAX_PARAMETERS} query parameters")
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            values.setdefault(_decode(name), []).append(_decode(value))
    return values


def _decode(text: str) -> str:
    """A percent sign that begins no escape stands for itself, as in the URL standard."""
    text = text.replace("+", " ")
    return text if "%" not in text else unquote_to_bytes(text).decode("utf-8", "replace")


def _declared_value(parameter: DeclaredQuery, values: list[str]) -> Value:
    try:
        if not parameter.takes_all:
            return parameter.convert(values[0])
        converted = []
        for index, value in enumerate(values):
            try:
                converted.append(parameter.convert(value))
            except BadQuery as error:
                raise BadQuery(f"element {index}: {error}") from None
        return converted
    except BadQuery as error:
        raise BadQuery(f"query param {parameter.name}: {error}") from None


def _element_type(declared: TypeExpression | None) -> TypeExpression | None:
    if isinstance(declared, ArrayType):
        return declared.element
    if isinstance(declared, NamedType) and declared.name == "List" and declared.arguments:
        return declared.arguments[0]
    return None


def _converter(declared: TypeExpression | None) -> Convert:
    name = declared.name if isinstance(declared, NamedType) else ""
    return {"int": _int, "float": _float, "bool": _bool}.get(name, _string)


def _string(text: str) -> Value:
    return text


def _int(text: str) -> Value:
    if _INTEGER.fullmatch(text):
        number = int(text)
        if MIN_INT <= number <= MAX_INT:
            return number
    raise BadQuery(f"invalid integer value: {text}")


def _float(text: str) -> Value:
    if _FLOAT.fullmatch(text):
        number = float(text)
        if isfinite(number):
            return number
    raise BadQuery(f"invalid float value: {text}")


def _bool(text: str) -> Value:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise BadQuery(f"invalid boolean value: {text}")
    return value


def _guess(text: str) -> Value:
    """An undeclared parameter: an int or a float if it looks like one, a boolean, else a string."""
    for convert in (_int, _float) if "." in text else (_int,):
        try:
            return convert(text)
        except BadQuery:
            pass
    lowered = text.lower()
    return lowered == "true" if lowered in ("true", "false") else text
