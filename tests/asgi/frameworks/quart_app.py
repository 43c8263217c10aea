"""Quart: the sample application of test_frameworks.py."""

from quart import Quart, request, websocket

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = None


@app.after_request
async def cors(response):
    response.headers["Access-Control-Allow-Origin"] = "https://page.example"
    return response


@app.get("/healthz")
async def health():
    return {"status": "own"}


@app.get("/sync")
def in_a_thread():
    return {"thread": True}


@app.post("/upload")
async def upload():
    size = 0
    async for chunk in request.body:
        size += len(chunk)
    return {"size": size}


@app.websocket("/socket")
async def socket():
    while True:
        await websocket.send(await websocket.receive())
