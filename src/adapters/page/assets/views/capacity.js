// Capacity: what was offered, and what became of it.

import { childLevel, parentOf } from "../context.js";
import { change, count, date, LEVEL, LEVEL_MANY, place as placed, points, score, share, told } from "../format.js";
import { standing } from "../panels.js";
import { at, between, eachDay, over, ratio, seconds, sum, totals, totalsCsv, why } from "../views.js";

export const title = "Capacity and utilisation";
export const question = "How much of practices’ time was offered, booked, used and left unused.";
export const needs = ["capacity"];

const KINDS = [["offered", "Offered"], ["booked", "Booked"], ["attended", "Attended"], ["dna", "Did not attend"], ["unused", "Unused"]];
const UNITS = [["minutes", "Minutes"], ["slots", "Slots"]];

export async function load(context, place, go) {
  const unit = context.choice("unit", UNITS.map(([name]) => name), "minutes");
  const controls = [{ name: "unit", text: "In", value: unit, choices: UNITS, onchange: (value) => go(context.href({ unit: value })) }];
  const where = at(place);
  const level = childLevel(place.level);
  const parent = parentOf(place);
  const of = (parameters) => totals("capacity", parameters);
  const inside = level ? { level, parent: place.code, ...between(context.span) } : null;
  const [now, before, daily, suppliers, wider, below] = await Promise.all([
    of({ ...where, ...between(context.span) }), of({ ...where, ...between(context.before) }), of({ ...where, ...between(context.span), per: "day" }),
    of({ ...where, ...between(context.span), by: "supplier" }), parent ? of({ level: parent[0], code: parent[1], ...between(context.span) }) : { rows: [] },
    inside ? of(inside) : { rows: [] },
  ]);
  const ask = { unit, context };
  return [
    headline({ ...ask, now, before, wider, parent, place, controls }), days({ ...ask, daily, where }), bySupplier({ ...ask, suppliers, where }),
    ...(level && below.rows.length > 0 ? [byPlace({ ...ask, below, level, place, inside })] : []),
  ];
}

const of = (list, unit, kind) => sum(list, `${unit}_${kind}`);

function headline({ unit, context, now, before, wider, parent, place, controls }) {
  const offered = of(now.rows, unit, "offered");
  const cards = KINDS.map(([kind, name]) => {
    const [value, past] = [of(now.rows, unit, kind), of(before.rows, unit, kind)];
    return { name: `${name}, ${unit}`, value: count(value), sub: [kind === "offered" ? "" : `${share(over(value, offered))} of offered`, past > 0 ? `${change(ratio(value, past))} on before` : ""].filter(Boolean).join("; ") };
  });
  const rate = (list, kind) => over(of(list, unit, kind), of(list, unit, "offered"));
  for (const [kind, name] of [["booked", "Utilisation, booked"], ["attended", "Utilisation, attended"]]) {
    const [own, past, larger] = [rate(now.rows, kind), rate(before.rows, kind), rate(wider.rows, kind)];
    const said = [past !== null && own !== null ? `${points(own - past)} on before` : "", larger !== null ? `${parent[2]} ${share(larger)}` : ""].filter(Boolean);
    cards.push({ name, value: share(own), sub: said.join("; ") });
  }
  return {
    id: "capacity", title: `${placed(place)}: ${context.spanText}`, isFull: true, controls, cards, definition: "capacity-and-utilisation",
    lead: `All slots of these days; those of today also before their time. Compared with ${context.beforeText}.`, csv: totalsCsv("capacity", { ...at(place), ...between(context.span) }),
    empty: offered === 0 ? why({ problem: now.problem, context, body: now, what: "slots" }) : "", foot: standing(now.rows),
  };
}

function days({ unit, context, daily, where }) {
  const all = eachDay(context.span);
  const index = new Map(daily.rows.map((row) => [row.window[0], row.figures]));
  const lines = KINDS.filter(([kind]) => kind !== "unused");
  return {
    id: "capacity-days", title: `${unit === "slots" ? "Slots" : "Minutes"} by day`, isFull: true,
    chart: {
      type: "columns", isLayered: true, labels: all.map((day) => date(day).replace(/ \d{4}$/, "").replace(",", "")), labelWidth: 84, x: all.map((_, number) => number), format: count,
      series: lines.slice(0, 3).map(([kind, name], number) => ({ label: name, colour: [5, 0, 2][number], values: all.map((day) => index.get(day)?.[`${unit}_${kind}`] ?? null) })),
      summary: `${unit} offered, booked and attended on each day of ${context.spanText}.`,
    },
    table: {
      columns: [{ name: "Day", isText: true, format: date }, ...KINDS.map(([, name]) => ({ name, format: told })), { name: "Utilisation", format: share }, { name: "Revision", format: count }, { name: "Finality", isText: true }],
      rows: daily.rows.map((row) => ({
        cells: [row.window[0], ...KINDS.map(([kind]) => row.figures[`${unit}_${kind}`]), over(row.figures[`${unit}_booked`], row.figures[`${unit}_offered`]), row.published.revision, row.published.finality],
      })),
    },
    empty: daily.rows.length === 0 ? why({ problem: daily.problem, context, body: daily, what: "slots" }) : "",
    csv: totalsCsv("capacity", { ...where, ...between(context.span), per: "day" }), definition: "capacity-and-utilisation", foot: standing(daily.rows),
  };
}

const table = (first, list, unit, context, level) => ({
  columns: [{ name: first, isText: true }, { name: "Offered", format: told }, { name: "Booked", format: told }, { name: "Unused", format: told }, { name: "Utilisation", format: share }, { name: "", bar: true, isOfOne: true, barFormat: share }, { name: "Quality", format: score }],
  rows: list.map((row) => {
    const used = over(row.figures[`${unit}_booked`], row.figures[`${unit}_offered`]);
    return {
      href: level && row.code ? context.to(level, row.code) : null,
      cells: [level ? placed(row) : row.dimensions.supplier, row.figures[`${unit}_offered`], row.figures[`${unit}_booked`], row.figures[`${unit}_unused`], used, used, row.quality_score],
    };
  }),
});

function bySupplier({ unit, context, suppliers, where }) {
  return {
    id: "capacity-suppliers", title: "By supplier", isFull: true, table: table("Supplier", suppliers.rows, unit, context, null),
    empty: suppliers.rows.length === 0 ? why({ problem: suppliers.problem, context, body: suppliers, what: "slots" }) : "",
    csv: totalsCsv("capacity", { ...where, ...between(context.span), by: "supplier" }), definition: "capacity-and-utilisation", foot: standing(suppliers.rows),
  };
}

function byPlace({ unit, context, below, level, place, inside }) {
  const list = [...below.rows].sort((a, b) => (b.figures[`${unit}_offered`] ?? 0) - (a.figures[`${unit}_offered`] ?? 0));
  return {
    id: "capacity-places", title: `By ${LEVEL[level]}`, isFull: true, lead: `The ${LEVEL_MANY[level]} of ${placed(place)}.`, table: table(LEVEL[level], list, unit, context, level),
    csv: totalsCsv("capacity", inside), definition: "capacity-and-utilisation", foot: standing(below.rows),
  };
}
