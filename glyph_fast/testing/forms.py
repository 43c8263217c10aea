"""Forms as a browser sends them: urlencoded, or with files as multipart/form-data (RFC 7578)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import urlencode

# Name and bytes of a file, and its type, which is application/octet-stream without one.
File: TypeAlias = tuple[str, bytes] | tuple[str, bytes, str]
FormFields: TypeAlias = Mapping[str, str | File | Sequence[str | File]]

_ESCAPED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers write a name


def encode_form(fields: FormFields) -> tuple[bytes, str]:
    """The body and its Content-Type. A list has several values of one name."""
    pairs = [(name, each) for name, value in fields.items() for each in _values(value)]
    texts = [(name, each) for name, each in pairs if isinstance(each, str)]
    if len(texts) == len(pairs):
        return urlencode(texts).encode(), "application/x-www-form-urlencoded"
    boundary = secrets.token_hex(16)
    parts = [_part(boundary, name, each) for name, each in pairs]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={boundary}"


def _values(value: str | File | Sequence[str | File]) -> Sequence[str | File]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        file: File = value  # several values are a list
        return [file]
    return value


def _part(boundary: str, name: str, value: str | File) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_ESCAPED)}"'
    if isinstance(value, str):
        return f"{head}\r\n\r\n{value}\r\n".encode()
    filename, data, *kind = value
    head += f'; filename="{filename.translate(_ESCAPED)}"'
    head += f"\r\nContent-Type: {kind[0] if kind else 'application/octet-stream'}\r\n\r\n"
    return head.encode() + data + b"\r\n"


__all__ = ["File", "FormFields", "encode_form"]
