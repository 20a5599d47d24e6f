// Three charts on one time axis: rate, memory, failures. Each says its newest value, or that under the cursor.

import uPlot from "./vendor/uPlot.esm.js";
import { el, setText } from "./dom.js";
import { shading } from "./shading.js";
import { columns, episodesOf, isOpen, peakOf } from "./state.js";
import { DASH, clock, day, hourMinute, interval, number, percent, zoneName } from "./words.js";

const US = 1e6;
const AXIS_PX = 52; // the same for all, so that a moment is straight above itself
const X_AXIS_PX = 26; // only the last has it
const HEIGHT_PX = { rate: 172, kv: 142, failures: 132 };

const PANELS = [
  {
    key: "rate", kind: "burst", field: "rate", color: "--rate",
    title: "Request rate", unit: "req/s", note: (over) => `over ${over}`, form: (v) => number(v), tick: (v) => `${v}`,
    range: (low, high) => [0, Math.max(1, 1.18 * high)],
  },
  {
    key: "kv", kind: "pressure", field: "kv_usage_peak", color: "--kv",
    title: "KV cache in use", unit: "", note: () => "fullest engine, peak of 10 s", form: percent, tick: (v) => `${Math.round(100 * v)} %`,
    range: () => [0, 1.3], // room for the words above a full cache
    splits: [0, 0.25, 0.5, 0.75, 1],
  },
  {
    key: "failures", kind: "failure", field: "failure_ratio", color: "--failure",
    title: "Failure ratio", unit: "", note: (over, bounds) => `over ${over}, so it lags${bounds}`, form: percent, tick: (v) => `${Math.round(1000 * v) / 10} %`,
    // The upper bound of a handful of requests would flatten everything else.
    range: (low, high, bound) => [0, Math.min(1.05, Math.max(0.05, 1.25 * high, Math.min(1.05 * bound, 2 * high + 0.05)))],
    lower: "failure_ratio_lower", upper: "failure_ratio_upper",
  },
];
const FIELDS = ["rate", "kv_usage_peak", "failure_ratio", "failure_ratio_lower", "failure_ratio_upper"];

