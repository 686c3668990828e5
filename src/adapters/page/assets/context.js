// Where and when is asked: kept in the address, so that every view can be shared.

import { get, once } from "./api.js";
import { h } from "./dom.js";
import { date, LEVEL, LEVEL_MANY, LEVELS, place, titled } from "./format.js";

export const ENGLAND = "E92000001";
const DAY = 86_400_000;

export const PERIODS = [
  ["today", "Today"], ["yesterday", "Yesterday"], ["week", "This week"], ["month", "This month"], ["last_month", "Last month"],
  ["days28", "Last 28 days"], ["custom", "From … to …"],
];
export const COMPARES = [["previous", "the period before"], ["year", "a year before"]];

const iso = (time) => new Date(time).toISOString().slice(0, 10);
const utc = (day) => Date.parse(`${day}T00:00:00Z`);
export const shifted = (day, days) => iso(utc(day) + days * DAY);
export const days = (from, to) => Math.round((utc(to) - utc(from)) / DAY) + 1;
const first = (day) => `${day.slice(0, 7)}-01`;

// The day in London of an instant.
export function londonDay(instant) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: "Europe/London" }).format(new Date(instant));
  return parts.slice(0, 10);
}

function monthBefore(day, months = 1) {
  const [year, month, number] = day.split("-").map(Number);
  const start = Date.UTC(year, month - 1 - months, 1);
  const last = new Date(Date.UTC(year, month - months, 0)).getUTCDate();
  return iso(start + (Math.min(number, last) - 1) * DAY);
}

export class Context {
  constructor(query, now) {
    this.query = new URLSearchParams(query);
    this.today = londonDay(now);
  }

  get(name, otherwise) {
    return this.query.get(name) ?? otherwise;
  }

  // One of the values that there are: an address may have been typed.
  choice(name, values, otherwise) {
    const value = this.query.get(name);
    return values.includes(value) ? value : otherwise;
  }

  get view() { return this.get("view", "now"); }
  get level() { return this.code === ENGLAND ? "england" : this.choice("level", LEVELS, "england"); }
  get code() { return LEVELS.includes(this.query.get("level")) ? this.get("code", ENGLAND) : ENGLAND; }
  get period() {
    const period = this.choice("period", PERIODS.map(([name]) => name), "month");
    const isDay = (name) => /^\d{4}-\d{2}-\d{2}$/.test(this.get(name, ""));
    return period === "custom" && !(isDay("from") && isDay("to")) ? "month" : period;
  }
  get compare() { return this.choice("compare", COMPARES.map(([name]) => name), "previous"); }

  // First and last day.
  get span() {
    const { today } = this;
    switch (this.period) {
      case "today": return [today, today];
      case "yesterday": return [shifted(today, -1), shifted(today, -1)];
      case "week": return [shifted(today, -((new Date(utc(today)).getUTCDay() + 6) % 7)), today];
      case "last_month": { const end = shifted(first(today), -1); return [first(end), end]; }
      case "days28": return [shifted(today, -27), today];
      case "custom": return [this.get("from"), this.get("to")].sort();
      default: return [first(today), today];
    }
  }

  // What it is compared with: as many days, a month's in the month before.
  get before() {
    const [from, to] = this.span;
    if (this.compare === "year") {
      if (from.endsWith("-01") && this.period !== "week") return [monthBefore(from, 12), monthBefore(to, 12)];
      // The same weekdays.
      return [shifted(from, -364), shifted(to, -364)];
    }
    if (this.period === "month") return [monthBefore(from), monthBefore(to)];
    if (this.period === "last_month") { const end = shifted(from, -1); return [first(end), end]; }
    const length = this.period === "today" || this.period === "yesterday" ? 7 : this.period === "week" ? 7 : days(from, to);
    return [shifted(from, -length), shifted(to, -length)];
  }

  get spanText() {
    const [from, to] = this.span;
    return from === to ? date(from) : `${date(from)} to ${date(to)}`;
  }

  get beforeText() {
    const [from, to] = this.before;
    return from === to ? date(from) : `${date(from)} to ${date(to)}`;
  }

  // The address with some of it changed; null takes out. Of the address as it is by then: two choices in a row both count.
  href(changes = {}) {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) query.delete(name);
      else query.set(name, value);
    }
    return `/?${query}`;
  }

  to(level, code) {
    return this.href(code === ENGLAND ? { level: null, code: null } : { level, code });
  }

  // The place's row of the register, England's included.
  async place() {
    const { level, code } = this;
    const body = await once("places", { level, code });
    return body.rows[0] ?? { level, code, name: "", practices: 0, registered_patients: 0 };
  }
}

// The place and what it lies in, coarsest first.
export function chain(row) {
  const above = [["england", ENGLAND, "England"]];
  for (const level of ["region", "icb", "sub_icb", "pcn"]) {
    if (row[`${level}_code`]) above.push([level, row[`${level}_code`], titled(row[`${level}_name`]) || row[`${level}_code`]]);
  }
  if (row.level !== "england") above.push([row.level, row.code, place(row)]);
  return above;
}

