// Socket.IO over several processes: Node's cluster module and Socket.IO's cluster adapter.
//
//     node cluster_server.js WORKERS      listens on PORT; prints it once every worker does
//
// Clients speak WebSocket alone, so no sticky sessions are needed. `?silent` is no member.
"use strict";

const cluster = require("node:cluster");
const http = require("node:http");
const { createAdapter, setupPrimary } = require("@socket.io/cluster-adapter");
const { Server } = require("socket.io");

const ROOM = "bench";

if (cluster.isPrimary) {
  const count = Number(process.argv[2]);
  if (count > 1) setupPrimary();
  let listening = 0;
  cluster.on("listening", () => {
    if (++listening === count) console.log(process.env.PORT);
  });
  for (let number = 0; number < count; number++) {
    cluster.fork({ NUMBER: number + 1, IS_ALONE: count > 1 ? "" : "1" });
  }
} else {
  const server = http.createServer();
  const options = { transports: ["websocket"], perMessageDeflate: false, pingInterval: 600_000 };
  const io = new Server(server, options);
  if (!process.env.IS_ALONE) io.adapter(createAdapter());
  io.on("connection", (socket) => {
    if (socket.handshake.query.silent === undefined) socket.join(ROOM);
    socket.on("say", (text) => io.to(ROOM).emit("say", text));
    socket.emit("worker", Number(process.env.NUMBER));
  });
  server.listen({ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 4096 });
}
