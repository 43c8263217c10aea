// ws on Node, with its native masking add-on (bufferutil) installed beside it.
const { WebSocketServer } = require("ws");

const rooms = new Map();
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  backlog: 4096,
  perMessageDeflate: false,
});

function join(ws, name) {
  let room = rooms.get(name);
  if (room === undefined) rooms.set(name, (room = new Set()));
  room.add(ws);
  ws.on("message", (data, isBinary) => {
    for (const member of room) {
      if (member !== ws && member.readyState === 1) member.send(data, { binary: isBinary });
    }
  });
  ws.on("close", () => {
    room.delete(ws);
    if (room.size === 0) rooms.delete(name);
  });
}

server.on("connection", (ws, request) => {
  ws.on("error", () => {});
  if (request.url === "/echo") {
    ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
  } else if (request.url.startsWith("/room/")) {
    join(ws, request.url.slice(6));
  }
});
