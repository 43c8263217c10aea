"""`glyph-fast asyncapi`: what a program declares of its events and HTTP routes, as a document."""

from __future__ import annotations

import json
import os

import click

from ..documents.asyncapi import asyncapi as asyncapi_of
from ..documents.openapi import openapi as openapi_of
from ..documents.program import program_of
from ..documents.typescript import typescript as typescript_of
from ..options.config import Config
from ..options.sources import given_options
from ..server.application import Application
from . import Failure
from .parts import load_core
from .target import load_target


@click.command()
@click.argument("target")
@click.option("--openapi", "kind", flag_value="openapi", help="OpenAPI 3.1 of the HTTP routes.")
@click.option("--typescript", "kind", flag_value="typescript", help="Types for the client library.")
@click.option("--title", help="The document's title; by default TARGET.")
@click.option("--api-version", default="1.0.0", show_default=True, help="The version it states.")
def asyncapi(target: str, kind: str | None, title: str | None, api_version: str) -> None:
    """Write an AsyncAPI 3 document of TARGET, module:attribute, to the standard output.

    It has the WebSocket routes, the events that clients may send there, and the types that their
    handlers declare.
    """
    config = given_options({}, os.environ).over(Config())
    load_core(config.core)
    server = load_target(target, config)
    if not isinstance(server, Application):
        raise Failure(f"{target} declares no events or HTTP routes of ours")
    program = program_of(server)
    title = title or target
    try:
        if kind == "typescript":
            click.echo(typescript_of(program, title=title), nl=False)
            return
        write = openapi_of if kind == "openapi" else asyncapi_of
        document = write(program, title=title, version=api_version)
    except ValueError as exc:
        raise Failure(str(exc)) from None
    click.echo(json.dumps(document, indent=2))
