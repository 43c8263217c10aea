"""OpenTelemetry: spans for handshakes and handlers, and the server's figures as metrics.

    from glyph_fast.otel import instrument

    server = Server()
    instrument(server)

or, with nothing changed in the program, `opentelemetry-instrument glyph-fast serve …`. The extra
`otel` installs what it needs. A server that is not instrumented knows nothing of it: handlers are
wrapped when their routes' plans are made, and the opening of connections has no observer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from .. import __version__
from ..errors import needs
from ..server.server import Server

try:
    from opentelemetry import metrics, trace
    from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
        BaseInstrumentor,
    )
except ModuleNotFoundError as exc:
    if not (exc.name or "").startswith("opentelemetry"):
        raise
    needed = needs("glyph_fast.otel", exc.name or "opentelemetry", "otel")
    raise ModuleNotFoundError(needed, name=exc.name) from None

from .measures import observe
from .tracing import HandlerSpans, OpeningSpans

NAME = "glyph_fast"  # of the instrumentation scope

__all__ = ["GlyphFastInstrumentor", "instrument"]


def instrument(
    server: Server,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> None:
    """Make spans and metrics of a server that does not serve yet; a second call does nothing.

    Without providers, those of the process are used. Raises RuntimeError while it serves.
    """
    if server._is_observed:
        return
    tracer = trace.get_tracer(NAME, __version__, tracer_provider)
    spans = HandlerSpans(tracer)
    server._observe(OpeningSpans(tracer, spans), spans.wrap)
    observe(metrics.get_meter(NAME, __version__, meter_provider), server.hub)


class GlyphFastInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments every `Server` that is made after `instrument()`.

    That is what the command `opentelemetry-instrument` calls.
    """

    _init: Callable[..., None] | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing: it comes with what it instruments."""
        return ()

    def _instrument(self, **providers: Any) -> None:
        init = self._init = Server.__init__

        @wraps(init)
        def instrumented(server: Server, *args: Any, **kwargs: Any) -> None:
            init(server, *args, **kwargs)
            instrument(server, **providers)

        Server.__init__ = instrumented  # type: ignore[method-assign,assignment]

    def _uninstrument(self, **kwargs: Any) -> None:
        Server.__init__ = self._init  # type: ignore[method-assign,assignment]
