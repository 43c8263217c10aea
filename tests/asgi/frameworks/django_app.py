"""Django with Channels: the sample application of test_frameworks.py."""

from importlib import import_module

from django.conf import settings

settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django_app.cors"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    FILE_UPLOAD_MAX_MEMORY_SIZE=1024,
)

import django  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

django.setup()


class cors:  # noqa: N801  # as middlewares are named
    sync_capable = True

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response["Access-Control-Allow-Origin"] = "https://page.example"
        return response


async def health(request):
    return JsonResponse({"status": "own"})


def in_a_thread(request):
    return JsonResponse({"thread": True})


@csrf_exempt
def upload(request):
    size = 0
    while chunk := request.read(65536):
        size += len(chunk)
    return JsonResponse({"size": size})


urlpatterns = [
    path("healthz", health), path("sync", in_a_thread), path("upload", upload),
]  # fmt: skip

# Not `import channels…`: in the tests that would be a folder of theirs.
websocket = import_module("channels.generic.websocket")
routing = import_module("channels.routing")


class Consumer(websocket.AsyncWebsocketConsumer):
    """Echoes by a group, so that the layer is used."""

    async def connect(self):
        await self.channel_layer.group_add("all", self.channel_name)
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("all", {"type": "told", "text": text_data})

    async def told(self, event):
        await self.send(event["text"])


app = routing.ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": routing.URLRouter([path("socket", Consumer.as_asgi())]),
    }
)