// The nearest place, upwards, of one of the levels.
export function nearest(row, levels) {
  return chain(row).reverse().find(([level]) => levels.includes(level));
}

export function parentOf(row) {
  return chain(row).at(-2) ?? null;
}

export const childLevel = (level) => LEVELS[LEVELS.indexOf(level) + 1] ?? null;

// The bar above each view: where, when, and with what it is compared.
export async function bar(context, go) {
  const row = await context.place();
  const trail = chain(row);
  const crumbs = h("ol", { class: "crumbs" }, trail.map(([level, code, name], at) => {
    const isHere = at === trail.length - 1;
    return h("li", {}, h("a", { href: context.to(level, code), "aria-current": isHere ? "location" : null }, name),
      level === "england" ? null : h("span", { class: "sub" }, ` ${LEVEL[level]}`));
  }));
  const below = childLevel(row.level);
  const list = below ? await once("places", { parent: row.code, limit: 10_000 }).catch(() => ({ rows: [] })) : { rows: [] };
  const children = list.rows.length === 0 ? null : h("label", {}, h("span", {}, `Go to one of ${list.rows.length} ${LEVEL_MANY[list.rows[0].level]}`),
    h("select", { id: "child", onchange: (event) => event.target.value && go(context.to(list.rows[0].level, event.target.value)) },
      h("option", { value: "" }, "Choose"),
      list.rows.map((child) => h("option", { value: child.code }, `${place(child)} (${child.code})`))));
  return [
    h("nav", { "aria-label": "Place", class: "where" }, crumbs),
    h("div", { class: "choose" }, search(context, go), children, ...when(context, go)),
  ];
}

function when(context, go) {
  const select = (name, text, choices, value, extra) => h("label", {}, h("span", {}, text),
    h("select", { id: name, onchange: (event) => extra?.(event.target.value) || go(context.href({ [name]: event.target.value })) },
      choices.map(([key, title]) => h("option", { value: key, selected: key === value }, title))));
  const [from, to] = context.span;
  const period = select("period", "Period", PERIODS, context.period, (value) => {
    if (value !== "custom") { go(context.href({ period: value, from: null, to: null })); return true; }
    go(context.href({ period: value, from, to }));
    return true;
  });
  const day = (name, text, value) => h("label", {}, h("span", {}, text), h("input", {
    type: "date", id: name, value, onchange: (event) => event.target.value && go(context.href({ [name]: event.target.value })),
  }));
  const own = context.period === "custom" ? [day("from", "From", from), day("to", "To", to)] : [];
  return [period, ...own, select("compare", "Compare with", COMPARES, context.compare)];
}

// A combobox with a list: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
function search(context, go) {
  let found = [];
  let at = -1;
  let asked = 0;
  const list = h("ul", { role: "listbox", id: "found", "aria-label": "Places found", hidden: true });
  const said = h("span", { class: "vh", role: "status" });
  const input = h("input", {
    id: "search", type: "search", role: "combobox", autocomplete: "off", "aria-expanded": "false", "aria-controls": "found",
    "aria-autocomplete": "list", placeholder: "Name or code",
  });
  const show = (isOpen) => {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) input.removeAttribute("aria-activedescendant");
  };
  const choose = (row) => { show(false); go(context.to(row.level, row.code)); };
  const mark = () => {
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === at)));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", `found-${at}`);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  };
  const draw = (body) => {
    found = body.rows;
    at = -1;
    list.replaceChildren(...found.map((row, number) => h("li", {
      role: "option", id: `found-${number}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); choose(row); },
    }, h("strong", {}, place(row)), ` ${row.code} `, h("span", { class: "sub" }, [LEVEL[row.level], titled(row.icb_name)].filter(Boolean).join(", ")))));
    said.textContent = body.found === 0 ? "Nothing found" : `${body.found} found`;
    if (found.length === 0) list.append(h("li", { class: "sub", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No place has this name or code"));
    show(true);
  };
  input.addEventListener("input", async () => {
    const turn = ++asked;
    const q = input.value.trim();
    if (q === "") return show(false);
    await new Promise((later) => setTimeout(later, 150));
    if (turn !== asked) return;
    try {
      const body = await get("places", { q, limit: 12 });
      if (turn === asked) draw(body);
    } catch {
      if (turn === asked) draw({ rows: [], found: 0 });
    }
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (found.length === 0) return;
      event.preventDefault();
      at = (at + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length;
      show(true);
      mark();
    } else if (event.key === "Enter") {
      const row = found[Math.max(at, 0)];
      if (row && !list.hidden) choose(row);
    } else if (event.key === "Escape") {
      show(false);
    }
  });
  input.addEventListener("blur", () => show(false));
  return h("div", { class: "search" }, h("label", { for: "search" }, "Find a practice, PCN, ICB or region"), input, list, said);
}
