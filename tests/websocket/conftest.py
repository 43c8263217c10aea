"""Handshakes are tested with everybody who may read their heads."""

from tests.http.conftest import parser as parser
