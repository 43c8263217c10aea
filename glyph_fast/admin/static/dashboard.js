// Draws what the server sends over the WebSocket `/live`, once a second.
//
// The figures are sums since the start; rates and percentiles are made here, from what each message
// adds to the one before. The token, where one is needed, lives in this tab only.
"use strict";

const POINTS = 300; // seconds on the charts
const RETRY_MS = 2000;
const KEY = "glyph-fast-token";
const by = (id) => document.getElementById(id);

let token = sessionStorage.getItem(KEY);
let before = null; // the message before
let isAnswered = false; // whether this connection has brought figures

// Numbers for people.

const short = (n) =>
  n >= 1e9 ? (n / 1e9).toFixed(1) + "G" : n >= 1e6 ? (n / 1e6).toFixed(1) + "M"
  : n >= 1e4 ? (n / 1e3).toFixed(1) + "k" : n >= 100 || n === Math.round(n) ? String(Math.round(n)) : n.toFixed(1);

const whole = (n) => (n < 1e7 ? Math.round(n).toLocaleString("en") : short(n));

function size(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < 4) { n /= 1024; i++; }
  return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}

const span = (s) =>
  s === 0 ? "0" : s < 1e-3 ? trim(s * 1e6) + " µs" : s < 1 ? trim(s * 1e3) + " ms" : trim(s) + " s";
const trim = (n) => (n < 10 ? n.toFixed(1).replace(/\.0$/, "") : String(Math.round(n)));

