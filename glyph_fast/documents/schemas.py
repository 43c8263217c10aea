"""The JSON schemas of declared types: one for each, and a name for each that has fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..schema.schema import Schema

REFERENCE = "#/components/schemas/"


class Schemas:
    """The schemas of several types, which refer to each other by `components`."""

    def __init__(self, schemas: Sequence[Schema]) -> None:
        plain = [each for each in schemas if each.models is None]
        models = [each for each in schemas if each.models is not None]
        made, components = msgspec.json.schema_components(
            [each.type for each in plain], ref_template=REFERENCE + "{name}"
        )
        self.components: dict[str, Any] = dict(components)
        self._made = {id(each): schema for each, schema in zip(plain, made, strict=True)}
        if models:
            self._add_models(models)

    def of(self, schema: Schema | None) -> dict[str, Any]:
        """The JSON schema of a declared type; of None, that of any value."""
        return {} if schema is None else self._made[id(schema)]

    def resolved(self, schema: Schema) -> dict[str, Any]:
        """The same, where it is a reference what that refers to."""
        found = self.of(schema)
        name = found.get("$ref", "").removeprefix(REFERENCE)
        return self.components[name] if name else found

    def _add_models(self, schemas: list[Schema]) -> None:
        from pydantic import TypeAdapter

        inputs: Any = [
            (n, "serialization" if each.subject == "answer" else "validation", each.models.adapter)
            for n, each in enumerate(schemas)
            if each.models is not None
        ]
        made, told = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE + "{model}")
        for name, component in told.get("$defs", {}).items():
            if self.components.setdefault(name, component) != component:
                raise ValueError(f"two types are called {name}, one of msgspec and one of Pydantic")
        for (n, _), schema in made.items():
            self._made[id(schemas[n])] = dict(schema)
