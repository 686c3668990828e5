// Data quality: what is missing, wrong or contradictory, by supplier and practice, and how far categories are mapped.

import { csv, rows } from "../api.js";
import { childLevel } from "../context.js";
import { count, date, decimal, LEVEL, place as placed, score, share, told } from "../format.js";
import { standing } from "../panels.js";
import { at, between, eachDay, over, seconds, sum, totals, totalsCsv, why } from "../views.js";

export const title = "Data quality";
export const question = "How far the figures can be trusted: what suppliers and practices leave out, code as unknown, or contradict.";
export const needs = ["quality"];

const COMPONENTS = [["category", "Category unmapped or inconsistent"], ["status", "Status unknown"], ["mode", "Mode unknown"], ["hcp_type", "Professional unknown"], ["wait", "Wait unknown"], ["contradictions", "Contradictions"], ["unbooked", "Unbooked consultations"]];

export async function load(context, place) {
  const span = between(context.span);
  const level = childLevel(place.level);
  const [suppliers, own, practices, below] = await Promise.all([
    rows("quality", { level: "supplier", ...span }), rows("quality", { ...at(place), ...span }),
    totals("quality", place.level === "practice" ? { ...at(place), ...span, by: "supplier" } : { level: "practice", parent: place.code, ...span }),
    level && level !== "practice" ? totals("quality", { level, parent: place.code, ...span }) : null,
  ]);
  const ask = { context, place, span };
  return [
    headline({ ...ask, own }), components({ ...ask, own }), bySupplier({ ...ask, suppliers }), supplierFlaws({ ...ask, suppliers }),
    ...(below && below.rows.length > 0 ? [byPlace({ ...ask, body: below, level })] : []), byPractice({ ...ask, body: practices }),
  ];
}

const flawed = (list, name) => [list.reduce((all, row) => all + (row[name] ?? 0), 0), list.reduce((all, row) => all + (row[`${name}_of`] ?? 0), 0)];
// The mean of the shares without flaw, of the components that apply, as the API makes it of a day.
function scoreOf(list) {
  const shares = COMPONENTS.map(([name]) => flawed(list, name)).filter(([, of]) => of > 0).map(([bad, of]) => 1 - Math.min(bad / of, 1));
  return shares.length > 0 ? (100 * shares.reduce((a, b) => a + b, 0)) / shares.length : null;
}

function headline({ context, place, own, span }) {
  const list = own.rows;
  const days = eachDay(context.span);
  const perDay = new Map();
  for (const row of list) perDay.set(row.day, row.score);
  return {
    id: "quality", title: `${placed(place)}: score by day`, isFull: true, definition: "quality-of-the-data", csv: csv("quality", { ...at(place), ...span }),
    cards: [{ name: "Score, of 100", value: score(scoreOf(list)), sub: "mean share without flaw" }, ...COMPONENTS.map(([name, text]) => { const [bad, of] = flawed(list, name); return { name: text, value: share(over(bad, of)), sub: `${count(bad)} of ${count(of)}` }; })],
    chart: { type: "lines", isOfDays: true, x: days.map(seconds), format: score, isFromZero: false, series: [{ label: "Score", values: days.map((day) => perDay.get(day) ?? null) }], summary: `The score of the data by day, ${context.spanText}.` },
    table: { columns: [{ name: "Day", isText: true, format: date }, { name: "Score", format: score }, { name: "Appointments", format: told }, ...COMPONENTS.map(([, name]) => ({ name, format: told }))], rows: list.map((row) => ({ cells: [row.day, row.score, row.appointments, ...COMPONENTS.map(([name]) => row[name])] })) },
    note: "The scale does not begin at nought. Of a practice that reports from two systems each has its own row.",
    empty: list.length === 0 ? why({ problem: own.problem, context, body: own, what: "data to score" }) : "",
  };
}

function components({ context, place, own, span }) {
  const rowsOf = COMPONENTS.map(([name, text]) => { const [bad, of] = flawed(own.rows, name); return { cells: [text, bad, of, over(bad, of), over(bad, of)] }; });
  return {
    id: "quality-components", title: "What is flawed", isWide: true, definition: "quality-of-the-data", csv: csv("quality", { ...at(place), ...span }),
    table: { columns: [{ name: "Component", isText: true }, { name: "Flawed", format: count }, { name: "Of", format: count }, { name: "", bar: true, isOfOne: true, barFormat: share }, { name: "Share", format: share }], rows: rowsOf },
    empty: own.rows.length === 0 ? why({ problem: own.problem, context, body: own, what: "data to score" }) : "",
  };
}

