"""As `program`, below a prefix of a Starlette application, which has no lifespan for it."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.asgi.hosted.program import app as inner


async def home(request):
    return PlainTextResponse("starlette")


app = Starlette(routes=[Route("/", home), Mount("/rooms", inner)])
