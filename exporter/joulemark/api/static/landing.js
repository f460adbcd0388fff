// The page's content: asks the API every two seconds while somebody looks.
"use strict";

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;
const KEPT_SAMPLES = 150;
const SHOWN_AT_LEAST = 30;
const CANONICAL = ["prerun", "data", "teacher", "student", "eval"];
const byId = (id) => document.getElementById(id);
const watts = new Map();
let answeredAt = null;

async function ask(path) {
  const answer = await fetch(`api/v1/${path}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`the exporter answered ${answer.status}`);
  return answer.json();
}

function stageOf(window) {
  const name = window.phase ? `${window.stage} · ${window.phase}` : window.stage;
  return make("span", { class: `stage ${CANONICAL.includes(window.stage) ? window.stage : "other"}` }, name);
}

function energyOf(window) {
  const text = bounded(window.joules, window.uncertainty_joules);
  const hours = `${figure(window.joules / 3600, "Wh")}`;
  return make("span", { title: window.settled ? hours : `${hours}; the counter has yet to confirm the last joules` }, text);
}

function facts(pairs) {
  const list = make("dl", { class: "facts" });
  for (const [name, value] of pairs) if (value) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

function tokensOf(window) {
  return Object.entries(window.tokens).map(([kind, count]) => `${count.toLocaleString()} ${kind}`).join(", ");
}

function leaseOf(window) {
  return window.lease_seconds === null ? "none: it stays until it is ended" : `${window.lease_seconds} s`;
}

function windowCard(window) {
  const energy = make("p", { class: "big" }, energyOf(window));
  return make(
    "article", { class: `card ${CANONICAL.includes(window.stage) ? window.stage : "other"}` },
    make("div", { class: "head" }, make("h3", {}, window.run), stageOf(window),
      window.state === "suspended" ? make("span", { class: "badge" }, "suspended") : null,
      window.shared ? make("span", { class: "badge" }, "shared") : null,
      window.modelled ? make("span", { class: "badge warn" }, "modelled") : null),
    energy,
    facts([
      ["for", duration(window.seconds)], ["on", window.devices.join(", ")], ["mean", figure(window.mean_watts, "W")],
      ["tokens", tokensOf(window)],
      ["per token", window.joules_per_token === null ? "" : figure(window.joules_per_token, "J")],
      ["lease", leaseOf(window)],
    ]),
  );
}

function spark(samples) {
  const top = Math.max(...samples, 1);
  const step = 100 / (Math.max(samples.length, SHOWN_AT_LEAST) - 1);
  const points = samples.map((value, i) => `${100 - (samples.length - 1 - i) * step},${38 - (value / top) * 36}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.join(" "));
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["viewBox", "0 0 100 40"], ["preserveAspectRatio", "none"], ["class", "spark"],
    ["role", "img"], ["aria-label", `power of the last minutes, at most ${figure(top, "W")}`]]) {
    picture.setAttribute(name, value);
  }
  picture.append(line);
  return picture;
}

function noteWatts(device) {
  const samples = watts.get(device.device) ?? [];
  if (device.watts !== null) samples.push(device.watts);
  watts.set(device.device, samples.slice(-KEPT_SAMPLES));
  return watts.get(device.device);
}

function failures(device) {
  return Object.entries(device.errors).map(([reason, count]) => `${count} × ${reason}`).join(", ");
}

function sourceCard(device) {
  const samples = noteWatts(device);
  return make(
    "article", { class: `card ${device.up ? "up" : "down"}` },
    make("div", { class: "head" }, make("span", { class: "dot", "aria-hidden": "true" }), make("h3", {}, device.device),
      make("span", { class: device.up ? "badge" : "badge bad" }, device.up ? "reading" : "not reading"),
      make("span", { class: device.modelled ? "badge warn" : "badge" }, device.modelled ? "modelled" : "measured")),
    make("p", { class: "big" }, device.watts === null ? "no power" : figure(device.watts, "W"),
      make("small", {}, ` ${figure(device.joules, "J")} in all`)),
    facts([
      ["source", device.source], ["model", device.model],
      ["tick", device.tick_seconds ? figure(device.tick_seconds, "s", 2) : ""],
      ["gaps", device.gap_seconds > 0 ? duration(device.gap_seconds) : "none"], ["failures", failures(device)],
      ["last read", device.up || device.last_read_at === null ? "" : since(device.last_read_at)],
    ]),
    samples.length > 1 ? spark(samples) : null,
  );
}

// The roles keep it a table for a screen reader where a narrow window shows it as blocks.
function windowRow(window) {
  const cell = (label, content, kind = "") => make("td", { role: "cell", "data-label": label, class: kind }, content);
  const energy = make("span", {}, energyOf(window));
  if (window.modelled) energy.append(" ", make("span", { class: "badge warn" }, "modelled"));
  return make(
    "tr", { role: "row" }, cell("Run", window.run, "run"), cell("Stage", stageOf(window), "named"), cell("State", window.state),
    cell("Began", since(window.started_at)), cell("Time", duration(window.seconds), "figure"),
    cell("Energy", energy, "figure energy"), cell("Mean power", figure(window.mean_watts, "W"), "figure"),
    cell("Per token", window.joules_per_token === null ? "–" : figure(window.joules_per_token, "J"), "figure"),
  );
}

function show(stages, devices, windows) {
  byId("now").replaceChildren(...stages.map(windowCard));
  byId("no-stage").hidden = stages.length > 0;
  byId("sources").replaceChildren(...devices.map(sourceCard));
  byId("windows").tBodies[0].replaceChildren(...windows.map(windowRow));
  byId("windows").hidden = windows.length === 0;
  byId("no-window").hidden = windows.length > 0;
  const models = devices.filter((device) => device.modelled).map((device) => device.device);
  byId("modelled").hidden = models.length === 0;
  byId("modelled").textContent = `The energy of ${models.join(", ")} is modelled, not measured: it shows where energy goes, not how much it is.`;
}

// Only a change is written: a screen reader speaks each.
function tell(state, text) {
  if (byId("live-text").textContent === text) return;
  byId("live").className = `live ${state}`;
  byId("live-text").textContent = text;
}

async function refresh() {
  if (document.hidden) return;
  try {
    show(...(await Promise.all([ask("stage"), ask("devices"), ask("windows?limit=20")])));
    answeredAt = Date.now() / 1000;
    tell("on", "live");
  } catch (error) {
    const seen = answeredAt === null ? "" : `; figures are of ${since(answeredAt)}`;
    tell("off", `no answer from the exporter${seen}`);
  }
}

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

byId("host").textContent = location.host;
byId("example").textContent = `curl -X PUT ${location.origin}/api/v1/stage -d '{"run":"kd-1b","stage":"teacher"}'`;
document.addEventListener("visibilitychange", refresh);
keepFresh();
