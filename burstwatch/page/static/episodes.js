// What happened, the newest first, in the same words as in the terminal; and news for screen readers.

import { el, setText } from "./dom.js";
import { STATE_WORDS } from "./table.js";
import { episodesOf, isOpen, points, value } from "./state.js";
import { clock, day, inUtc, number, percent, seconds } from "./words.js";

const SHOWN = 30;
const NOUNS = { burst: "Burst", failure: "Failures", pressure: "Memory pressure" };
const ms = (us) => us / 1000;

/** Show the newest episodes of `chosen` (a service, or all) in `list`; one of whom `isOld(name)` is not said to go on. */
export function showEpisodes(list, state, chosen, isOld) {
  const wanted = episodesOf(state, chosen).slice(0, SHOWN).map((episode) => itemOf(episode, isOld));
  if (!wanted.length) wanted.push(el("li", { className: "muted none" }, "Nothing out of the ordinary yet"));
  // Only what changed is replaced: a list that is rebuilt each second cannot be selected from.
  wanted.forEach((item, i) => {
    const old = list.children[i];
    if (!old) list.append(item);
    else if (!old.isEqualNode(item)) old.replaceWith(item);
  });
  while (list.children.length > wanted.length) list.lastElementChild.remove();
}

function itemOf(episode, isOld) {
  const open = isOpen(episode) && !isOld(episode.service);
  const lasted = episode.end === null ? "" : `lasted ${seconds((episode.end - episode.onset) / 1e6)}`;
  const since = el("time", { dateTime: new Date(ms(episode.onset)).toISOString(), title: inUtc(ms(episode.onset)) }, clock(ms(episode.onset)));
  const head = el("div", { className: "episode-head" },
    el("span", { className: `pill ${episode.kind}${open ? "" : " over"}` }, STATE_WORDS[episode.kind]),
    el("span", { className: "who" }, episode.service),
    el("span", { className: "muted small when" }, since, open ? ", going on" : episode.end === null ? ", end not told" : `, ${lasted}`));
  const item = el("li", {}, head, el("div", { className: "words" }, episode.words));
  item.dataset.id = episode.id;
  return item;
}

/** Returns what tells `region` about episodes that began or ended since the last call. */
export function announcer(region) {
  let known = null; // what was there when the page opened is no news, nor is history as it is read
  return (state, live) => {
    if (!live && known === null) return;
    const now = new Map([...state.episodes.values()].map((e) => [e.id, isOpen(e)]));
    const news = [...state.episodes.values()].filter((e) => known !== null && known.get(e.id) !== isOpen(e));
    known = now;
    if (!news.length) return;
    setText(region, news.slice(-3).map((e) => `${NOUNS[e.kind]} ${isOpen(e) ? "began" : "ended"} in ${e.service}, ${clock(ms(e.onset))}: ${e.words}`).join(". "));
  };
}

/** The headline: what is going on at this moment, and in which words. What is known of a service `isSilent` is not of now. */
export function verdict(state, isSilent) {
  const open = [...state.episodes.values()].filter((e) => isOpen(e) && !isSilent(e.service)).sort((a, b) => a.onset - b.onset);
  if (!state.services.size && !open.length) return { tone: "wait", title: "Waiting for the first requests", detail: "" };
  if (!open.length) {
    const count = state.services.size;
    const silent = [...state.services.keys()].filter(isSilent).length;
    const how = `${count} ${count === 1 ? "service" : "services"}${silent ? ` (${silent} silent)` : ""}`;
    return { tone: "calm", title: "All calm", detail: `${how}, no burst, failures or memory pressure now` };
  }
  const kinds = ["burst", "pressure", "failure"].filter((kind) => open.some((e) => e.kind === kind));
  const services = [...new Set(open.map((e) => e.service))];
  const first = open[0];
  const title = `${kinds.map((kind, i) => (i ? NOUNS[kind].toLowerCase() : NOUNS[kind])).join(", ")}`;
  const since = `since ${clock(ms(first.onset))}, ${day(ms(first.onset))}`;
  const who = services.length > 3 ? `${services.length} services` : services.sort().join(", ");
  if (services.length > 1) return { tone: kinds.at(-1), title, detail: `${who} since ${clock(ms(first.onset))}` };
  return { tone: kinds.at(-1), title, detail: [`${services[0]} ${since}`, ...sizes(state, services[0], open)].join(" · ") };
}

/** How bad it is by the newest row: an episode itself is told only at its beginning and its end. */
function sizes(state, name, open) {
  const service = state.services.get(name);
  if (!service) return [];
  const newest = (field) => value(points(service).at(-1), state.fields, field);
  const of = (kind) => open.find((e) => e.kind === kind);
  const out = [];
  if (of("burst")) out.push(`${number(newest("rate"), 1)} req/s, expected ${number(of("burst").baseline_rate, 1)}`);
  if (of("pressure") && newest("kv_usage_peak") !== null) out.push(`KV cache ${percent(newest("kv_usage_peak"))}`);
  if (of("failure")) out.push(`${percent(newest("failure_ratio"))} failing`);
  return out;
}