function age(s) {
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min` : `${Math.floor(s)} s`;
}

const clock = (t) => new Date(t * 1000).toLocaleTimeString([], { hour12: false });

const total = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

// Percentiles of what was added to a histogram between two messages; null when that is nothing.
function percentile(bounds, now, was, share) {
  const added = now.map((n, i) => n - was[i]);
  const all = added.reduce((a, b) => a + b, 0);
  if (all <= 0) return null;
  let below = 0, low = 0;
  for (let i = 0; i < bounds.length; i++) {
    if (added[i] && below + added[i] >= share * all)
      return low + ((bounds[i] - low) * (share * all - below)) / added[i];
    below += added[i];
    low = bounds[i];
  }
  return low;
}

// Charts.

// The points of a series that no line reaches, for they stand between gaps.
const alone = (plot, series) => {
  const values = plot.data[series];
  return [...values.keys()].filter((i) => values[i] != null && values[i - 1] == null && values[i + 1] == null);
};

const decades = (plot, steps) => steps.map((n) => (Math.abs(Math.log10(n) % 1) < 1e-6 ? n : null));

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const charts = [];

class Chart {
  constructor(id, names, axis) { // axis: how to write a value, its steps, its least height
    this.place = by(id);
    this.names = names;
    this.axis = axis;
    this.data = [[], ...names.map(() => [])];
    charts.push(this);
  }
  add(time, values) {
    this.data[0].push(time);
    values.forEach((value, i) => this.data[i + 1].push(value));
    if (this.data[0].length > POINTS) this.data.forEach((column) => column.shift());
    if (!this.plot) this.draw();
    else this.plot.setData(this.data);
    if (this.plot.cursor.idx == null) this.plot.setLegend({ idx: this.data[0].length - 1 });
  }
  draw() {
    this.plot?.destroy();
    const colours = ["--one", "--two", "--three", "--four", "--bad"].map(css);
    const { write, incrs, least, isLog } = this.axis;
    const range = isLog
      ? (u, low, high) => uPlot.rangeLog(low ?? 1e-5, Math.max(high ?? 0, 1e-3), 10, true)
      : (u, low, high) => [0, Math.max(high * 1.1, least)];
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
    this.plot = new uPlot({
      width: this.place.clientWidth || 300,
      height: 170,
      cursor: { y: false },
      scales: { y: { range, distr: isLog ? 3 : 1 } },
      axes: [
        { ...axis, space: 80, size: 30, values: (u, ticks) => ticks.map(clock) },
        { ...axis, size: 62, ...(isLog && { grid: { ...axis.grid, filter: decades } }), values: (u, ticks) => ticks.map((n) => (n == null ? "" : write(n))), ...(incrs && { incrs }) },
      ],
      series: [
        { label: "at", value: (u, t) => (t == null ? "" : clock(t)) },
        ...this.names.map((label, i) => ({
          label, stroke: colours[i], width: 1.5, points: { size: 4, fill: colours[i], filter: alone },
          value: (u, v) => (v == null ? "–" : write(v)),
        })),
      ],
    }, this.data, this.place);
  }
}

const BINARY = [...Array(40).keys()].map((i) => 2 ** i); // steps of an axis of sizes
const WHOLE = [...Array(12).keys()].flatMap((i) => [1, 2, 5].map((n) => n * 10 ** i));
const count = { write: short, incrs: WHOLE, least: 4 };
const bytes = { write: size, incrs: BINARY, least: 1024 };
const times = { write: span, isLog: true };
const chart = {
  connections: new Chart("chart-connections", ["open"], count),
  messages: new Chart("chart-messages", ["in", "out"], count),
  bytes: new Chart("chart-bytes", ["in", "out"], bytes),
  queue: new Chart("chart-queue", ["queued"], bytes),
  drops: new Chart("chart-drops", ["oldest", "newest", "block", "disconnect", "rate"], count),
  turnover: new Chart("chart-turnover", ["opened", "ended", "refused"], count),
  resumes: new Chart("chart-resumes", ["resumed", "refused"], count),
  history: new Chart("chart-history", ["kept"], bytes),
  handler: new Chart("chart-handler", ["p50", "p95", "p99"], times),
  broadcast: new Chart("chart-broadcast", ["p50", "p95", "p99"], times),
  rtt: new Chart("chart-rtt", ["p50", "p95", "p99"], times),
};
const redraw = () => charts.forEach((each) => each.plot && each.draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", () =>
  charts.forEach((each) => each.plot?.setSize({ width: each.place.clientWidth, height: 170 })));

// One message.

const CODES = {
  0: "or another code", 1000: "normal", 1001: "going away", 1002: "protocol error", 1005: "no code given", 1006: "lost without a close",
  1007: "bad data", 1008: "policy", 1009: "message too big", 1011: "server error, or no pong", 1012: "restart",
  4008: "slow consumer", 4401: "credentials expired",
};

function show(now) {
  by("parts").textContent = `${now.version} · ${now.core} core · ${now.engine} engine · up ${age(now.uptime_seconds)}`;
  by("connections").textContent = whole(now.connections);
  by("connections-more").textContent = `${whole(now.connections_total)} since the start`;
  by("queued").textContent = size(now.queue_bytes);
  by("queued-more").textContent = `${whole(now.queue_messages)} messages`;
  const dropped = Object.entries(now.messages_dropped).filter(([, n]) => n);
  by("dropped").textContent = short(total(now.messages_dropped));
  by("dropped").classList.toggle("bad", dropped.length > 0);
  by("errors").classList.toggle("bad", now.handler_errors > 0);
  by("dropped-more").textContent = dropped.map(([why, n]) => `${why} ${short(n)}`).join(", ") || "none so far";
  by("errors").textContent = short(now.handler_errors);
  const { resumed, refused } = now.resumes;
  by("remembered").textContent = size(now.history_bytes);
  by("remembered-more").textContent = `${whole(now.history_messages)} messages`;
  by("resumed").textContent = short(resumed);
  by("resumed-more").textContent = refused ? `${whole(refused)} refused` : "none refused";
  by("present").textContent = whole(now.presence_members);

  // An object of JavaScript's puts names that are numbers first, whatever their order was.
  const rooms = Object.entries(now.room_members).sort((a, b) => b[1] - a[1]);
  table("rooms", rooms.map(([name, n]) =>
    [name, whole(n), ["Close", "close-room", { room: name }, `Close the connections of all in room “${name}”?`]]));
  table("slow", now.slowest_consumers.map((each) =>
    [mono(each.connection.slice(0, 12)), each.remote || "local", size(each.queued_bytes), whole(each.messages_dropped),
     ["Close", "disconnect", { connection: each.connection }, "Close this connection?"]]));
  table("failures", now.recent_errors.map((each) =>
    [each.handler, each.exception, whole(each.count), clock(Date.parse(each.latest) / 1000)]));
  table("ends", [
    ...Object.entries(now.disconnects).map(([code, n]) =>
      [`closed with ${code}${CODES[code] ? `, ${CODES[code]}` : ""}`, whole(n)]),
    ...Object.entries(now.connections_rejected).filter(([, n]) => n).map(([why, n]) => [`refused: ${why}`, whole(n)]),
  ]);
  by("several").hidden = !now.workers;
  table("workers", (now.workers ?? []).map((each) =>
    [String(each.worker), whole(each.connections), `${each.cpu_seconds.toFixed(1)} s`, size(each.memory_bytes),
     span(each.loop_lag_seconds), whole(each.restarts)]));
  draw(now);
  before = now;
}

function draw(now) {
  const seconds = before ? now.uptime_seconds - before.uptime_seconds : 0;
  if (seconds <= 0.2) return;
  const time = Date.now() / 1000;
  const rate = (pick) => Math.max(0, (pick(now) - pick(before)) / seconds);
  const received = rate((x) => x.messages_received), sent = rate((x) => x.messages_sent);
  by("received").textContent = short(received);
  by("sent").textContent = short(sent);
  chart.connections.add(time, [now.connections]);
  chart.messages.add(time, [received, sent]);
  chart.bytes.add(time, [rate((x) => x.bytes_received), rate((x) => x.bytes_sent)]);
  chart.queue.add(time, [now.queue_bytes]);
  chart.drops.add(time, chart.drops.names.map((reason) => rate((x) => x.messages_dropped[reason])));
  chart.turnover.add(time, [
    rate((x) => x.connections_total), rate((x) => total(x.disconnects)), rate((x) => total(x.connections_rejected)),
  ]);
  chart.resumes.add(time, chart.resumes.names.map((result) => rate((x) => x.resumes[result])));
  chart.history.add(time, [now.history_bytes]);
  for (const [place, name] of [["handler", "handler_seconds"], ["broadcast", "broadcast_seconds"], ["rtt", "ping_rtt_seconds"]])
    chart[place].add(time, [0.5, 0.95, 0.99].map((share) =>
      percentile(now.histograms.bounds, now.histograms[name], before.histograms[name], share)));
}

const mono = (text) => ({ mono: text });

// Rewrites a table's rows only where they differ, so that a button stays under the finger.
function table(id, rows) {
  const body = by(id).tBodies[0], columns = [...by(id).tHead.rows[0].cells];
  by(id).hidden = !rows.length;
  by(id).nextElementSibling.hidden = rows.length > 0;
  if (body.dataset.rows === JSON.stringify(rows)) return;
  body.dataset.rows = JSON.stringify(rows);
  body.replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    row.forEach((value, i) => {
      const cell = line.insertCell();
      cell.className = columns[i].className;
      if (Array.isArray(value)) { if (token) cell.append(action(...value)); }
      else if (value.mono) { cell.textContent = value.mono; cell.classList.add("mono"); }
      else cell.textContent = value;
    });
    return line;
  }));
}

// Actions.

function action(label, call, body, question) {
  const button = document.createElement("button");
  button.textContent = label;
  button.addEventListener("click", async () => {
    if (confirm(question)) alert(told(await act(call, body)));
  });
  return button;
}

async function act(call, body) {
  try {
    const answer = await fetch(`/api/${call}`, {
      method: "POST", headers: { Authorization: `Bearer ${token}` }, body: JSON.stringify(body),
    });
    return await answer.json();
  } catch { return { error: "the server does not answer" }; }
}

const told = (answer) => answer.error ?? Object.entries(answer).map(([k, n]) => `${k}: ${n}`).join(", ");

by("end").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { [by("whose").value]: by("who").value };
  by("ended").textContent = told(await act("disconnect", body));
});

by("notice").addEventListener("submit", async (event) => {
  event.preventDefault();
  let data = by("text").value;
  try { data = JSON.parse(data); } catch { /* not JSON: sent as a text */ }
  by("said").textContent = told(await act("broadcast", { data }));
});

// The connection.

function state(text, kind) {
  by("state").textContent = text;
  by("state").className = kind;
}

function open() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  isAnswered = false;
  let asking = 0;
  socket.onopen = () => {
    state("connecting …", "");
    if (token) socket.send(JSON.stringify({ token }));
    else asking = setTimeout(() => { // figures would have come if they needed no token
      socket.onclose = socket.onmessage = null;
      socket.close();
      ask(false);
    }, 500);
  };
  socket.onmessage = (event) => {
    clearTimeout(asking);
    if (!isAnswered) {
      isAnswered = true;
      by("ask").hidden = true;
      by("figures").hidden = false;
      by("acts").hidden = !token;
      if (token) sessionStorage.setItem(KEY, token);
      state("live", "live");
      before = null;
    }
    show(JSON.parse(event.data));
  };
  socket.onclose = (event) => {
    clearTimeout(asking);
    if (event.code === 1008) { // the token is wrong, or none came in time
      sessionStorage.removeItem(KEY);
      const wasWrong = token !== null;
      token = null;
      ask(wasWrong);
      return;
    }
    state("no connection", "lost");
    setTimeout(open, RETRY_MS);
  };
}

function ask(wasWrong) {
  state("locked", "");
  by("figures").hidden = true;
  by("ask").hidden = false;
  by("wrong").hidden = !wasWrong;
  by("token").focus();
}

by("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = by("token").value;
  open();
});

open();
