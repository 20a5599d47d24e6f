// What the page knows, kept from the server's messages. Pure: no DOM, no clock.

const US = 1e6;
const EPISODES_MAX = 200;
const SILENT_S = 60; // rows come every 10 s
const HOLE_US = 25 * US; // rows are missing
const IDLE_S = 30;

export const ALL = "";
export const LINES_MAX = 8; // more lines than colours tell nothing apart

export function emptyState() {
  return { historyS: 3600, fields: new Map(), services: new Map(), episodes: new Map(), facts: {} };
}

/** Take a message of /events, heard at `heardMs`, into account: a snapshot replaces everything, a delta adds to it. */
export function apply(state, message, heardMs) {
  if (message.type === "snapshot") {
    state.services.clear();
    state.episodes.clear();
  }
  state.historyS = message.history_s;
  state.fields = new Map(message.point_fields.map((name, i) => [name, i]));
  for (const [name, news] of Object.entries(message.services)) applyService(state, name, news, message.type === "delta" ? heardMs : -Infinity);
  for (const episode of message.episodes) state.episodes.set(episode.id, episode);
  trimEpisodes(state);
  state.facts = { malformed: message.malformed, hidden: message.services_hidden };
}

function applyService(state, name, news, heardMs) {
  const service = state.services.get(name) ?? { points: new Map(), now: null, sorted: null };
  for (const point of news.points) service.points.set(point[0], point);
  service.now = news.now;
  service.heardMs = heardMs;
  const oldest = news.now.end - state.historyS * US;
  for (const end of service.points.keys()) if (end <= oldest) service.points.delete(end);
  service.sorted = null;
  state.services.set(name, service);
}

function trimEpisodes(state) {
  const spare = state.episodes.size - EPISODES_MAX;
  if (spare <= 0) return;
  const oldest = [...state.episodes.values()].sort((a, b) => a.onset - b.onset).slice(0, spare);
  for (const episode of oldest) state.episodes.delete(episode.id);
}

/** A service's points by time. */
export function points(service) {
  service.sorted ??= [...service.points.values()].sort((a, b) => a[0] - b[0]);
  return service.sorted;
}

export const names = (state) => [...state.services.keys()].sort();

/** The services the charts draw: the chosen one, or of all those in an episode before the others, the busiest first. */
export function drawn(state, chosen) {
  if (chosen !== ALL) return state.services.has(chosen) ? [chosen] : [];
  const all = names(state);
  if (all.length <= LINES_MAX) return all;
  const rate = (name) => value(points(state.services.get(name)).at(-1), state.fields, "rate") ?? -1;
  const inOne = new Set([...state.episodes.values()].filter(isOpen).map((e) => e.service));
  return all.sort((a, b) => inOne.has(b) - inOne.has(a) || rate(b) - rate(a) || (a < b ? -1 : 1)).slice(0, LINES_MAX).sort();
}

export const value = (point, fields, name) => point?.[fields.get(name)] ?? null;

/** Episodes of the chosen services, by when they began, the newest first. */
export function episodesOf(state, chosen) {
  const wanted = [...state.episodes.values()].filter((e) => chosen === ALL || e.service === chosen);
  return wanted.sort((a, b) => b.onset - a.onset || (a.id < b.id ? 1 : -1));
}

export const isOpen = (episode) => episode.end === null && !episode.superseded;

/** The kinds of episode a service is in now. */
export function openKinds(state, service) {
  const kinds = new Set();
  for (const episode of state.episodes.values()) if (episode.service === service && isOpen(episode)) kinds.add(episode.kind);
  return ["burst", "pressure", "failure"].filter((kind) => kinds.has(kind));
}

/**
 * The greatest rate (req/s) of a burst so far, and times what is expected it is (null if that is not known, or it is not
 * more); `told` if the episode's words say it. While a burst lasts they are those of its onset, so the rows count, too.
 */
export function peakOf(state, burst) {
  let rate = burst.told_rate ?? 0;
  const service = isOpen(burst) ? state.services.get(burst.service) : undefined;
  for (const point of service ? points(service) : []) {
    if (point[0] > burst.onset) rate = Math.max(rate, value(point, state.fields, "rate") ?? 0);
  }
  const times = burst.baseline_rate ? rate / burst.baseline_rate : null;
  return { rate, times: times > 1 ? times : null, told: rate === burst.told_rate };
}

/** Since when (us) a service's rows, the newest among them, have had no requests; null if that is under `IDLE_S`. */
export function idleSince(state, name) {
  const service = state.services.get(name);
  if (!service) return null;
  const own = points(service);
  let first = own.length;
  while (first > 0 && value(own[first - 1], state.fields, "rate") === 0 && !(own[first]?.[0] - own[first - 1][0] > HOLE_US)) first -= 1;
  if (first === own.length) return null;
  const since = own[first][0] - service.now.drawn.rate_s * US;
  return own.at(-1)[0] - since >= IDLE_S * US ? since : null;
}

/** The latest event time (us) anything is known of, null if nothing is. */
export function horizon(state, services = names(state)) {
  let latest = null;
  for (const name of services) latest = Math.max(latest ?? 0, state.services.get(name).now.end);
  for (const e of state.episodes.values()) {
    // An episode is told before its row, but never long before: one of next year is of a broken clock.
    const at = e.end ?? e.detected;
    if (services.includes(e.service) && at <= state.services.get(e.service).now.end + SILENT_S * US) latest = Math.max(latest, at);
  }
  return latest;
}

/** Whether a service has had no rows while others had theirs: what is known of it is not of now. */
export function isSilent(state, name, nowMs) {
  const service = state.services.get(name);
  if (!service) return true;
  return horizon(state) - service.now.end > SILENT_S * US && nowMs - service.heardMs > SILENT_S * 1000;
}

/**
 * What the time axis spans, in seconds: up to `nowS` if the data is of now, else to where the data ends; back by
 * `rangeS` (0: all there is), but not further than the data goes, so that a new run fills the picture.
 */
export function span(state, services, rangeS, nowS) {
  const latest = horizon(state, services);
  if (latest === null) return null;
  const dataEnd = latest / US;
  const to = Math.abs(nowS - dataEnd) < 60 ? Math.max(nowS, dataEnd) : dataEnd;
  let first = to;
  for (const name of services) first = Math.min(first, (points(state.services.get(name))[0]?.[0] ?? to * US) / US - 10);
  const from = rangeS ? Math.max(to - rangeS, first) : first;
  return { from: Math.min(from, to - 60), to };
}

/** Aligned columns for the charts: shared times (s), and per field a list of one column per service. Holes are null. */
export function columns(state, services, fields, { from, to }) {
  const ends = new Set();
  for (const name of services) for (const point of points(state.services.get(name))) ends.add(point[0]);
  let times = [...ends].sort((a, b) => a - b);
  const first = times.findIndex((end) => end / US >= from);
  // One point before the left edge, so that the line comes in from outside.
  times = first < 0 ? [] : times.slice(Math.max(0, first - 1)).filter((end) => end / US <= to);
  times = withHoles(times);
  const column = (name, field) => {
    const own = state.services.get(name).points;
    return times.map((end) => value(own.get(end), state.fields, field));
  };
  return { times: times.map((end) => end / US), values: Object.fromEntries(fields.map((f) => [f, services.map((s) => column(s, f))])) };
}

/** Where rows are missing a line must not be drawn as if they were there: an empty time breaks it. */
function withHoles(times) {
  const out = [];
  for (const end of times) {
    const last = out.at(-1);
    if (last !== undefined && end - last > HOLE_US) out.push(last + 1);
    out.push(end);
  }
  return out;
}
