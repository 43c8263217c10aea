"""The OpenAPI document: what it must not forget. That it is kept is tested in `test_api`."""

from __future__ import annotations

from glyph_fast.admin.calls import CALLS
from glyph_fast.admin.openapi import body_schema, document


def test_every_call_is_documented():
    paths = document()["paths"]
    assert {f"/api/{name}" for name in CALLS} < set(paths)
    assert "404" in paths["/api/send"]["post"]["responses"]
    assert "404" not in paths["/api/publish"]["post"]["responses"]


def test_parameters_of_which_one_is_given_are_said_so():
    schema = body_schema(CALLS["publish"])
    assert schema["required"] == ["data"]
    assert schema["oneOf"] == [{"required": ["room"]}, {"required": ["rooms"]}]
    assert schema["additionalProperties"] is False
