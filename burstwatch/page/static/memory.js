// How full each engine's KV cache is, and how long until it is full.

import { el, setText } from "./dom.js";
import { DASH, clock, number, percent, seconds } from "./words.js";

const bars = new Map(); // service|node|engine -> its elements; they stay, so that a bar moves instead of blinking

/** Show the engines of `services` of `state` in `root`; when the cache is full is not said of whom `isOld(name)`. */
export function showMemory(root, state, services, isOld) {
  const wanted = [];
  for (const name of services) {
    const { memory, end } = state.services.get(name).now;
    if (!memory || !memory.engines.length) {
      wanted.push(el("p", { className: "muted none" }, services.length > 1 ? `${name}: no engine readings` : "No engine readings"));
      continue;
    }
    for (const engine of memory.engines) wanted.push(barOf(name, engine, services.length > 1, isOld(name) ? end : null));
  }
  if (!services.length) wanted.push(el("p", { className: "muted none" }, "No engine readings"));
  // Engines come and go under new names for weeks; those that are gone take their bars with them.
  for (const [key, bar] of bars) if (!wanted.includes(bar.box)) bars.delete(key);
  const same = root.children.length === wanted.length && wanted.every((node, i) => root.children[i].isEqualNode(node));
  if (!same) root.replaceChildren(...wanted);
}

function barOf(service, engine, named, oldUs) {
  const key = `${service}|${engine.node}|${engine.engine}`;
  const bar = bars.get(key) ?? newBar();
  bars.set(key, bar);
  const usage = engine.kv_cache_usage_ratio;
  setText(bar.name, `${named ? `${service} · ` : ""}${engine.engine} on ${engine.node}`);
  setText(bar.value, percent(usage));
  bar.meter.setAttribute("aria-label", `KV cache of ${engine.engine} on ${engine.node}`);
  bar.meter.setAttribute("aria-valuetext", usage === null ? "not known" : percent(usage));
  bar.meter.setAttribute("aria-valuenow", String(usage === null ? 0 : Math.round(100 * usage)));
  bar.fill.style.setProperty("--share", String(Math.min(1, Math.max(0, usage ?? 0))));
  bar.fill.dataset.level = oldUs !== null ? "old" : usage === null ? "none" : usage >= 0.9 ? "full" : usage >= 0.7 ? "high" : "fine";
  setText(bar.queue, `${number(engine.running, 0)} running · ${number(engine.waiting, 0)} waiting`);
  setText(bar.ahead, oldUs === null ? ahead(engine) : `as of ${clock(oldUs / 1000)}`);
  bar.ahead.classList.toggle("soon", oldUs === null && engine.kv_exhaustion_lower_s !== null && engine.kv_exhaustion_lower_s < 60);
  return bar.box;
}

/** When the cache will be full, in words: at the earliest, and as estimated. */
export function ahead({ kv_cache_usage_ratio: usage, kv_exhaustion_lower_s: lower, kv_exhaustion_estimate_s: estimate }) {
  if (usage === null) return DASH;
  // Usage that stands still at the top is full for whoever waits, whatever its growth says.
  if (lower === null && estimate === null) return usage >= 0.95 ? "full or nearly so" : "not filling up";
  if (estimate === null) return `full in ${seconds(lower)} or more`;
  return lower === null ? `full in about ${seconds(estimate)}` : `full in ${seconds(lower)} – ${seconds(estimate)}`;
}

function newBar() {
  const name = el("span", { className: "engine" });
  const value = el("span", { className: "value" });
  const fill = el("span", { className: "fill" });
  const meter = el("div", { className: "meter", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  const queue = el("span", { className: "muted small" });
  const later = el("span", { className: "small ahead" });
  const box = el("div", { className: "bar-box" }, el("div", { className: "row" }, name, value), meter, el("div", { className: "row" }, queue, later));
  return { box, name, value, fill, meter, queue, ahead: later };
}
