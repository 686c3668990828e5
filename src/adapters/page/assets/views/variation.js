// Variation: practices against the groups that they belong to, with chance taken into account.

import { csv, rows } from "../api.js";
import { count, decimal, LEVEL, month, place as placed, score, share, told } from "../format.js";
import { capital } from "../views.js";

export const title = "Variation";
export const question = "How far a practice lies from its PCN, ICB and England, and whether chance and the usual differences explain it. A point opens its practice.";
export const needs = ["practice_month"];

const MEASURES = {
  dna_share: ["Did not attend, share", "Appointments"],
  same_day_share: ["Same day, share", "Appointments"],
  two_week_share: ["Within 14 days (ACC-08), share", "Appointments of the eight categories"],
  beyond_28_days_share: ["Beyond 28 days, share", "Appointments"],
  unmapped_share: ["Unmapped category, share", "Appointments"],
  appointments_per_1000_patients_per_working_weekday: ["Appointments per 1,000 patients and working weekday", "Registered patients"],
};
const LIMITS = [["adjusted", "with the usual differences between practices"], ["chance", "by chance alone"]];
const isRate = (measure) => measure.startsWith("appointments_per");

export async function load(context, place, go) {
  const measure = context.choice("measure", Object.keys(MEASURES), "dna_share");
  const limits = context.choice("limits", LIMITS.map(([name]) => name), "adjusted");
  const isPractice = place.level === "practice";
  const wanted = { measure, month: month_(context), ...(isPractice ? { practice: place.code } : { parent: place.code }) };
  const control = (name, text, value, choices) => ({ name, text, value, choices, onchange: (next) => go(context.href({ [name]: next })) });
  const controls = [control("measure", "Measure", measure, Object.entries(MEASURES).map(([name, [text]]) => [name, text])), control("limits", "Limits", limits, LIMITS)];
  const body = await rows("variation", wanted);
  const ask = { context, place, measure, limits, controls, body, wanted, go };
  if (!isPractice) return [funnel(ask), list(ask)];
  const above = place.icb_code ? await rows("variation", { measure, month: wanted.month, parent: place.icb_code }) : { rows: [] };
  return [own(ask), ...(above.rows.length > 0 ? [funnel({ ...ask, body: above, controls: [], mark: place.code, wanted: { measure, month: wanted.month, parent: place.icb_code }, name: "Its ICB" })] : [])];
}

// The month that the period ends in; without one the latest is told.
const month_ = (context) => (context.period === "month" ? undefined : context.span[1].slice(0, 7));

const format = (measure) => (isRate(measure) ? (value) => decimal(value, 2) : (value) => share(value));
const key = (limits, name) => (limits === "adjusted" ? `adjusted_${name}` : name);
const size = (measure) => (row) => (isRate(measure) ? row.registered_patients : row.denominator);

function empty(body) {
  if (body.problem) return `${capital(body.problem)}. Choose another period, or wait until the month has appointments.`;
  return body.rows.length === 0 ? "No practice of this place has appointments in this month." : "";
}

function funnel({ context, place, measure, limits, controls, body, wanted, go, mark, name }) {
  const of = size(measure);
  const points = body.rows.filter((row) => row.value !== null && of(row)).sort((a, b) => of(a) - of(b));
  const verdict = key(limits, "verdict");
  const is = (row, text) => String(row[verdict] ?? "").endsWith(text);
  const values = (holds) => points.map((row) => (holds(row) ? row.value : null));
  const line = (text) => points.map((row) => row[key(limits, text)]);
  const bench = points[0];
  const series = [
    { label: "Within the limits, or none", colour: 0, values: values((row) => row.practice_code !== mark && !is(row, "95%") && !is(row, "99.8%")) },
    { label: "Beyond 95%", colour: 1, values: values((row) => row.practice_code !== mark && is(row, "95%")), size: 9 },
    { label: "Beyond 99.8%", colour: 3, values: values((row) => row.practice_code !== mark && is(row, "99.8%")), size: 10 },
    ...(mark ? [{ label: "This practice", colour: 2, values: values((row) => row.practice_code === mark), size: 14 }] : []),
  ];
  const beyond = points.filter((row) => is(row, "99.8%")).length;
  return {
    id: "funnel", title: `${MEASURES[measure][0]}: ${name ?? `practices of ${placed(place)}`}`, isFull: true, controls, definition: "variation-between-practices", csv: csv("variation", wanted), file: measure,
    lead: bench ? `${month(body.month)}: ${points.length} practices against ${placed({ name: bench.benchmark_name, code: bench.benchmark_code })}, ${format(measure)(bench.benchmark_value)}; ${beyond} beyond the 99.8% limits ${LIMITS.find(([it]) => it === limits)[1]}.` : "",
    chart: {
      type: "funnel", x: points.map(of), xLabel: MEASURES[measure][1], formatX: count, format: format(measure), height: 480, series,
      limits: [
        { label: "Benchmark", values: points.map((row) => row.benchmark_value), isMiddle: true },
        { label: "95% low", values: line("lower_95"), dash: [6, 4] }, { label: "95% high", values: line("upper_95"), dash: [6, 4] },
        { label: "99.8% low", values: line("lower_998"), dash: [] }, { label: "99.8% high", values: line("upper_998"), dash: [] },
      ],
      onpick: (at) => points[at] && go(context.to("practice", points[at].practice_code)),
      summary: `A funnel plot of ${points.length} practices by size; ${beyond} lie beyond the 99.8% limits.`,
    },
    table: table({ context, list: points, measure, limits }),
    empty: empty(body) || (points.length === 0 ? "Every practice’s count is suppressed (below 5) or has no value: the month needs more appointments, or choose another measure. The list below gives the reason for each." : ""),
    note: "A practice beyond a limit differs by more than chance and the usual differences; it may be better, worse, or coded otherwise. Look at the quality of its data, its patients and its appointment book before its conduct.",
    foot: body.as_of ? `Limits: ${limits === "adjusted" ? body.adjusted : body.limits} · ${body.is_month_over ? "the month is over" : "the month is under way"}` : "",
  };
}

