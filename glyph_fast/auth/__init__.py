"""Ready-made authentication by JSON Web Tokens (RFC 7519).

    request → bearer (where the token is) → tokens (is it good) → keys (secret, or published keys)

`ready` ties these to a server. All of it is loaded only when the options ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..errors import ConfigError
from ..handlers.dispatcher import Dispatcher

if TYPE_CHECKING:
    from .ready import TokenAuthentication


def ready_authentication(
    config: Config, dispatcher: Dispatcher, own: Callable[..., Any] | None
) -> TokenAuthentication | None:
    """Authentication by tokens, if the options ask for it; `own` is the program's authenticator.

    Raises ConfigError when both are there, and for options that cannot work.
    """
    if not config.jwt.is_set:
        return None
    if own is not None:
        raise ConfigError("jwt_secret and jwt_jwks do not go with @server.authenticate")
    try:
        from .ready import TokenAuthentication
    except ModuleNotFoundError as exc:
        if exc.name != "jwt":
            raise
        raise ConfigError("jwt_secret and jwt_jwks need PyJWT: pip install pyjwt") from None
    return TokenAuthentication(config, dispatcher)
