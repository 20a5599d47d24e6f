// Puts the parts together: messages change the state, the state is drawn at most once a frame and once a second.

import { Charts } from "./charts.js";
import { byId, el, setText, show } from "./dom.js";
import { announcer, showEpisodes, verdict } from "./episodes.js";
import { showMemory } from "./memory.js";
import { ALL, LINES_MAX, apply, columns, drawn, emptyState, horizon, isSilent, names, openKinds, span } from "./state.js";
import { openStream } from "./stream.js";
import { ServiceTable } from "./table.js";
import { clock, day, inUtc, interval, isUtc, length, number, percent, seconds, setUtc, zoneName } from "./words.js";

const LATE_S = 30; // a row comes every 10 s and a little after its end
const state = emptyState();
const choice = { service: ALL, windowKey: "60", rangeS: 900 };
const link = { up: false, since: Date.now(), ever: false };
let status = null; // what the server last said of Kafka
let skewMs = 0; // the server's clock minus ours
let asked = false;

const announce = announcer(byId("announce"));
const charts = new Charts(byId("charts"), (text) => setText(byId("cursor-words"), text));
const table = new ServiceTable(byId("table"), byId("windows"), {
  onChoose: (name) => { choice.service = name; draw(); },
  onWindow: (key) => { choice.windowKey = key; draw(); },
});

function draw() {
  if (document.hidden) drawLead(); // a tab in the background gets no frames, but its title is read
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; drawNow(); });
}

function drawNow() {
  if (choice.service !== ALL && !state.services.has(choice.service)) choice.service = ALL;
  const services = drawn(state, choice.service);
  const any = state.services.size > 0;
  show(byId("empty"), !any && isLive());
  for (const id of ["story", "services", "memory"]) show(byId(id), any);
  show(byId("episodes"), any || state.episodes.size > 0);
  show(byId("controls"), any);
  drawLead();
  drawStatus();
  showEpisodes(byId("episode-list"), state, choice.service, isOld);
  if (!any) return;
  if (!names(state).some((name) => choice.windowKey in state.services.get(name).now.windows)) {
    choice.windowKey = String(state.services.get(names(state)[0]).now.drawn.failure_s);
  }
  drawStory(services);
  table.show(state, choice.windowKey, choice.service, isOld);
  showMemory(byId("engines"), state, services, isOld);
  const hidden = state.facts.hidden;
  show(byId("hidden-services"), hidden > 0);
  setText(byId("hidden-services"), `${hidden} more services are not shown: the page holds ${state.services.size}.`);
}

// What was true when the news stopped is not said as if it were true now.
const isLive = () => status?.kafka === "live";
const newsStopped = () => (!link.up && link.ever) || status?.kafka === "away" || (isLive() && unheardMs() >= LATE_S * 1000);
const isQuiet = (name) => isSilent(state, name, nowMs());
const isOld = (name) => newsStopped() || isQuiet(name);

function drawLead() {
  const known = verdict(state, isQuiet);
  const old = known.tone !== "wait" && newsStopped();
  const { tone, title, detail } = old
    ? { tone: "wait", title: `Last known: ${known.title.toLowerCase()}`, detail: known.detail.replace(/ now$/, "") } : known;
  const node = byId("verdict");
  setText(node, title);
  node.dataset.tone = tone;
  setText(byId("verdict-detail"), detail.replaceAll(" %", "\u00a0%")); // no line begins with a lone %
  document.title = tone === "calm" || tone === "wait" ? "Burstwatch" : `${title} – Burstwatch`;
  const select = byId("service");
  const options = [ALL, ...names(state)];
  if (select.dataset.names !== options.join(" ")) {
    select.dataset.names = options.join(" ");
    select.replaceChildren(...options.map((name) => el("option", { value: name }, name === ALL ? "All services" : name)));
  }
  select.value = choice.service;
}

function drawStory(services) {
  const seen = span(state, services, choice.rangeS, nowMs() / 1000);
  if (!seen) return;
  const { drawn: windows } = state.services.get(services[0]).now;
  charts.show(state, services, seen, { rate: length(windows.rate_s), failures: length(windows.failure_s) });
  const to = seen.to * 1000;
  setText(byId("span"), `${day(seen.from * 1000)}, ${clock(seen.from * 1000)} to ${clock(to)} ${zoneName(to)}`);
  byId("span").title = `${inUtc(seen.from * 1000)} to ${inUtc(to)}`;
  drawLegend(services);
  if (byId("numbers").open) drawPoints(services, seen);
}

function drawLegend(services) {
  const legend = byId("legend");
  show(legend, services.length > 1);
  const busiest = services.every((name) => !openKinds(state, name).length);
  const more = `${busiest ? "busiest" : "in an episode or busiest:"} ${LINES_MAX} of ${state.services.size}`;
  if (legend.dataset.shown === `${services.join(" ")} ${more}`) return;
  legend.dataset.shown = `${services.join(" ")} ${more}`;
  legend.replaceChildren(...services.map((name, i) => el("li", { className: `s${i}` }, name)));
  if (state.services.size > LINES_MAX && services.length > 1) legend.append(el("li", { className: "more" }, more));
}

