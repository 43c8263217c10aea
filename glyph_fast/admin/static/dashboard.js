// Draws what the server sends over the WebSocket `/live`, once a second.
//
// The first message has the last ten minutes, in columns; each second one after it has a point more
// for the charts. The token, where one is needed, lives in this tab only.
"use strict";

const POINTS = 300; // on the charts, two seconds apart
const SLOWLY_MS = 5000; // between two looks at what is not sent every second
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
  // `series`: the label of each by the name of its column; `axis`: how to write a value, its steps,
  // its least height.
  constructor(id, series, axis) {
    this.place = by(id);
    this.names = Object.keys(series);
    this.labels = Object.values(series);
    this.axis = axis;
    this.data = [[], ...this.names.map(() => [])];
    charts.push(this);
  }
  fill(columns) {
    this.data = [columns.at.slice(-POINTS), ...this.names.map((name) =>
      (columns[name] ?? columns.at.map(() => null)).slice(-POINTS))];
    this.show();
  }
  add(point) {
    this.data[0].push(point.at);
    this.names.forEach((name, i) => this.data[i + 1].push(point[name] ?? null));
    if (this.data[0].length > POINTS) this.data.forEach((column) => column.shift());
    this.show();
  }
  show() {
    if (!this.data[0].length || !this.place.clientWidth) return; // nothing yet, or folded away
    if (!this.plot || this.plot.width !== this.place.clientWidth) this.draw();
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
        ...this.labels.map((label, i) => ({
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
const part = { write: (n) => (n < 10 ? n.toFixed(2) : short(n)), incrs: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, ...WHOLE], least: 0.1 };
const late = { write: span, least: 0.01 };
const quantiles = (name) => ({ [`${name}_p50`]: "p50", [`${name}_p95`]: "p95", [`${name}_p99`]: "p99" });
new Chart("chart-connections", { connections: "open" }, count);
new Chart("chart-messages", { messages_received: "in", messages_sent: "out" }, count);
new Chart("chart-cpu", { cpu: "used" }, part);
new Chart("chart-memory", { memory_bytes: "resident" }, bytes);
new Chart("chart-lag", { loop_lag_seconds: "late" }, late);
new Chart("chart-files", { open_files: "open" }, count);
new Chart("chart-bytes", { bytes_received: "in", bytes_sent: "out" }, bytes);
new Chart("chart-queue", { queue_bytes: "queued" }, bytes);
new Chart("chart-drops", {
  dropped_oldest: "oldest", dropped_newest: "newest", dropped_block: "block",
  dropped_disconnect: "disconnect", dropped_rate: "rate",
}, count);
new Chart("chart-turnover", { opened: "opened", ended: "ended", refused: "refused" }, count);
new Chart("chart-resumes", { resumed: "resumed", not_resumed: "refused" }, count);
new Chart("chart-history", { history_bytes: "kept" }, bytes);
new Chart("chart-handler", quantiles("handler_seconds"), times);
new Chart("chart-broadcast", quantiles("broadcast_seconds"), times);
new Chart("chart-rtt", quantiles("ping_rtt_seconds"), times);
const redraw = () => charts.forEach((each) => each.plot && each.draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", () => charts.forEach((each) => each.show()));

// Sections fold. On a phone only the figures are open at first; what one chooses is kept.
for (const [i, each] of [...document.querySelectorAll("details")].entries()) {
  const key = `glyph-fast-section-${i}`;
  const kept = sessionStorage.getItem(key);
  each.open = kept === null ? innerWidth >= 720 : kept === "open";
  each.addEventListener("toggle", () => {
    sessionStorage.setItem(key, each.open ? "open" : "closed");
    charts.forEach((chart) => chart.show());
  });
}

// One message.

const CODES = {
  0: "or another code", 1000: "normal", 1001: "going away", 1002: "protocol error", 1005: "no code given", 1006: "lost without a close",
  1007: "bad data", 1008: "policy", 1009: "message too big", 1011: "server error, or no pong", 1012: "restart",
  4008: "slow consumer", 4401: "credentials expired",
};

function show(now) {
  const seconds = before ? now.uptime_seconds - before.uptime_seconds : 0;
  by("parts").textContent = `${now.version} · ${now.core} core · ${now.engine} engine · up ${age(now.uptime_seconds)}`;
  by("connections").textContent = whole(now.connections);
  by("connections-more").textContent = `${whole(now.connections_total)} since the start`;
  by("queued").textContent = size(now.queue_bytes);
  by("queued-more").textContent = `${whole(now.queue_messages)} messages`;
  const dropped = Object.entries(now.messages_dropped).filter(([, n]) => n);
  by("dropped").textContent = short(total(now.messages_dropped));
  by("dropped").classList.toggle("bad", dropped.length > 0);
  by("errors").classList.toggle("bad", now.handler_errors > 0);
  const since = now.last_drop_seconds;
  by("dropped-more").textContent = [
    dropped.map(([why, n]) => `${why} ${short(n)}`).join(", ") || "none so far",
    ...(since == null ? [] : [`the last ${age(since)} ago`]),
  ].join(" · ");
  by("errors").textContent = short(now.handler_errors);
  const { resumed, refused } = now.resumes;
  by("remembered").textContent = size(now.history_bytes);
  by("remembered-more").textContent = `${whole(now.history_messages)} messages`;
  by("resumed").textContent = short(resumed);
  by("resumed-more").textContent = refused ? `${whole(refused)} refused` : "none refused";
  by("present").textContent = whole(now.presence_members);
  const { process } = now, used = seconds > 0.2 ? process.cpu_seconds - before.process.cpu_seconds : null;
  if (used !== null) by("cpu").textContent = `${Math.max(0, (100 * used) / seconds).toFixed(used > seconds ? 0 : 1)} %`;
  by("cpu-more").textContent = `of one processor${now.workers ? ", all processes" : ""}`;
  by("memory").textContent = size(process.memory_bytes);
  by("memory-more").textContent = now.workers ? "all processes" : "resident";
  by("files").textContent = whole(process.open_files);
  by("files-more").textContent = process.max_files ? `of ${whole(process.max_files)}${now.workers ? ", the fullest process" : ""}` : "";
  by("files").classList.toggle("bad", process.open_files > 0.8 * process.max_files && process.max_files > 0);
  by("lag").textContent = span(process.loop_lag_seconds);
  by("lag").classList.toggle("bad", process.loop_lag_seconds > 0.25);

  // An object of JavaScript's puts names that are numbers first, whatever their order was.
  const rooms = Object.entries(now.room_members).sort((a, b) => b[1] - a[1]);
  table("rooms", rooms.map(([name, n]) =>
    [name, whole(n), ["Close", "close-room", { room: name }, `Close the connections of all in room “${name}”?`]]));
  table("slow", now.slowest_consumers.map((each) =>
    [mono(each.connection.slice(0, 12)), each.remote || "local", size(each.queued_bytes), whole(each.messages_dropped),
     ["Close", "disconnect", { connection: each.connection }, "Close this connection?"]]));
  table("failures", now.recent_errors.map((each) =>
    [each.handler, { text: `${each.exception}${each.text ? `: ${each.text}` : ""}`, where: each.where }, whole(each.count), clock(Date.parse(each.latest) / 1000)]));
  table("ends", [
    ...Object.entries(now.disconnects).map(([code, n]) =>
      [`closed with ${code}${CODES[code] ? `, ${CODES[code]}` : ""}`, whole(n)]),
    ...Object.entries(now.connections_rejected).filter(([, n]) => n).map(([why, n]) => [`refused: ${why}`, whole(n)]),
  ]);
  by("several").hidden = !now.workers;
  table("workers", (now.workers ?? []).map((each, i) => {
    const was = before?.workers?.[i]?.cpu_seconds;
    const share = was == null || seconds <= 0.2 ? "–" : `${Math.max(0, (100 * (each.cpu_seconds - was)) / seconds).toFixed(1)} %`;
    return [String(each.worker), whole(each.connections), share, size(each.memory_bytes),
      `${whole(each.open_files)} of ${whole(each.max_files)}`, span(each.loop_lag_seconds), whole(each.restarts)];
  }));
  if (seconds > 0.2) {
    by("received").textContent = short(Math.max(0, now.messages_received - before.messages_received) / seconds);
    by("sent").textContent = short(Math.max(0, now.messages_sent - before.messages_sent) / seconds);
  }
  if (now.history?.at) charts.forEach((each) => each.fill(now.history));
  if (now.point) charts.forEach((each) => each.add(now.point));
  before = now;
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
      else if (value.where !== undefined) {
        cell.textContent = value.text;
        const where = document.createElement("span");
        where.className = "where mono";
        where.textContent = value.where;
        cell.append(where);
      } else if (value.mono) { cell.textContent = value.mono; cell.classList.add("mono"); }
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

// What is asked for, not sent every second: who is connected, and what rooms remember.

async function look(path) {
  try {
    const answer = await fetch(`/api/${path}`, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
    return answer.ok ? await answer.json() : null;
  } catch { return null; }
}

async function find() {
  const answer = await look(`connections?search=${encodeURIComponent(by("wanted").value.trim())}`);
  const found = answer?.connections ?? [];
  table("found", found.map((each) =>
    [mono(each.connection.slice(0, 12)), each.user ?? "–", each.remote ?? "local", each.route ?? "–", whole(each.rooms),
     age(each.seconds), whole(each.messages_received), whole(each.messages_sent), size(each.queued_bytes),
     each.worker ? String(each.worker) : "–",
     ["Close", "disconnect", { connection: each.connection }, "Close this connection?"]]));
  by("found-more").textContent =
    answer === null ? "The server does not answer." : found.length ? `${whole(found.length)} found${answer.more ? ", and there are more" : ""}` : "Nobody is like that.";
}

by("find").addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});

async function lookAround() {
  if (!isAnswered || document.hidden) return;
  const answer = await look("streams");
  if (answer) table("streams", answer.streams.slice(0, 20).map((each) =>
    [each.room, whole(each.messages), size(each.bytes), whole(each.offset)]));
}
setInterval(lookAround, SLOWLY_MS);

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
      lookAround();
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
