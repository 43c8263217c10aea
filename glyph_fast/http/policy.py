"""The policy of a page that is one file: nothing may run but what stands in it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256


def content_security_policy(html: str) -> str:
    """Return the policy of a page: its script and style by their hash, so that no other runs."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {_source_hash(html, 'script')}",
            f"style-src {_source_hash(html, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",  # an innerHTML would throw
            "trusted-types 'none'",
        )
    )


def _source_hash(html: str, element: str) -> str:
    """The CSP source of the only `element` in `html`: the hash of what stands between its tags."""
    (content,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
