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
    const json = path.startsWith("/json") ? crypto.randomUUID().replaceAll("-", "") : null;
    if (server.upgrade(request, { data: { echo: path === "/echo", room, json } })) return;
    return new Response("expected a WebSocket", { status: 426 });
  },
  websocket: {
    perMessageDeflate: compression ? { compress: compression, decompress: compression } : false,
    open(ws) {
      if (ws.data.room !== null) ws.subscribe(ws.data.room);
    },
    message(ws, message) {
      if (ws.data.echo) ws.send(message, !!compression);
      else if (ws.data.json !== null) answer(ws, JSON.parse(message));
      else if (ws.data.room !== null) ws.publish(ws.data.room, message, !!compression);
    },
  },
});

// What `reply_json` of ours says to an event.
function answer(ws, { type, event, data }) {
  if (type !== "json" || event !== "move") return;
  const timestamp = new Date().toISOString();
  ws.send(JSON.stringify({ type: "json", data, target: ws.data.json, timestamp }));
}
