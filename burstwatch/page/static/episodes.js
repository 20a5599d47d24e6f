// What happened, the newest first, in the same words as in the terminal; and news for screen readers.

import { el, setText } from "./dom.js";
import { STATE_WORDS } from "./table.js";
import { episodesOf, idleSince, isOpen, peakOf, points, value } from "./state.js";
import { clock, day, hourMinute, inUtc, length, number, percent, seconds } from "./words.js";

const SHOWN = 30;
const NOUNS = { burst: "Burst", failure: "Failures", pressure: "Memory pressure" };
const ms = (us) => us / 1000;

/** Show the newest episodes of `chosen` (a service, or all), and whichever goes on, in `list`; one of whom `isOld(name)` is not said to go on. */
export function showEpisodes(list, state, chosen, isOld) {
  const wanted = episodesOf(state, chosen).filter((e, i) => i < SHOWN || isOpen(e)).map((episode) => itemOf(state, episode, isOld));
  if (!wanted.length) wanted.push(el("li", { className: "muted none" }, "Nothing out of the ordinary yet"));
  // Only what changed is replaced: a list that is rebuilt each second cannot be selected from.
  wanted.forEach((item, i) => {
    const old = list.children[i];
    if (!old) list.append(item);
    else if (!old.isEqualNode(item)) old.replaceWith(item);
  });
  while (list.children.length > wanted.length) list.lastElementChild.remove();
}

function itemOf(state, episode, isOld) {
  const open = isOpen(episode) && !isOld(episode.service);
  const lasted = episode.end === null ? "" : `lasted ${seconds((episode.end - episode.onset) / 1e6)}`;
  const since = el("time", { dateTime: new Date(ms(episode.onset)).toISOString(), title: inUtc(ms(episode.onset)) }, clock(ms(episode.onset)));
  const head = el("div", { className: "episode-head" },
    el("span", { className: `pill ${episode.kind}${open ? "" : " over"}` }, STATE_WORDS[episode.kind]),
    el("span", { className: "who" }, episode.service),
    el("span", { className: "muted small when" }, "began ", since, open ? ", going on" : episode.end === null ? ", end not told" : `, ${lasted}`));
  const item = el("li", {}, head, el("div", { className: "words" }, wordsOf(state, episode)));
  item.dataset.id = episode.id;
  return item;
}

/** The episode's own words; of a burst that has grown since they were said, what its chart says, too. */
function wordsOf(state, episode) {
  if (episode.kind !== "burst") return episode.words;
  const { rate, times, told } = peakOf(state, episode);
  if (told || times === null) return episode.words;
  const over = length(state.services.get(episode.service).now.drawn.rate_s);
  return `${number(rate, 1)}/s over ${over} against ${number(episode.baseline_rate, 1)}/s expected = ${number(times, 1)}x so far`;
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
  if (!open.length) return calm(state, isSilent);
  const kinds = ["burst", "pressure", "failure"].filter((kind) => open.some((e) => e.kind === kind));
  const services = [...new Set(open.map((e) => e.service))];
  const first = open[0];
  const title = `${kinds.map((kind, i) => (i ? NOUNS[kind].toLowerCase() : NOUNS[kind])).join(", ")}`;
  const since = `since ${clock(ms(first.onset))}, ${day(ms(first.onset))}`;
  if (services.length > 1) return { tone: kinds.at(-1), title, detail: `${named(services.sort())} since ${clock(ms(first.onset))}` };
  return { tone: kinds.at(-1), title, detail: [`${services[0]} ${since}`, ...sizes(state, services[0], open)].join(" · ") };
}

/** What to say where there is no episode: that nobody asks anything is not the calm of a service that serves. */
function calm(state, isSilent) {
  const names = [...state.services.keys()].sort();
  const heard = names.filter((name) => !isSilent(name));
  const idle = heard.filter((name) => idleSince(state, name) !== null);
  const since = Math.max(...idle.map((name) => idleSince(state, name)));
  if (idle.length && idle.length === heard.length) {
    return { tone: "idle", title: "No requests", detail: `${named(idle)}: no requests since ${hourMinute(ms(since))}, ${day(ms(since))}` };
  }
  const but = [names.length > heard.length ? `${names.length - heard.length} silent` : "", idle.length ? `${idle.length} without requests` : ""].filter(Boolean);
  const how = `${names.length} ${names.length === 1 ? "service" : "services"}${but.length ? ` (${but.join(", ")})` : ""}`;
  return { tone: "calm", title: "All calm", detail: `${how}, no burst, failures or memory pressure now` };
}

const named = (services) => (services.length > 3 ? `${services.length} services` : services.join(", "));

/** How bad it is by the newest row: an episode itself is told only at its beginning and its end. */
function sizes(state, name, open) {
  const service = state.services.get(name);
  if (!service) return [];
  const newest = (field) => value(points(service).at(-1), state.fields, field);
  const of = (kind) => open.find((e) => e.kind === kind);
  const out = [];
  const { end, drawn } = service.now;
  if (of("burst")) out.push(burstNow(of("burst"), newest("rate"), [end - drawn.rate_s * 1e6, end]));
  // A row from before they were detected does not know of them.
  const knows = (kind) => of(kind) && of(kind).detected <= end;
  if (of("pressure") && !knows("pressure")) out.push(`KV cache ${percent(of("pressure").kv_usage_peak)}`);
  else if (of("pressure") && newest("kv_usage_peak") !== null) out.push(`KV cache ${percent(newest("kv_usage_peak"))}, peak of 10 s`);
  if (knows("failure")) out.push(`${percent(newest("failure_ratio"))} failing over ${length(drawn.failure_s)}`);
  return out;
}

/** A burst's rate by the newest row, but by its onset while that row is mostly of before. */
function burstNow({ onset, baseline_rate: expected, told_rate: told, told_s: over }, rate, [fromUs, endUs]) {
  const against = `expected ${number(expected, 1)}`;
  const isMore = (some) => some !== null && (expected === null || (some > expected && number(some, 1) !== number(expected, 1)));
  if (endUs <= onset || (fromUs < onset && !isMore(rate))) return isMore(told) ? `${number(told, 1)} req/s over ${seconds(over)}, ${against}` : against;
  return isMore(rate) || rate === null ? `${number(rate, 1)} req/s, ${against}` : `${number(rate, 1)} req/s, back near the ${against}`;
}
