"""Ready-made authentication by JSON Web Tokens (RFC 7519).

    request → bearer (where the token is) → tokens (is it good) → keys (secret, or published keys)

`ready` ties these to a server. All of it is loaded only when the options ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError, needs
from ..handlers.dispatcher import Dispatcher
from ..options.config import Config

if TYPE_CHECKING:
    from .ready import TokenAuthentication


def ready_authentication(
    config: Config, dispatcher: Dispatcher, *, is_other: bool
) -> TokenAuthentication | None:
    """Authentication by tokens, if the options ask for it; `is_other`: the program has its own.

    Raises ConfigError when both are there, and for options that cannot work.
    """
    if not config.jwt.is_set:
        return None
    if is_other:
        raise ConfigError("jwt_secret and jwt_jwks do not go with @server.authenticate")
    try:
        from .ready import TokenAuthentication
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "jwt":
            raise
        option = "jwt_jwks" if config.jwt.jwks else "jwt_secret"
        raise ConfigError(needs(option, "pyjwt", "jwt")) from None
    return TokenAuthentication(config, dispatcher)
