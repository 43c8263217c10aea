"""OpenAPI 3.1: the HTTP routes of a server.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from typing import Any

from .program import HttpRoute, Program, address_of, parameters_in
from .schemas import Schemas

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_FAULT = {
    "type": "object",
    "properties": {
        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
        "msg": {"type": "string"},
        "type": {"type": "string"},
    },
    "required": ["loc", "msg", "type"],
}
_REFUSED = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "detail": {"type": "array", "items": _FAULT}},
    "required": ["error", "detail"],
}


def openapi(program: Program, *, title: str, version: str) -> dict[str, Any]:
    """The document, as JSON values. Raises ValueError for types of one name."""
    schemas = Schemas(program.schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in program.http:
        there = paths.setdefault(address_of(route.pattern), {})
        there[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.1",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas.components},
    }


def _operation(route: HttpRoute, schemas: Schemas) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in parameters_in(route.pattern)
    ]
    if route.query is not None:
        query = schemas.resolved(route.query)
        required = query.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in query.get("properties", {}).items()
        ]
    operation: dict[str, Any] = {"summary": route.summary} if route.summary else {}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {JSON: {"schema": schemas.of(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.form is not None:
        content = {kind: {"schema": schemas.of(route.form)} for kind in FORMS}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = _responses(route, schemas)
    return operation


def _responses(route: HttpRoute, schemas: Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer."}
    if route.answers is not None:
        answer["content"] = {JSON: {"schema": schemas.of(route.answers)}}
    responses = {"200": answer}
    if any(each is not None for each in (route.body, route.form, route.query)):
        content = {JSON: {"schema": _REFUSED}}
        responses["422"] = {"description": "The request does not fit.", "content": content}
    return responses