function drawPoints(services, seen) {
  const fields = ["rate", "kv_usage_peak", "waiting_peak", "failure_ratio", "failure_ratio_lower", "failure_ratio_upper"];
  const { times, values } = columns(state, services, fields, seen);
  const rows = [];
  for (let i = times.length - 1; i >= 0 && rows.length < 60; i -= 1) {
    services.forEach((name, s) => {
      if (values.rate[s][i] === null && values.kv_usage_peak[s][i] === null) return;
      rows.push(el("tr", {},
        el("th", { scope: "row", title: inUtc(times[i] * 1000) }, clock(times[i] * 1000)), el("td", {}, name),
        el("td", { className: "num" }, number(values.rate[s][i])),
        el("td", { className: "num" }, percent(values.kv_usage_peak[s][i])),
        el("td", { className: "num" }, number(values.waiting_peak[s][i], 0)),
        el("td", { className: "num" }, percent(values.failure_ratio[s][i])),
        el("td", { className: "num" }, interval(values.failure_ratio_lower[s][i], values.failure_ratio_upper[s][i], percent))));
    });
  }
  const titles = ["Until", "Service", "Rate, req/s", "KV cache, peak", "Waiting, peak", "Failures", "95 % bounds"];
  const head = el("tr", {}, ...titles.map((t, i) => el("th", { scope: "col", className: i > 1 ? "num" : "" }, t)));
  byId("points").replaceChildren(el("caption", { className: "sr-only" }, "The newest points of the charts"), el("thead", {}, head), el("tbody", {}, ...rows));
}

const nowMs = () => Date.now() + skewMs;
const unheardMs = () => nowMs() - (status?.last_message ?? status?.since ?? 0);

function drawStatus() {
  const { tone, text } = statusOf();
  byId("status").dataset.tone = tone;
  setText(byId("status-text"), text);
  const away = link.up && status?.kafka === "away";
  show(byId("banner"), away);
  if (away) setText(byId("banner"), `Kafka at ${status.address} has not answered since ${clock(status.since)}. What is shown is what was known then; it goes on by itself.`);
  byId("feed-facts").textContent = state.facts.malformed ? `${state.facts.malformed} malformed messages left out. ` : "";
}

function statusOf() {
  if (!link.up) return { tone: "bad", text: link.ever ? `Reconnecting since ${clock(link.since)}` : "Connecting" };
  if (!status || status.kafka === "connecting") return { tone: "wait", text: "Connecting to Kafka" };
  if (status.kafka === "away") return { tone: "bad", text: `Kafka away since ${clock(status.since)}` };
  if (status.kafka === "reading") return { tone: "wait", text: "Reading history" };
  const latest = horizon(state);
  if (latest === null) return { tone: "wait", text: "Live, no rows yet" };
  const lagS = nowMs() / 1000 - latest / 1e6;
  if (Math.abs(lagS) < LATE_S) return { tone: "good", text: lagS < 2 ? "Live" : `Live, ${Math.round(lagS)} s behind` };
  const until = `${day(latest / 1000)}, ${clock(latest / 1000)}`;
  if (unheardMs() < LATE_S * 1000) return { tone: "good", text: `Replaying, at ${until}` };
  return { tone: "late", text: `No new data for ${seconds(unheardMs() / 1000)}, data to ${until}` };
}

function setLink(up) {
  if (up !== link.up) Object.assign(link, { up, since: Date.now() });
  link.ever ||= up;
  draw();
}

openStream({
  onState: (message) => { apply(state, message, nowMs()); announce(state, isLive()); draw(); },
  onBeat: (said) => { status = said; skewMs = said.now - Date.now(); announce(state, isLive()); draw(); },
  onLink: setLink,
});

byId("service").addEventListener("change", (event) => { choice.service = event.target.value; draw(); });
byId("range").addEventListener("change", (event) => { choice.rangeS = Number(event.target.value); draw(); });
byId("numbers").addEventListener("toggle", draw);

function showZone() { byId("zone").setAttribute("aria-pressed", String(isUtc())); }
byId("zone").addEventListener("click", () => { setUtc(!isUtc()); showZone(); charts.restyle(); draw(); });

const THEMES = ["auto", "light", "dark"];
function showTheme() { setText(byId("theme"), `Theme: ${document.documentElement.dataset.theme ?? "auto"}`); }
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  try { localStorage.setItem("burstwatch-theme", next); } catch { /* then it holds for this visit */ }
  showTheme();
  draw();
});
document.addEventListener("visibilitychange", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

showZone();
showTheme();
setInterval(draw, 1000); // the right edge is now, and ages are shown
draw();