function bySupplier({ context, suppliers, span }) {
  const days = eachDay(context.span);
  const codes = [...new Set(suppliers.rows.map((row) => row.code))].sort();
  const index = new Map(suppliers.rows.map((row) => [`${row.day} ${row.code}`, row.score]));
  return {
    id: "quality-suppliers", title: "Score by supplier and day", isWide: true, definition: "quality-of-the-data", csv: csv("quality", { level: "supplier", ...span }),
    chart: { type: "lines", isOfDays: true, x: days.map(seconds), format: score, isFromZero: false, series: codes.map((code) => ({ label: code, values: days.map((day) => index.get(`${day} ${code}`) ?? null) })), summary: `A line for each of ${codes.join(", ")}.` },
    table: { columns: [{ name: "Day", isText: true, format: date }, ...codes.map((code) => ({ name: code, format: score }))], rows: days.filter((day) => codes.some((code) => index.has(`${day} ${code}`))).map((day) => ({ cells: [day, ...codes.map((code) => index.get(`${day} ${code}`) ?? null)] })) },
    empty: codes.length === 0 ? why({ problem: suppliers.problem, context, body: suppliers, what: "records of any supplier" }) : "",
    note: "Of all England.",
  };
}

function supplierFlaws({ context, suppliers, span }) {
  const codes = [...new Set(suppliers.rows.map((row) => row.code))].sort();
  return {
    id: "quality-by-supplier", title: "What is flawed, by supplier", isFull: true, definition: "quality-of-the-data", csv: csv("quality", { level: "supplier", ...span }),
    table: {
      columns: [{ name: "Supplier", isText: true }, { name: "Appointments", format: count }, { name: "Score", format: score }, ...COMPONENTS.map(([, name]) => ({ name, format: share })), { name: "Mode never sent", format: count }],
      rows: codes.map((code) => { const own = suppliers.rows.filter((row) => row.code === code); return { cells: [code, own.reduce((all, row) => all + (row.appointments ?? 0), 0), scoreOf(own), ...COMPONENTS.map(([name]) => over(...flawed(own, name))), own.reduce((all, row) => all + (row.mode_never_sent ?? 0), 0)] }; }),
    },
    empty: codes.length === 0 ? why({ problem: suppliers.problem, context, body: suppliers, what: "records of any supplier" }) : "", note: "Of all England. INPS sends no mode, which counts against no one.",
  };
}

const columns = (first) => [{ name: first, isText: true }, { name: "Code", isText: true }, { name: "Appointments", format: told }, { name: "Score", format: score }, { name: "", bar: true, barFormat: score }, { name: "Unmapped", format: share }, { name: "Inconsistent", format: share }, { name: "Status unknown", format: share }, { name: "Professional unknown", format: share }, { name: "Unbooked consultations", format: told }];
const cells = (row) => { const { figures } = row; const of = (name) => over(figures[name], figures.appointments); return [placed(row), row.code, figures.appointments, row.quality_score, row.quality_score, of("unmapped"), of("inconsistent"), of("unknown_status"), of("unknown_hcp"), figures.unbooked_consultations]; };

function byPlace({ context, place, body, level, span }) {
  return {
    id: "quality-places", title: `Mapping and quality by ${LEVEL[level]}`, isFull: true, definition: "quality-of-the-data", csv: totalsCsv("quality", { level, parent: place.code, ...span }),
    lead: "Mapping progress: the share of appointments whose slot type has no national category (unmapped), or one that is no care related encounter (inconsistent).",
    table: { columns: columns(LEVEL[level]), rows: [...body.rows].sort((a, b) => a.quality_score - b.quality_score).map((row) => ({ href: row.code ? context.to(level, row.code) : null, cells: cells(row) })) }, foot: standing(body.rows),
  };
}

function byPractice({ context, place, body, span }) {
  const isOwn = place.level === "practice";
  const list = [...body.rows].sort((a, b) => (a.quality_score ?? 101) - (b.quality_score ?? 101));
  return {
    id: "quality-practices", title: isOwn ? "By the system that it was sent from" : `Practices of ${placed(place)}, lowest score first`, isFull: true, definition: "quality-of-the-data",
    csv: totalsCsv("quality", isOwn ? { ...at(place), ...span, by: "supplier" } : { level: "practice", parent: place.code, ...span }),
    table: { columns: columns(isOwn ? "Supplier" : "Practice"), rows: list.map((row) => ({ href: isOwn ? null : context.to("practice", row.code), cells: isOwn ? [row.dimensions.supplier, ...cells(row).slice(1)] : cells(row) })) },
    empty: list.length === 0 ? why({ problem: body.problem, context, body, what: "practices with data" }) : "",
    note: `Shares are of counts as they may be told: those of 1 to 4 are left out.${body.is_truncated ? " Only the first 10,000 practices." : ""} ${count(sum(body.rows, "appointments"))} appointments in all.`, foot: standing(body.rows),
  };
}
