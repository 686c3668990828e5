// Activity: appointments by status, mode, professional, wait, duration, category; trends, comparison and cross-tabulation.

import { childLevel, parentOf } from "../context.js";
import { change, count, date, decimal, DIMENSION, LEVEL, LEVEL_MANY, month, place as placed, points, score, share, told } from "../format.js";
import { rows } from "../api.js";
import { standing } from "../panels.js";
import { at, between, DIMENSIONS, eachDay, isFine, label, over, ratio, seconds, source, sum, totals, totalsCsv, values, why } from "../views.js";

export const title = "Activity";
export const question = "How many appointments there were, of which kind, with whom, and how long after booking; against the period before and a larger place.";
export const needs = ["activity", "category", "duration", "practice_day", "practice_crosstab", "two_week"];

export async function load(context, place, go) {
  const parent = parentOf(place);
  const [heads, trend, cross, children, ...parts] = await Promise.all([
    headline(context, place), trends(context, place, go), crosstab(context, place, go), below(context, place),
    ...DIMENSIONS.map((it) => breakdown(context, place, parent, it)),
  ]);
  return [heads, trend, ...parts.filter(Boolean), cross, ...(children ? [children] : [])];
}

const total = (level) => source(level, "status").aggregate;

async function headline(context, place) {
  const where = at(place);
  const aggregate = total(place.level);
  const by = isFine(place.level) ? "status" : "status,waiting_band";
  const of = (span) => totals(aggregate, { ...where, ...between(span), by });
  const [now, before, two] = await Promise.all([of(context.span), of(context.before), totals("two_week", { ...where, ...between(context.span) })]);
  const all = sum(now.rows, "appointments");
  const past = sum(before.rows, "appointments");
  const days = now.working_weekdays ?? 0;
  const part = (list, dimension, wanted) => over(sum(list.filter((row) => wanted.includes(row.dimensions[dimension])), "appointments"), sum(list, "appointments"));
  const both = (name, dimension, wanted) => {
    const [a, b] = [part(now.rows, dimension, wanted), part(before.rows, dimension, wanted)];
    return { name, value: share(a), sub: b === null || a === null ? "" : `${points(a - b)} on before` };
  };
  const patients = place.registered_patients;
  const [met, counted] = [sum(two.rows, "two_week_numerator"), sum(two.rows, "two_week_denominator")];
  const cards = [
    { name: "Appointments", value: count(all), sub: past > 0 ? `${change(ratio(all, past))} on ${context.compare === "year" ? "a year before" : "the period before"} (${count(past)})` : `nothing held of ${context.beforeText}` },
    { name: "Per working weekday", value: decimal(over(all, days), 0), sub: `${days} Mondays to Fridays, bank holidays left out` },
    { name: "Per 1,000 patients", value: decimal(over(1000 * all, patients)), sub: patients > 0 ? `${count(patients)} registered` : "no list size in the register" },
    both("Did not attend", "status", ["DNA"]),
    ...(isFine(place.level) ? [] : [both("Same day", "waiting_band", ["Same Day"]), both("Within 14 days", "waiting_band", ["Same Day", "1 Day", "2 to 7 Days", "8  to 14 Days"]), both("Beyond 28 days", "waiting_band", ["More than 28 Days"])]),
    { name: "Two-week indicator", value: share(over(met, counted)), sub: `ACC-08, whole months; thresholds 85% and 90%; ${count(counted)} appointments` },
  ];
  return {
    id: "headline", title: `${placed(place)}: ${context.spanText}`, isFull: true, cards, lead: `Compared with ${context.beforeText}.`,
    empty: all === 0 ? why({ problem: now.problem, context, body: now, what: "appointments" }) : "",
    csv: totalsCsv(aggregate, { ...where, ...between(context.span), by }), definition: "appointments-by-status-mode-professional-and-wait",
    note: isFine(place.level) ? "Finer than a sub-ICB counts of 1 to 4 are not told and others are rounded to 5; sums of them are approximate." : "", foot: standing(now.rows),
  };
}

