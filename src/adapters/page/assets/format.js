// Numbers, times and names as people read them.

const COUNT = new Intl.NumberFormat("en-GB");
const ZONE = { timeZone: "Europe/London" };
const MOMENT = new Intl.DateTimeFormat("en-GB", { ...ZONE, weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { ...ZONE, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" });
const MONTH = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "long", year: "numeric" });
export const NONE = "–";

const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

export const count = (value) => (known(value) ? COUNT.format(Math.round(value)).replace("-", "−") : NONE);
export const decimal = (value, digits = 1) => (known(value) ? COUNT.format(Number(Number(value).toFixed(digits))).replace("-", "−") : NONE);
export const share = (value, digits = 1) => (known(value) ? `${(100 * value).toFixed(digits)}%` : NONE);
export const score = (value) => (known(value) ? Number(value).toFixed(1) : NONE);

// A suppressed count is no missing one.
export const told = (value) => (value === null ? "under 5" : count(value));

export function change(value) {
  if (!known(value)) return NONE;
  return `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}%`;
}

export function points(value) {
  if (!known(value)) return NONE;
  return `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)} points`;
}

export const moment = (iso) => (iso ? MOMENT.format(new Date(iso)) : NONE);
export const clock = (iso) => (iso ? CLOCK.format(new Date(iso)) : NONE);
export const date = (iso) => (iso ? DATE.format(new Date(`${iso}T00:00:00Z`)) : NONE);
export const month = (iso) => (iso ? MONTH.format(new Date(`${iso.slice(0, 7)}-01T00:00:00Z`)) : NONE);

export function duration(seconds) {
  if (!known(seconds)) return NONE;
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (size < 90) return `${sign}${Math.round(size)} s`;
  if (size < 5400) return `${sign}${Math.round(size / 60)} min`;
  if (size < 172_800) return `${sign}${(size / 3600).toFixed(1)} h`;
  return `${sign}${(size / 86_400).toFixed(1)} days`;
}

// Published labels have double spaces; a page shows one.
export const label = (text) => String(text ?? "").replace(/\s+/g, " ").trim() || "not given";

const SMALL = new Set(["and", "of", "the", "on", "in", "upon", "with", "for", "at", "by"]);
const CAPITAL = new Set(["NHS", "PCN", "ICB", "GP", "UK", "II", "III"]);

// Names of the register are in capitals, or carry the level that the page says anyway.
export function titled(name) {
  const short = String(name ?? "")
    .replace(/^NHS /, "")
    .replace(/ INTEGRATED CARE BOARD$/i, "")
    .replace(/ COMMISSIONING REGION$/i, "");
  if (/\p{Ll}/u.test(short)) return short;
  return short
    .split(" ")
    .map((word, at) => {
      if (CAPITAL.has(word)) return word;
      const lower = word.toLowerCase();
      if (at > 0 && SMALL.has(lower)) return lower;
      return lower.replace(/(^|[^\p{L}'’])(\p{L})/gu, (_, before, letter) => before + letter.toUpperCase());
    })
    .join(" ");
}

export const LEVELS = ["england", "region", "icb", "sub_icb", "pcn", "practice"];
export const LEVEL = {
  england: "England", region: "Region", icb: "ICB", sub_icb: "Sub-ICB", pcn: "PCN", practice: "Practice", supplier: "Supplier",
};
export const LEVEL_MANY = {
  region: "regions", icb: "ICBs", sub_icb: "sub-ICBs", pcn: "PCNs", practice: "practices", supplier: "suppliers",
};

export const DIMENSION = {
  status: "Status", mode: "Mode", hcp_type: "Type of professional", waiting_band: "Time from booking", duration_band: "Duration",
  national_category: "National category", service_setting: "Service setting", context_type: "Context", sds_role_group: "SDS role group",
  supplier: "Supplier",
};

export const MEASURE = {
  bookings: "Bookings made", bookings_same_day: "Booked for the same day", cancellations: "Cancellations", arrivals: "Arrivals",
  attended: "Attended", dna: "Did not attend", same_day_share: "Same-day share", wait_median: "Median wait, days", wait_90th: "90th centile of waits, days",
};

export const place = (row) => titled(row.name) || row.code || "not given";
