"""Which types a function declares for its parameters and for what it returns.

A function is looked at, never what it wraps, but for a wrapper that passes on `*args`. Annotations
that are text are read where the function stands, each by itself: what another one means may be
known to a type checker only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import Parameter, Signature, signature, unwrap
from types import FunctionType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, is_typeddict

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
# What the classes of msgspec, dataclasses and Pydantic have.
_MODELS = ("__struct_fields__", "__dataclass_fields__", "__pydantic_validator__")


class Unknown(TypeError):
    """An annotation that cannot be read where its function stands."""


def declared_parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters that count, in order; none where they are not known."""
    try:
        parameters = list(signature(function, follow_wrapped=False).parameters.values())
    except ValueError:  # some callables of C have no signature
        return []
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None and any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return declared_parameters(wrapped)
    return parameters


def positional(parameters: list[Parameter]) -> list[Parameter]:
    """Those that can be given by place."""
    return [each for each in parameters if each.kind in POSITIONAL]


def type_of(function: Callable[..., Any], parameter: Parameter) -> Any:
    """The type that is declared for a parameter; Any without one. Raises Unknown."""
    if parameter.annotation is parameter.empty:
        return Any
    return _read(function, parameter.annotation, parameter.name)


def type_returned(function: Callable[..., Any], *besides: type) -> Any:
    """The type of what a function returns, without None and `besides`; Any where that is nothing.

    Any as well where it cannot be read: many import such types for their checker alone.
    """
    try:
        annotation = signature(_innermost(function), follow_wrapped=False).return_annotation
        if annotation is Signature.empty:
            return Any
        type_ = _read(function, annotation, "return")
    except (ValueError, Unknown):
        return Any
    members = get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)
    left = [each for each in members if each not in (None, NoneType, *besides)]
    return Union[tuple(left)] if left else Any  # noqa: UP007


def is_structured(type_: Any) -> bool:
    """Return whether a type is a class with declared fields, or holds one: a model, not a dict."""
    if any(hasattr(type_, name) for name in _MODELS) or is_typeddict(type_):
        return True
    return any(map(is_structured, get_args(type_)))


def _innermost(function: Callable[..., Any]) -> Any:
    found = unwrap(function)
    if isinstance(found, FunctionType) or not callable(found):
        return found
    return getattr(found, "__func__", None) or getattr(found, "func", None) or found


def _read(function: Callable[..., Any], annotation: Any, name: str) -> Any:
    if not isinstance(annotation, str):
        return annotation
    found = _innermost(function)
    if not isinstance(found, FunctionType):
        found = getattr(type(found).__call__, "__func__", type(found).__call__)
    scope = dict(vars(sys.modules.get(found.__module__, sys)))
    scope |= getattr(found, "__globals__", {})
    cells = getattr(found, "__closure__", None) or ()
    names = found.__code__.co_freevars if cells else ()
    for free, cell in zip(names, cells, strict=True):
        try:
            scope[free] = cell.cell_contents
        except ValueError:  # not filled yet
            pass
    try:
        return eval(annotation, scope)
    except Exception as exc:
        raise Unknown(
            f"{name}: {annotation}: its type cannot be read here ({exc}); declare it at the level "
            "of the module, and import it when the program runs"
        ) from None
