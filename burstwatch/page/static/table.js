// The table of services: one row each, for the window chosen. Rows and cells stay, only what changed is written.

import { el, setText, show } from "./dom.js";
import { ALL, idleSince, names, openKinds } from "./state.js";
import { clock, hourMinute, interval, length, number, percent, seconds } from "./words.js";

export const STATE_WORDS = { burst: "burst", failure: "failing", pressure: "pressure" };

const COLUMNS = [
  { title: "Rate", unit: "req/s", hint: "Requests per second", main: (w) => number(w.rate) },
  { title: "CV", hint: "Coefficient of variation of the gaps between requests: 1 for Poisson, more for bursts", main: (w) => number(w.cv) },
  { title: "α", hint: "Shape of the Gamma distribution of the gaps: 1 for Poisson, below for bursts", main: (w) => number(w.gamma_shape), sub: (w) => interval(w.gamma_shape_lower, w.gamma_shape_upper, number) },
  { title: "Dispersion", unit: "1 s", hint: "Index of dispersion of the counts per second: 1 for Poisson", main: (w) => number(w.dispersion_1s), sub: (w) => interval(w.dispersion_1s_lower, w.dispersion_1s_upper, number) },
  { title: "Failures", hint: "Failed over completed requests, Wilson's bounds", main: (w) => percent(w.failure_ratio), sub: (w) => interval(w.failure_ratio_lower, w.failure_ratio_upper, percent) },
  { title: "TTFT", unit: "p95", hint: "Time to first token, 95th percentile", main: (w) => seconds(w.time_to_first_token_s_p95) },
  { title: "Took", unit: "p95", hint: "Duration of requests, 95th percentile", main: (w) => seconds(w.request_duration_s_p95) },
  { title: "In flight", hint: "Requests being served at a time, on average", main: (w) => number(w.concurrency, 1) },
];

export class ServiceTable {
  /** `onChoose(name)` is told which service was picked, `onWindow(key)` which window. */
  constructor(table, windows, { onChoose, onWindow }) {
    this.windows = windows;
    this.onChoose = onChoose;
    this.onWindow = onWindow;
    this.rows = new Map();
    this.body = el("tbody", { role: "rowgroup" });
    table.setAttribute("role", "table"); // as cards on a phone it would otherwise be none
    const head = [el("th", { scope: "col", role: "columnheader" }, "Service"), el("th", { scope: "col", role: "columnheader" }, "State")];
    for (const { title, unit, hint } of COLUMNS) {
      head.push(el("th", { scope: "col", role: "columnheader", title: hint, className: "num" }, title, ...(unit ? [el("span", { className: "unit" }, ` ${unit}`)] : [])));
    }
    table.append(el("caption", { className: "sr-only" }, "Every service's numbers in the chosen window"), el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head)), this.body);
  }

  /** Show every service's numbers in window `key`; `chosen` is marked, and of whom `isOld(name)` is not said to be so now. */
  show(state, key, chosen, isOld) {
    const wanted = names(state);
    for (const [name, row] of this.rows) {
      if (!state.services.has(name)) { row.line.remove(); this.rows.delete(name); }
    }
    wanted.forEach((name, i) => {
      const row = this.rows.get(name) ?? this.addRow(name);
      if (this.body.children[i] !== row.line) this.body.insertBefore(row.line, this.body.children[i] ?? null);
      fillRow(row, state, name, key, chosen, isOld(name));
    });
    this.showWindows(state, key);
  }

  addRow(name) {
    const pick = el("button", { type: "button", className: "pick", title: `Show only ${name} in the charts` }, name);
    pick.addEventListener("click", () => this.onChoose(pick.getAttribute("aria-pressed") === "true" ? ALL : name));
    const covered = el("span", { className: "sub" });
    const kinds = el("td", { role: "cell", className: "kinds" });
    const cells = COLUMNS.map(() => ({ main: el("span"), sub: el("span", { className: "sub" }) }));
    const numbers = cells.map((c, i) => {
      const { title, unit } = COLUMNS[i];
      return el("td", { role: "cell", className: "num", "data-title": unit ? `${title}, ${unit}` : title }, c.main, c.sub);
    });
    const line = el("tr", { role: "row" }, el("th", { scope: "row", role: "rowheader" }, pick, covered), kinds, ...numbers);
    line.dataset.service = name;
    const row = { line, pick, covered, kinds, cells, shown: null };
    this.rows.set(name, row);
    return row;
  }

  showWindows(state, key) {
    const keys = [...new Set(names(state).flatMap((name) => Object.keys(state.services.get(name).now.windows)))].sort((a, b) => a - b);
    const wanted = keys.join(" ");
    if (this.windows.dataset.keys !== wanted) {
      this.windows.dataset.keys = wanted;
      for (const old of [...this.windows.querySelectorAll("label")]) old.remove();
      for (const each of keys) {
        const radio = el("input", { type: "radio", name: "window", value: each });
        radio.addEventListener("change", () => this.onWindow(each));
        this.windows.append(el("label", {}, radio, el("span", {}, length(Number(each)))));
      }
    }
    for (const radio of this.windows.querySelectorAll("input")) radio.checked = radio.value === key;
    show(this.windows, keys.length > 0);
  }
}

function fillRow(row, state, name, key, chosen, old) {
  const { end, windows } = state.services.get(name).now;
  const window = windows[key] ?? {};
  row.pick.setAttribute("aria-pressed", String(chosen === name));
  const partly = window.covered_s !== undefined && window.covered_s !== null && window.covered_s < Number(key);
  setText(row.covered, old ? `as of ${clock(end / 1000)}` : partly ? `${length(window.covered_s)} so far` : "");
  row.cells.forEach((cell, i) => {
    setText(cell.main, COLUMNS[i].main(window));
    setText(cell.sub, COLUMNS[i].sub?.(window) ?? "");
  });
  const pills = openKinds(state, name).map((kind) => [STATE_WORDS[kind], kind]);
  if (!pills.length) pills.push(restOf(idleSince(state, name)));
  const shown = `${pills.join()} ${old}`;
  if (row.shown !== shown) {
    row.shown = shown;
    row.kinds.replaceChildren(...pills.map(([words, kind]) => pillOf(words, kind, old)));
  }
}

const restOf = (idleUs) => (idleUs === null ? ["calm", "calm"] : [`no requests since ${hourMinute(idleUs / 1000)}`, "idle"]);
const pillOf = (words, kind, old) => el("span", { className: `pill ${old ? "old" : kind}` }, old ? `last: ${words}` : words);
