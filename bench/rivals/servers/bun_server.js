// Bun: uWebSockets under JavaScript, rooms are its topics. COMPRESSION is "", "shared" or "dedicated";
// with TLS_CERT and TLS_KEY it speaks TLS, by BoringSSL.
const compression = process.env.COMPRESSION || "";
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  tls: process.env.TLS_CERT
    ? { cert: Bun.file(process.env.TLS_CERT), key: Bun.file(process.env.TLS_KEY) }
    : undefined,
  fetch(request, server) {
    const path = new URL(request.url).pathname;
    const room = path.startsWith("/room/") ? path.slice(6) : null;
    if (server.upgrade(request, { data: { echo: path === "/echo", room } })) return;
    return new Response("expected a WebSocket", { status: 426 });
  },
  websocket: {
    perMessageDeflate: compression ? { compress: compression, decompress: compression } : false,
    open(ws) {
      if (ws.data.room !== null) ws.subscribe(ws.data.room);
    },
    message(ws, message) {
      if (ws.data.echo) ws.send(message, !!compression);
      else if (ws.data.room !== null) ws.publish(ws.data.room, message, !!compression);
    },
  },
});
