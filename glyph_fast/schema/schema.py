"""A declared type: it makes a value of what a client sent, or says where that does not fit.

Most types are msgspec's to judge: its structs, dataclasses, TypedDicts, and whatever they hold.
Models of Pydantic are judged by Pydantic, for whoever wrote one has chosen its rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import inspect

from .. import json
from .faults import Fault, Mismatch, Path
from .models import Models, is_model

_ERROR = re.compile(r"(?P<reason>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"object missing required field (?P<name>.+)")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?:(?P<index>\d+)|\.\.\.)\]")
ANY = "*"  # in a path: some value of a mapping, msgspec does not say which
_OBJECTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_LISTS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)


class Schema:
    """A type for values from clients. TypeError for one that JSON cannot be checked against.

    `subject` is what its values are called in errors. `converter(value, type)` is `check` without a
    call of Python's: it raises a ValueError, of which `mismatch` says what `check` would.
    """

    def __init__(self, type_: Any, subject: str) -> None:
        self.type = type_
        self.subject = subject
        info = inspect.type_info(type_)
        nodes = list(_nodes(info, set()))
        foreign = [node.cls for node in nodes if isinstance(node, inspect.CustomType)]
        if not foreign:
            self.models = None
            self._lists = frozenset(_list_fields(info))
            self._convert: Callable[[Any], Any] = partial(msgspec.convert, type=type_)
            self.converter: Callable[[Any, Any], Any] = msgspec.convert
            return
        unknown = [cls for cls in foreign if not is_model(cls)]
        if unknown:
            raise TypeError(f"{unknown[0].__name__} is no type that JSON can be checked against")
        if any(isinstance(node, inspect.StructType) for node in nodes):
            raise TypeError(f"a msgspec Struct cannot hold {foreign[0].__name__}, a Pydantic model")
        self.models = Models(type_)
        self._lists = self.models.list_fields
        convert = self._convert = self.models.convert
        self.converter = lambda value, _: convert(value)

    def check(self, value: Any) -> Any:
        """The value of the type for a value of JSON. Raises Mismatch."""
        try:
            return self._convert(value)
        except ValueError as exc:
            raise self.mismatch(exc) from None

    def mismatch(self, exc: ValueError) -> Mismatch:
        """Say what a value is not, by the error of the converter."""
        return Mismatch(self.subject, self._faults(exc))

    def read(self, data: bytes) -> Any:
        """The same for the text of JSON."""
        try:
            value = json.loads(data)
        except ValueError:
            fault = Fault((), "not valid JSON" if data else "missing", "json_invalid")
            raise Mismatch(self.subject, [fault]) from None
        return self.check(value)

    def read_texts(self, texts: Mapping[str, list[str]]) -> Any:
        """The same for texts by name, as a query has them: "3" is a number where one is expected.

        Of a name that is there several times the first text counts, but for a field that is a list.
        """
        value = {name: found if name in self._lists else found[0] for name, found in texts.items()}
        try:
            if self.models is not None:
                return self._convert(value)
            return msgspec.convert(value, self.type, strict=False)
        except ValueError as exc:
            raise self.mismatch(exc) from None

    def check_answer(self, value: Any) -> Any:
        """Check what a function returned, and return it as the type it has promised; TypeError
        else.

        That is an error of the program, where `Mismatch` is one of its client.
        """
        try:
            if self.models is not None:
                return self._convert(value)
            return msgspec.convert(value, self.type, from_attributes=True)
        except ValueError as exc:
            reason = str(self.mismatch(exc))
        raise TypeError(f"returned what it does not declare: {reason}")

    def _faults(self, exc: ValueError) -> list[Fault]:
        return [_fault(str(exc))] if self.models is None else self.models.faults(exc)


def _fault(text: str) -> Fault:
    """Read an error of msgspec, which finds one fault and stops."""
    match = _ERROR.fullmatch(text)
    assert match is not None
    reason = match["reason"].replace("`", "")
    reason = reason[:1].lower() + reason[1:]
    path = _steps(match["path"] or "")
    if match["key"]:
        reason = f"key: {reason}"
    if missing := _MISSING.fullmatch(reason):
        return Fault((*path, missing["name"]), "missing", "missing")
    return Fault(path, reason, "type" if reason.startswith("expected") else "value")


def _steps(text: str) -> Path:
    """The steps of `.points[2].x`."""
    found = _STEP.finditer(text)
    return tuple(int(step["index"]) if step["index"] else step["name"] or ANY for step in found)


def _nodes(info: inspect.Type, seen: set[int]) -> Iterator[Any]:
    """A type and all it holds, each once."""
    if id(info) in seen:
        return
    seen.add(id(info))
    yield info
    for name in ("item_type", "key_type", "value_type", "type"):
        if isinstance(inner := getattr(info, name, None), inspect.Type):
            yield from _nodes(inner, seen)
    for name in ("types", "item_types"):
        for inner in getattr(info, name, ()):
            yield from _nodes(inner, seen)
    if isinstance(info, _OBJECTS):
        for field in info.fields:
            yield from _nodes(field.type, seen)


def _list_fields(info: inspect.Type) -> Iterator[str]:
    """The names of the fields of an object that are lists."""
    for field in info.fields if isinstance(info, _OBJECTS) else ():
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        if any(isinstance(each, _LISTS) for each in types):
            yield field.encode_name
