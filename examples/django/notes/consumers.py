"""Who looks at a board is in its group."""

from channels.generic.websocket import AsyncJsonWebsocketConsumer


class BoardConsumer(AsyncJsonWebsocketConsumer):
    """One page that shows a board."""

    async def connect(self):
        self.group = f"board.{self.scope['url_route']['kwargs']['board']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content):
        """A page says that somebody writes; all show it."""
        await self.channel_layer.group_send(self.group, {"type": "board.writing"})

    async def board_writing(self, event):
        await self.send_json({"writing": True})

    async def board_note(self, event):
        await self.send_json({"note": event["text"]})
