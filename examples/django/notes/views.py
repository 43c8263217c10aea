"""Views as in any project. They run in threads."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST


def home(request):
    return redirect("/boards/kitchen")


def board(request, board):
    return render(request, "board.html", {"board": board})


@require_POST
def pin(request, board):
    """Show a note on all pages of the board."""
    text = request.POST.get("text", "")[:200]
    if not text:
        return HttpResponse("no text", status=400)
    message = {"type": "board.note", "text": text}
    async_to_sync(get_channel_layer().group_send)(f"board.{board}", message)
    return HttpResponse(status=204)
