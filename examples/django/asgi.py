"""What Django and Channels document as `asgi.py`."""

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()  # sets Django up, before the consumers are imported

from notes.consumers import BoardConsumer  # noqa: E402

websocket = URLRouter([path("boards/<slug:board>/live", BoardConsumer.as_asgi())])
application = ProtocolTypeRouter({"http": http, "websocket": websocket})