export class Charts {
  /** `root` takes arrow keys; `announce(text)` is told what they point at. */
  constructor(root, announce) {
    this.root = root;
    this.announce = announce;
    this.shape = "";
    this.plots = [];
    this.view = null;
    this.index = null; // of the moment under the cursor
    root.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.fit()).observe(root);
  }

  /** Draw `services` of `state` over `span` (s). `windows` says over how long rate and failures are measured. */
  show(state, services, span, windows) {
    const data = columns(state, services, FIELDS, span);
    this.view = { state, services, span, data, windows, shades: this.shades(state, services, span) };
    const theme = getComputedStyle(document.documentElement).getPropertyValue("--text");
    const shape = `${services.join(" ")}|${theme}|${devicePixelRatio}`;
    if (shape !== this.shape) this.build(shape);
    for (const { panel, plot } of this.plots) {
      plot.batch(() => {
        plot.setData(this.columnsOf(panel), false);
        plot.setScale("x", { min: span.from, max: span.to });
        plot.setScale("y", this.scaleOf(panel));
      });
    }
    if (this.index !== null && this.index >= data.times.length) this.index = null;
    this.readOut();
  }

  /** Forget what is drawn: colours have changed. */
  restyle() {
    this.shape = "";
  }

  columnsOf(panel) {
    const { data, services } = this.view;
    const bounds = panel.lower && services.length === 1 ? [data.values[panel.upper][0], data.values[panel.lower][0]] : [];
    return [data.times, ...data.values[panel.field], ...bounds];
  }

  scaleOf(panel) {
    const { data, services, shades } = this.view;
    const top = (lists) => lists.flat().reduce((most, v) => Math.max(most, v ?? 0), 0);
    const levels = shades[panel.key].levels.map((level) => level.value);
    const bound = panel.upper && services.length === 1 ? top(data.values[panel.upper]) : 0;
    const [min, max] = panel.range(0, top([...data.values[panel.field], levels]), bound);
    return { min, max };
  }

  shades(state, services, span) {
    const css = getComputedStyle(document.documentElement);
    const color = (name) => css.getPropertyValue(name).trim();
    const inSight = [...episodesOf(state, "")]
      .filter((e) => services.includes(e.service))
      .map((e) => ({ ...e, from: e.onset / US, to: e.end === null ? (isOpen(e) ? span.to : e.detected / US) : e.end / US }))
      .filter((e) => e.to >= span.from && e.from <= span.to)
      .sort((a, b) => a.from - b.from);
    const bursts = inSight.filter((e) => e.kind === "burst");
    const of = (kind) => inSight.filter((e) => e.kind === kind);
    const out = {};
    for (const { key, kind } of PANELS) {
      out[key] = {
        text: color("--text"), font: css.fontFamily || "sans-serif",
        bands: of(kind).map((e) => ({ from: e.from, to: e.to, color: color(`--${kind}`), label: label(state, e, services) })),
        marks: kind === "burst" ? [] : bursts.map((e) => ({ at: e.from, color: color("--burst") })),
        levels: kind === "burst"
          ? bursts.filter((e) => e.baseline_rate !== null).map((e) => ({
              from: e.from, to: e.to, value: e.baseline_rate, color: color("--burst"), label: `expected ${number(e.baseline_rate, 1)}`,
            }))
          : [],
      };
    }
    return out;
  }

  build(shape) {
    this.shape = shape;
    for (const { plot } of this.plots) plot.destroy();
    this.root.replaceChildren();
    this.plots = PANELS.map((panel, i) => this.plotOf(panel, i === PANELS.length - 1));
  }

  plotOf(panel, isLast) {
    const value = el("span", { className: "reading" });
    const title = el("h3", {}, panel.title);
    const note = el("span", { className: "muted small" });
    const box = el("div", { className: "plot", role: "img" });
    box.dataset.panel = panel.key;
    this.root.append(el("div", { className: "panel" }, el("div", { className: "panel-head" }, title, note, value), box));
    const plot = new uPlot(this.optionsOf(panel, isLast), this.columnsOf(panel), box);
    return { panel, plot, box, value, note };
  }

  optionsOf(panel, isLast) {
    const css = getComputedStyle(document.documentElement);
    const color = (name) => css.getPropertyValue(name).trim();
    const { services } = this.view;
    const font = `11px ${css.fontFamily}`;
    const axis = { stroke: color("--muted"), font, ticks: { show: false }, grid: { stroke: color("--line"), width: 1 } };
    const lines = services.map((name, i) => ({
      label: name, stroke: color(services.length === 1 ? panel.color : `--s${i}`), width: 2, points: { show: false, filter: alone, size: 5 },
    }));
    const banded = panel.lower && services.length === 1;
    const bound = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width: Math.max(100, this.root.clientWidth), height: HEIGHT_PX[panel.key] + (isLast ? X_AXIS_PX : 0),
      padding: [4, 24, isLast ? 0 : 10, 0],
      legend: { show: false },
      cursor: { sync: { key: "burstwatch", setSeries: false }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: true, auto: false }, y: { auto: false } },
      series: [{}, ...lines, ...(banded ? [bound, bound] : [])],
      bands: banded ? [{ series: [2, 3], fill: color("--band") }] : [],
      axes: [
        {
          ...axis, size: isLast ? X_AXIS_PX : 0, space: 70,
          values: (_, splits, __, ___, step) => splits.map((s) => (isLast ? (step < 60 ? clock : hourMinute)(s * 1000) : "")),
        },
        { ...axis, size: AXIS_PX, space: 34, splits: panel.splits ? () => panel.splits : undefined, values: (_, splits) => splits.map(panel.tick) },
      ],
      plugins: [shading(() => this.view.shades[panel.key])],
      hooks: { setCursor: [(u) => this.onCursor(u)] },
    };
  }

  onCursor(u) {
    // All three are told of one movement; the first to say it is enough.
    const index = u.cursor.left >= 0 && u.cursor.idx !== undefined ? u.cursor.idx : null;
    if (index !== this.index) {
      this.index = index;
      this.readOut();
    }
  }

  onKey(event) {
    const { times } = this.view?.data ?? { times: [] };
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") return this.moveTo(null);
    if (step === undefined || !times.length) return undefined;
    event.preventDefault();
    const wanted = (this.index ?? times.length) + step;
    return this.moveTo(Math.min(times.length - 1, Math.max(0, wanted)));
  }

  moveTo(index) {
    const plot = this.plots[0]?.plot;
    if (!plot) return;
    const left = index === null ? -10 : plot.valToPos(this.view.data.times[index], "x");
    for (const each of this.plots) each.plot.setCursor({ left, top: 1 }, false);
    this.index = index;
    this.readOut();
    this.announce(index === null ? "" : `${clock(this.view.data.times[index] * 1000)}: ${this.plots.map(({ panel, value }) => `${panel.title} ${value.textContent}`).join(", ")}`);
  }

  readOut() {
    if (!this.view) return;
    const { data, services, span, windows } = this.view;
    for (const { panel, box, value, note } of this.plots) {
      const at = this.index ?? newestKnown(data.values[panel.field]);
      setText(value, this.reading(panel, at));
      setText(note, panel.note(windows[panel.key], panel.lower && services.length === 1 ? ", with 95 % bounds" : ""));
      box.setAttribute("aria-label", summary(panel, data, services, span, this.view.shades[panel.key]));
    }
  }

  /** What a chart says of one moment: value and bounds of one service, or the range over several. */
  reading(panel, at) {
    const { data, services } = this.view;
    if (at === null) return DASH;
    const unit = panel.unit ? ` ${panel.unit}` : "";
    // A value whose like has not come since is not said as if it were of now.
    const when = this.index === null && at === data.times.length - 1 ? "" : `  at ${clock(data.times[at] * 1000)}`;
    if (services.length !== 1) return when.trim();
    const shown = panel.form(data.values[panel.field][0][at]);
    const bounds = panel.lower ? interval(data.values[panel.lower][0][at], data.values[panel.upper][0][at], panel.form) : "";
    return `${shown}${unit}${bounds ? `  (${bounds})` : ""}${when}`;
  }

  fit() {
    const width = this.root.clientWidth;
    if (width < 100) return;
    for (const { plot, panel } of this.plots) {
      const isLast = panel === PANELS.at(-1);
      if (plot.width !== width) plot.setSize({ width, height: HEIGHT_PX[panel.key] + (isLast ? X_AXIS_PX : 0) });
    }
  }
}

