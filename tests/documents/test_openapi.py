"""The OpenAPI document of a program, judged by a validator of the specification."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from glyph_fast.documents.openapi import openapi
from glyph_fast.documents.program import program_of
from tests.documents.declared import server

DOCUMENT = openapi(program_of(server), title="A game", version="2.0.0")


def test_the_validator_accepts_it() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_each_route_is_an_operation() -> None:
    paths = {path: sorted(operations) for path, operations in DOCUMENT["paths"].items()}
    assert paths == {"/moves/{room}": ["get"], "/notes": ["post"], "/orders": ["delete", "post"]}


def test_parameters_are_those_of_path_and_query() -> None:
    operation = DOCUMENT["paths"]["/moves/{room}"]["get"]
    assert operation["summary"] == "The moves of a room."
    assert [(each["in"], each["name"], each["required"]) for each in operation["parameters"]] == [
        ("path", "room", True),
        ("query", "number", True),
        ("query", "tags", False),
    ]


def test_bodies_and_answers_have_their_types() -> None:
    operation = DOCUMENT["paths"]["/orders"]["post"]
    order = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
    assert operation["requestBody"]["content"] == order
    assert operation["responses"]["200"]["content"] == order
    assert "422" in operation["responses"]
    assert list(DOCUMENT["paths"]["/orders"]["delete"]["responses"]) == ["200"]


def test_forms_may_come_in_both_ways() -> None:
    operation = DOCUMENT["paths"]["/notes"]["post"]
    note = {"schema": {"$ref": "#/components/schemas/Note"}}
    assert operation["requestBody"]["content"] == {
        "application/x-www-form-urlencoded": note,
        "multipart/form-data": note,
    }
    assert "422" in operation["responses"]
