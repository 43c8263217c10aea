"""Types of Pydantic, as they are: their own rules, names and errors.

Pydantic is not installed with us; whoever declares one of its types has it.
"""

from __future__ import annotations

from typing import Any, get_args, get_origin

from .faults import Fault


def is_model(type_: Any) -> bool:
    """Return whether a class is a model of Pydantic."""
    return hasattr(type_, "__pydantic_validator__")


class Models:
    """A type that holds models."""

    def __init__(self, type_: Any) -> None:
        from pydantic import TypeAdapter

        self.adapter = TypeAdapter(type_)
        self.convert = self.adapter.validate_python
        fields = getattr(type_, "model_fields", {})
        self.list_fields = frozenset(
            field.alias or name for name, field in fields.items() if _is_list(field.annotation)
        )

    def faults(self, exc: Any) -> list[Fault]:
        """Return the faults that its error names."""
        return [
            Fault(tuple(each["loc"]), each["msg"][:1].lower() + each["msg"][1:], each["type"])
            for each in exc.errors(include_url=False, include_input=False, include_context=False)
        ]


def _is_list(annotation: Any) -> bool:
    kinds = (annotation, *get_args(annotation))
    return any((get_origin(kind) or kind) in (list, set, frozenset, tuple) for kind in kinds)