/** A value between two holes has no line to be seen by: it gets a point. */
function alone(u, series) {
  const values = u.data[series];
  const found = values.flatMap((v, i) => (v !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []));
  return found.length ? found : null;
}

function newestKnown(lists) {
  for (let i = (lists[0]?.length ?? 0) - 1; i >= 0; i -= 1) if (lists.some((values) => values[i] !== null)) return i;
  return null;
}

function label(state, episode, services) {
  const who = services.length > 1 ? `${episode.service}: ` : "";
  const times = episode.kind === "burst" ? peakOf(state, episode).times : null;
  return `${who}${episode.kind === "failure" ? "failures" : episode.kind}${times === null ? "" : ` ${number(times, 1)}×`}`;
}

/** A chart in words, for those who do not see it. */
function summary(panel, data, services, span, shades) {
  const what = services.map((name, i) => {
    const values = data.values[panel.field][i].filter((v) => v !== null);
    if (!values.length) return `${name}: no values`;
    return `${name}: now ${panel.form(values.at(-1))}, lowest ${panel.form(Math.min(...values))}, highest ${panel.form(Math.max(...values))}`;
  });
  const spoken = `${clock(span.from * 1000)} to ${clock(span.to * 1000)} ${zoneName(span.to * 1000)}, ${day(span.to * 1000)}`;
  return `${panel.title}, ${spoken}. ${what.join("; ")}. ${shades.bands.length} shaded as ${panel.kind}.`;
}
