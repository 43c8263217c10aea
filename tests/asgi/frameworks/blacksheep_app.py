"""BlackSheep: the sample application of test_frameworks.py."""

from blacksheep import Application, Request, WebSocket, json
from blacksheep.server.websocket import WebSocketDisconnectError

app = Application()
app.use_cors(allow_methods="*", allow_origins="https://page.example", allow_headers="*")


@app.router.get("/healthz")
async def health():
    return json({"status": "own"})


@app.router.get("/sync")
def in_a_thread():
    return json({"thread": True})


@app.router.post("/upload")
async def upload(request: Request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return json({"size": size})


@app.router.ws("/socket")
async def socket(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        pass