async function trends(context, place, go) {
  const choices = DIMENSIONS.filter((it) => { const from = source(place.level, it); return from && !from.isMonthly; });
  const dimension = context.choice("by", choices, "status");
  const { aggregate } = source(place.level, dimension);
  const where = at(place);
  const parameters = { ...where, ...between(context.span), by: dimension, per: "day" };
  const [body, before] = await Promise.all([totals(aggregate, parameters), totals(aggregate, { ...where, ...between(context.before), per: "day" })]);
  const days = eachDay(context.span);
  const earlier = eachDay(context.before);
  const kinds = values(body.rows, dimension);
  const index = new Map(body.rows.map((row) => [`${row.window[0]} ${row.dimensions[dimension]}`, row.figures.appointments]));
  const perDay = new Map(before.rows.map((row) => [row.window[0], row.figures.appointments]));
  const last = body.rows.at(-1)?.window[0] ?? "";
  const series = kinds.map((kind) => ({ label: label(kind), values: days.map((day) => (day > last ? null : index.has(`${day} ${kind}`) ? index.get(`${day} ${kind}`) : 0)) }));
  const hasBefore = before.rows.length > 0;
  if (hasBefore) series.push({ label: "All, the period before", values: days.map((_, number) => perDay.get(earlier[number]) ?? null), colour: 7, dash: [2, 4], isThin: true });
  return {
    id: "trend", title: `By day and ${DIMENSION[dimension].toLowerCase()}`, isFull: true,
    controls: [{ name: "by", text: "Lines by", value: dimension, choices: choices.map((it) => [it, DIMENSION[it]]), onchange: (value) => go(context.href({ by: value })) }],
    chart: { type: "lines", isOfDays: true, x: days.map(seconds), series, format: count, summary: `${DIMENSION[dimension]} by day, ${context.spanText}.` },
    table: {
      columns: [{ name: "Day", isText: true, format: date }, ...kinds.map((kind) => ({ name: label(kind), format: told })), { name: "Finality", isText: true }, { name: "Revision", format: count }],
      rows: days.filter((day) => day <= last).map((day) => {
        const own = body.rows.filter((row) => row.window[0] === day);
        return { cells: [day, ...kinds.map((kind) => (index.has(`${day} ${kind}`) ? index.get(`${day} ${kind}`) : 0)), own[0]?.published.finality ?? "", own.length > 0 ? Math.max(...own.map((row) => row.published.revision)) : null] };
      }),
    },
    empty: body.rows.length === 0 ? why({ problem: body.problem, context, body, what: "appointments" }) : "",
    csv: totalsCsv(aggregate, parameters), definition: "appointments-by-status-mode-professional-and-wait", foot: standing(body.rows),
  };
}

async function breakdown(context, place, parent, dimension) {
  const from = source(place.level, dimension);
  if (!from) return null;
  const of = (where, span, aggregate = from.aggregate) => totals(aggregate, { ...where, ...between(span), by: dimension });
  const above = parent ? { level: parent[0], code: parent[1] } : null;
  const [now, before, wider] = await Promise.all([
    of(at(place), context.span), of(at(place), context.before), above ? of(above, context.span, source(above.level, dimension)?.aggregate) : { rows: [] },
  ]);
  const shares = (list) => {
    const all = sum(list, "appointments");
    return new Map(list.map((row) => [row.dimensions[dimension], over(row.figures.appointments, all)]));
  };
  const [own, past, larger] = [now.rows, before.rows, wider.rows].map(shares);
  const columns = [{ name: DIMENSION[dimension], isText: true, format: label }, { name: "Appointments", format: told }, { name: "", bar: true, isOfOne: true, barFormat: share }, { name: "Share", format: share }];
  if (past.size > 0) columns.push({ name: "Before", format: share });
  if (larger.size > 0) columns.push({ name: parent[2], format: share });
  return {
    id: `by-${dimension}`, title: DIMENSION[dimension], isWide: true, isTall: dimension === "national_category",
    table: {
      columns,
      rows: now.rows.map((row) => {
        const kind = row.dimensions[dimension];
        return { cells: [kind, row.figures.appointments, own.get(kind), own.get(kind), ...(past.size > 0 ? [past.get(kind) ?? null] : []), ...(larger.size > 0 ? [larger.get(kind) ?? null] : [])] };
      }),
    },
    empty: now.rows.length === 0 ? why({ problem: now.problem, context, body: now, what: "appointments" }) : "",
    note: from.isMonthly ? `Of whole months from ${month(context.span[0])}: finer than a sub-ICB this is kept by month.` : "",
    csv: totalsCsv(from.aggregate, { ...at(place), ...between(context.span), by: dimension }),
    definition: dimension === "duration_band" ? "duration" : ["national_category", "service_setting", "context_type", "sds_role_group"].includes(dimension) ? "categories-settings-and-roles" : "appointments-by-status-mode-professional-and-wait",
    foot: standing(now.rows),
  };
}

