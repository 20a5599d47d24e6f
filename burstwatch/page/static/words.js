// Numbers and times for people. Null is a dash: not enough data is never 0.

export const DASH = "–";
const UTC_KEY = "burstwatch-utc";
let utc = false;
try { utc = localStorage.getItem(UTC_KEY) === "1"; } catch { /* storage may be forbidden */ }

export const isUtc = () => utc;

export function setUtc(wanted) {
  utc = wanted;
  formats.clear();
  try { localStorage.setItem(UTC_KEY, wanted ? "1" : "0"); } catch { /* then it holds for this visit */ }
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** 1234.5 -> "1,235", 12.34 -> "12.3", 1.234 -> "1.23", null -> "–". */
export function number(value, digits) {
  if (!known(value)) return DASH;
  const places = digits ?? (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

/** 0.0123 -> "1.2 %". */
export function percent(value) {
  return known(value) ? `${(100 * value).toFixed(1)} %` : DASH;
}

/** 0.0123 -> "12 ms", 4.5 -> "4.5 s", 312 -> "5.2 min". */
export function seconds(value) {
  if (!known(value)) return DASH;
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 120) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 7200) return `${number(value / 60, 1)} min`;
  return `${number(value / 3600, 1)} h`;
}

/** An interval in the words of `form`; nothing if either end is missing. */
export function interval(low, high, form) {
  if (!known(low) || !known(high)) return "";
  return form === percent ? `${(100 * low).toFixed(1)} – ${percent(high)}` : `${form(low)} – ${form(high)}`;
}

/** 60 -> "1 min": how windows are called. */
export function length(s) {
  if (s < 60 || s % 60) return `${s} s`;
  return s % 3600 ? `${s / 60} min` : `${s / 3600} h`;
}

const formats = new Map();

function format(name, options, zone) {
  const key = `${name}|${zone}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }));
  return formats.get(key);
}

const zoneNow = () => (utc ? "UTC" : undefined);
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const SHORT = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short", year: "numeric" };

/** The time of day of `ms`, in the zone the viewer chose. */
export const clock = (ms) => format("clock", CLOCK, zoneNow()).format(ms);
export const hourMinute = (ms) => format("short", SHORT, zoneNow()).format(ms);
export const day = (ms) => format("day", DAY, zoneNow()).format(ms);

/** The moment in full in UTC, for what appears on hover. */
export const inUtc = (ms) => `${format("day", DAY, "UTC").format(ms)}, ${format("clock", CLOCK, "UTC").format(ms)} UTC`;

/** What the zone on the screen is called. */
export function zoneName(ms) {
  if (utc) return "UTC";
  const parts = format("zone", { timeZoneName: "short" }, undefined).formatToParts(ms);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "local time";
}
