// Forward look: what is offered and booked of the next 91 days.

import { childLevel, shifted } from "../context.js";
import { count, date, LEVEL, LEVEL_MANY, place as placed, share, told } from "../format.js";
import { standing } from "../panels.js";
import { at, eachDay, over, sum, totals, totalsCsv, why } from "../views.js";

export const title = "Forward look";
export const question = "What practices offer in the next 13 weeks, and how much of it is booked already.";
export const needs = ["forward_look"];

const AHEAD = 90;
const UNITS = [["slots", "Slots"], ["minutes", "Minutes"]];
const STEPS = [["day", "Days"], ["week", "Weeks"]];

const monday = (day) => shifted(day, -((new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7));

export async function load(context, place, go) {
  const unit = context.choice("unit", UNITS.map(([name]) => name), "slots");
  const step = context.choice("step", STEPS.map(([name]) => name), "week");
  const weeks = Number(context.choice("weeks", ["1", "2", "4", "8", "13"], "13"));
  const span = { from: context.today, to: shifted(context.today, Math.min(7 * weeks - 1, AHEAD)) };
  const where = at(place);
  const level = childLevel(place.level);
  const inside = level ? { level, parent: place.code, ...span } : null;
  const [daily, below] = await Promise.all([totals("forward_look", { ...where, ...span, per: "day" }), inside ? totals("forward_look", inside) : { rows: [] }]);
  const control = (name, text, value, choices) => ({ name, text, value, choices, onchange: (next) => go(context.href({ [name]: next })) });
  const controls = [
    control("weeks", "How far", String(weeks), [["1", "1 week"], ["2", "2 weeks"], ["4", "4 weeks"], ["8", "8 weeks"], ["13", "13 weeks"]]),
    control("step", "By", step, STEPS), control("unit", "In", unit, UNITS),
  ];
  const ask = { context, place, unit, span };
  return [ahead({ ...ask, daily, controls, step, where }), ...(below.rows.length > 0 ? [places({ ...ask, below, level, inside })] : [])];
}

function grouped(daily, step, span, unit) {
  const days = eachDay([span.from, span.to]);
  const groups = new Map();
  for (const day of days) {
    const key = step === "week" ? monday(day) : day;
    const group = groups.get(key) ?? { key, offered: 0, booked: 0, days: 0 };
    group.days += 1;
    groups.set(key, group);
  }
  for (const row of daily.rows) {
    const group = groups.get(step === "week" ? monday(row.window[0]) : row.window[0]);
    if (!group) continue;
    group.offered += row.figures[`${unit}_offered`] ?? 0;
    group.booked += row.figures[`${unit}_booked`] ?? 0;
  }
  return [...groups.values()];
}

function ahead({ context, place, unit, span, daily, controls, step, where }) {
  const groups = grouped(daily, step, span, unit);
  const [offered, booked] = [sum(daily.rows, `${unit}_offered`), sum(daily.rows, `${unit}_booked`)];
  const next = (days) => {
    const list = daily.rows.filter((row) => row.window[0] < shifted(context.today, days));
    return { name: `Next ${days} days`, value: share(over(sum(list, `${unit}_booked`), sum(list, `${unit}_offered`))), sub: `${count(sum(list, `${unit}_booked`))} of ${count(sum(list, `${unit}_offered`))} ${unit} booked` };
  };
  const name = (key) => (step === "week" ? `w/b ${date(key).slice(5).replace(/ \d{4}$/, "")}` : date(key).replace(/ \d{4}$/, "").replace(",", ""));
  return {
    id: "forward", title: `${placed(place)}: ${date(span.from)} to ${date(span.to)}`, isFull: true, controls, definition: "forward-look",
    cards: [
      { name: `Offered, ${unit}`, value: count(offered), sub: "today and later" }, { name: `Booked, ${unit}`, value: count(booked), sub: `${share(over(booked, offered))} of offered` },
      { name: `Free, ${unit}`, value: count(offered - booked), sub: "not booked yet" }, next(7), ...(AHEAD > 28 && span.to >= shifted(context.today, 27) ? [next(28)] : []),
    ],
    chart: {
      type: "columns", isLayered: true, labels: groups.map((group) => name(group.key)), labelWidth: 92, x: groups.map((_, number) => number), format: count,
      series: [{ label: "Offered", values: groups.map((group) => group.offered), colour: 5 }, { label: "Booked", values: groups.map((group) => group.booked), colour: 0 }],
      summary: `${unit} offered and booked by ${step}: ${count(offered)} offered, ${count(booked)} booked in all.`,
    },
    table: {
      columns: [{ name: step === "week" ? "Week that begins" : "Day", isText: true, format: date }, { name: "Offered", format: count }, { name: "Booked", format: count }, { name: "Free", format: count }, { name: "Booked of offered", format: share }, { name: "Days in view", format: count }],
      rows: groups.map((group) => ({ cells: [group.key, group.offered, group.booked, group.offered - group.booked, over(group.booked, group.offered), group.days] })),
    },
    empty: daily.rows.length === 0 ? why({ problem: daily.problem, context: { spanText: "the days to come" }, body: daily, what: "slots" }) : "",
    note: "Practices open their appointment books at different times: few slots far ahead are not yet few appointments.", csv: totalsCsv("forward_look", { ...where, ...span, per: "day" }), foot: standing(daily.rows),
  };
}

function places({ context, place, unit, span, below, level, inside }) {
  const list = [...below.rows].sort((a, b) => (b.figures[`${unit}_offered`] ?? 0) - (a.figures[`${unit}_offered`] ?? 0));
  return {
    id: "forward-places", title: `By ${LEVEL[level]}`, isFull: true, lead: `The ${LEVEL_MANY[level]} of ${placed(place)}, ${date(span.from)} to ${date(span.to)}.`,
    table: {
      columns: [{ name: LEVEL[level], isText: true }, { name: "Offered", format: told }, { name: "Booked", format: told }, { name: "Booked of offered", format: share }, { name: "", bar: true, isOfOne: true, barFormat: share }],
      rows: list.map((row) => {
        const used = over(row.figures[`${unit}_booked`], row.figures[`${unit}_offered`]);
        return { href: row.code ? context.to(level, row.code) : null, cells: [placed(row), row.figures[`${unit}_offered`], row.figures[`${unit}_booked`], used, used] };
      }),
    },
    csv: totalsCsv("forward_look", inside), definition: "forward-look", foot: standing(below.rows),
  };
}