async function crosstab(context, place, go) {
  const all = [...DIMENSIONS.filter((it) => it !== "duration_band"), "supplier"];
  const across = context.choice("across", all, "status");
  const down = context.choice("down", all, "waiting_band");
  const controls = [["down", "Down", down], ["across", "Across", across]].map(([name, text, value]) => ({
    name, text, value, choices: all.map((it) => [it, DIMENSION[it]]), onchange: (next) => go(context.href({ [name]: next })),
  }));
  const panel = { id: "crosstab", title: `${DIMENSION[down]} by ${DIMENSION[across].toLowerCase()}`, isFull: true, controls, definition: "appointments-by-status-mode-professional-and-wait" };
  if (across === down) return { ...panel, empty: "Choose two different dimensions." };
  const from = source(place.level, down, across);
  if (!from) return { ...panel, empty: `${DIMENSION[down]} and ${DIMENSION[across].toLowerCase()} are not kept together: declare an aggregate with both (deploy/aggregates.toml) to have them.` };
  const parameters = { ...at(place), ...between(context.span), by: `${down},${across}` };
  const body = await totals(from.aggregate, parameters);
  const kinds = values(body.rows, across).sort((a, b) => sum(body.rows.filter((row) => row.dimensions[across] === b), "appointments") - sum(body.rows.filter((row) => row.dimensions[across] === a), "appointments"));
  const lines = values(body.rows, down);
  const index = new Map(body.rows.map((row) => [`${row.dimensions[down]}|${row.dimensions[across]}`, row.figures.appointments]));
  const rowsOf = lines.map((line) => {
    const cells = kinds.map((kind) => (index.has(`${line}|${kind}`) ? index.get(`${line}|${kind}`) : 0));
    const whole = cells.reduce((a, b) => a + (b ?? 0), 0);
    return { cells: [line, whole, ...cells.flatMap((cell) => [cell, over(cell, whole)])] };
  });
  return {
    ...panel,
    table: {
      columns: [{ name: DIMENSION[down], isText: true, format: label }, { name: "All", format: count }, ...kinds.flatMap((kind) => [{ name: label(kind), format: told }, { name: "%", format: share }])],
      rows: rowsOf,
    },
    empty: body.rows.length === 0 ? why({ problem: body.problem, context, body, what: "appointments" }) : "",
    note: from.isMonthly ? `Of whole months from ${month(context.span[0])}: these two are kept together by practice and month.` : "",
    csv: totalsCsv(from.aggregate, parameters), foot: standing(body.rows),
  };
}

// What the place is made of.
async function below(context, place) {
  const level = childLevel(place.level);
  if (!level) return null;
  const { rows: inside } = await rows("places", { parent: place.code, level, limit: 1 });
  if (inside.length === 0) return null;
  const aggregate = total(level);
  const parameters = { level, parent: place.code, ...between(context.span), by: "status" };
  const body = await totals(aggregate, parameters);
  const codes = new Map();
  for (const row of body.rows) {
    const one = codes.get(row.code) ?? { row, all: 0, dna: 0, unknown: 0 };
    one.all += row.figures.appointments ?? 0;
    if (row.dimensions.status === "DNA") one.dna += row.figures.appointments ?? 0;
    if (row.dimensions.status === "Unknown") one.unknown += row.figures.appointments ?? 0;
    codes.set(row.code, one);
  }
  return {
    id: "below", title: `${LEVEL_MANY[level].charAt(0).toUpperCase()}${LEVEL_MANY[level].slice(1)} of ${placed(place)}`, isFull: true,
    table: {
      columns: [{ name: LEVEL[level], isText: true }, { name: "Code", isText: true }, { name: "Appointments", format: count }, { name: "", bar: true, barFormat: count }, { name: "Did not attend", format: share }, { name: "Unknown", format: share }, { name: "Quality", format: score }],
      rows: [...codes.values()].sort((a, b) => b.all - a.all).map(({ row, all, dna, unknown }) => ({
        href: row.code ? context.to(level, row.code) : null, cells: [placed(row), row.code, all, all, over(dna, all), over(unknown, all), row.quality_score],
      })),
    },
    empty: codes.size === 0 ? why({ problem: body.problem, context, body, what: "appointments" }) : "",
    note: "In the order of size. Whether a practice differs by more than chance is in the Variation view.", csv: totalsCsv(aggregate, parameters),
    definition: "appointments-by-status-mode-professional-and-wait", foot: standing(body.rows),
  };
}
