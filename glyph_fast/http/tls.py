"""Facts that TLS tells about the peer of a request."""

from __future__ import annotations

import ssl
from typing import Any


class Tls:
    """The TLS session a request came in; read from it when someone looks.

    A certificate is there only where `--tls-client-ca` demands one, and then its chain and dates
    have been verified.
    """

    __slots__ = ("_session",)

    def __init__(self, session: ssl.SSLObject) -> None:
        self._session = session

    @property
    def version(self) -> str | None:
        """`TLSv1.2` or `TLSv1.3`."""
        return self._session.version()

    @property
    def cipher(self) -> str | None:
        """The name of the cipher suite."""
        found = self._session.cipher()
        return None if found is None else found[0]

    @property
    def alpn(self) -> str | None:
        """The protocol agreed on (RFC 7301): `http/1.1`, or None where it was not offered."""
        return self._session.selected_alpn_protocol()

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The client's certificate, as `ssl.SSLObject.getpeercert` describes it."""
        return self._session.getpeercert() or None

    @property
    def subject(self) -> dict[str, str]:
        """Whom the certificate is for: `{"commonName": …, "organizationName": …}`.

        Of a name given twice, the last one.
        """
        relative_names = (self.certificate or {}).get("subject", ())
        return {name: value for each in relative_names for name, value in each}

    @property
    def names(self) -> list[tuple[str, str]]:
        """The alternative names in the certificate: `[("DNS", "a.example"), ("URI", …)]`."""
        return list((self.certificate or {}).get("subjectAltName", ()))

    @property
    def identity(self) -> str | None:
        """The subject's common name, else its first alternative name, else None."""
        return self.subject.get("commonName") or next((value for _, value in self.names), None)