function table({ context, list, measure, limits }) {
  const value = format(measure);
  return {
    columns: [{ name: "Practice", isText: true }, { name: "Code", isText: true }, { name: MEASURES[measure][1], format: told }, { name: "Value", format: value },
      { name: "99.8% low", format: value }, { name: "99.8% high", format: value }, { name: "Verdict", isText: true, format: (it) => it ?? "–" }, { name: "Quality", format: score }, { name: "Why not", isText: true, format: (it) => it ?? "" }],
    rows: list.map((row) => ({
      href: context.to("practice", row.practice_code),
      cells: [placed({ name: row.practice_name, code: row.practice_code }), row.practice_code, size(measure)(row), row.value, row[key(limits, "lower_998")], row[key(limits, "upper_998")], row[key(limits, "verdict")], row.quality_score, row.note],
    })),
  };
}

// All practices, also those without a value, and why.
function list({ context, place, measure, limits, body, wanted }) {
  const rank = (row) => (row.value === null ? -1 : Math.abs(row.z ?? 0));
  const sorted = [...body.rows].sort((a, b) => rank(b) - rank(a));
  return {
    id: "variation-list", title: `All practices of ${placed(place)}`, isFull: true, definition: "variation-between-practices", csv: csv("variation", wanted),
    lead: "Furthest from the benchmark first.", table: table({ context, list: sorted, measure, limits }), empty: empty(body),
  };
}

function own({ context, place, measure, limits, controls, body, wanted }) {
  const value = format(measure);
  const first = body.rows[0];
  return {
    id: "variation-own", title: `${placed(place)}: ${MEASURES[measure][0]}`, isFull: true, controls, definition: "variation-between-practices", csv: csv("variation", wanted), empty: empty(body),
    cards: first ? [
      { name: MEASURES[measure][0], value: value(first.value), sub: `${month(body.month)}; ${told(first.numerator)} of ${told(size(measure)(first))}` },
      ...body.rows.map((row) => ({ name: `Against ${row.benchmark_level === "england" ? "England" : `its ${LEVEL[row.benchmark_level]}`}`, value: row[key(limits, "verdict")] ?? "no verdict", sub: row.note ?? `${placed({ name: row.benchmark_name, code: row.benchmark_code })}: ${value(row.benchmark_value)}` })),
    ] : [],
    table: {
      columns: [{ name: "Group", isText: true }, { name: "Level", isText: true, format: (it) => LEVEL[it] }, { name: "Practices", format: count }, { name: "Group’s value", format: value }, { name: "Own value", format: value }, { name: "99.8% low", format: value }, { name: "95% low", format: value }, { name: "95% high", format: value }, { name: "99.8% high", format: value }, { name: "Verdict", isText: true, format: (it) => it ?? "–" }, { name: "Why not", isText: true, format: (it) => it ?? "" }],
      rows: body.rows.map((row) => ({
        href: context.to(row.benchmark_level, row.benchmark_code),
        cells: [placed({ name: row.benchmark_name, code: row.benchmark_code }), row.benchmark_level, row.benchmark_practices, row.benchmark_value, row.value, ...["lower_998", "lower_95", "upper_95", "upper_998", "verdict"].map((it) => row[key(limits, it)]), row.note],
      })),
    },
    note: "Finer than a sub-ICB, values and limits are worked out from rounded counts.", foot: first ? `Quality of the practice’s data ${first.quality_score?.toFixed(1) ?? "–"} of 100` : "",
  };
}
