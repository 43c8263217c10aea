"""FastAPI: the sample application of test_frameworks.py."""

from fastapi import FastAPI, Request, WebSocket
from fastapi.middleware.cors import CORSMiddleware

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://page.example"])


@app.get("/healthz")
async def health():
    return {"status": "own"}


@app.get("/sync")
def in_a_thread():
    return {"thread": True}


@app.post("/upload")
async def upload(request: Request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"size": size}


@app.websocket("/socket")
async def socket(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
