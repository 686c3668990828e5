// The ledger: what came in, where each record went, how far each supplier is, how sure the figures are.

import { csv, get, rows } from "../api.js";
import { clock, count, date, duration, share } from "../format.js";
import { between, over, totals, totalsCsv, why } from "../views.js";

export const title = "Ledger";
export const question = "What came in, where every record went, how far each supplier is, and how sure the figures are.";
export const needs = [];

const ENDS = [["accepted", "Accepted"], ["unchanged", "Unchanged"], ["duplicate", "Duplicate"], ["conflicting", "Conflicting"], ["superseded", "Superseded"], ["pending", "Pending"], ["withheld", "Withheld"], ["rejected", "Rejected"]];

export async function load(context) {
  const [ledger, suppliers, days] = await Promise.all([get("ledger"), rows("suppliers"), totals("activity", { level: "england", ...between(context.span), per: "day" })]);
  return [records(ledger), topics(ledger), marks(suppliers), reasons(ledger), finality(context, days), tasks(ledger), written(ledger)];
}

function records(ledger) {
  const list = Object.values(ledger.by_topic);
  const of = (name) => list.reduce((all, topic) => all + (topic.dispositions[name] ?? 0), 0);
  return {
    id: "ledger", title: "Every record, and its one end", isFull: true, definition: "the-ledger-and-finality",
    lead: ledger.adds_up ? `${count(ledger.records)} records were read in ${count(ledger.transactions)} transactions since the first start, and every one ended in exactly one of these.` : "The dispositions do not add up to the records read: see docs/operations.md, verify.",
    table: {
      columns: [{ name: "Disposition", isText: true }, { name: "Records", format: count }, { name: "", bar: true, isOfOne: true, barFormat: share }, { name: "Share", format: share }],
      rows: ENDS.map(([name, text]) => ({ cells: [text, of(name), over(of(name), ledger.records), over(of(name), ledger.records)] })),
    },
    empty: ledger.records === 0 ? "No record was read yet: nothing has come from the suppliers’ topics, or the ledger is still being read." : "",
    csv: csv("ledger"),
  };
}

function topics(ledger) {
  return {
    id: "ledger-topics", title: "By topic", isFull: true, definition: "the-ledger-and-finality", csv: csv("ledger"),
    table: {
      columns: [{ name: "Topic", isText: true }, { name: "Records", format: count }, ...ENDS.map(([, name]) => ({ name, format: count }))],
      rows: Object.entries(ledger.by_topic).map(([name, topic]) => ({ cells: [name, topic.records, ...ENDS.map(([end]) => topic.dispositions[end] ?? 0)] })),
    },
  };
}

function marks(suppliers) {
  return {
    id: "ledger-suppliers", title: "How far each supplier is", isWide: true, definition: "the-ledger-and-finality", csv: csv("suppliers"),
    cards: [{ name: "Records waiting to be read", value: count(suppliers.lag_records), sub: "lag of this instance" }, { name: "Service’s clock", value: clock(suppliers.now), sub: "simulated in a demonstration" }],
    table: {
      columns: [{ name: "Supplier", isText: true }, { name: "Everything up to (watermark)", isText: true, format: clock }, { name: "Behind the clock", format: duration }, { name: "Newest record", isText: true, format: clock }],
      rows: suppliers.rows.map((row) => ({ cells: [row.supplier, row.watermark, row.behind_seconds, row.newest] })),
    },
    empty: suppliers.rows.length === 0 ? "This instance has read no supplier’s records since it started: it may have no task, or nothing has come. Other instances tell their own." : "",
    note: "Of this instance’s tasks: the watermark of the one furthest behind, and the newest record of all. A supplier that is silent stops holding the others back after its idle time.",
  };
}

function reasons(ledger) {
  const list = Object.entries(ledger.by_topic).flatMap(([topic, it]) => Object.entries(it.reasons).map(([reason, records]) => ({ cells: [reason.replaceAll("_", " "), topic, records, records] })));
  return {
    id: "ledger-reasons", title: "Why records were withheld or rejected", isWide: true, definition: "the-ledger-and-finality", csv: csv("ledger"),
    table: { columns: [{ name: "Reason", isText: true }, { name: "Topic", isText: true }, { name: "Records", format: count }, { name: "", bar: true, barFormat: count }], rows: list.sort((a, b) => b.cells[2] - a.cells[2]) },
    empty: list.length === 0 ? "No record was withheld or rejected." : "", note: "Each rejected record is a dead letter on gpad.dead-letters with its coordinates and its reason; of a withheld one nothing is kept but the count.",
  };
}

function finality(context, days) {
  const of = (wanted) => days.rows.filter((row) => row.published.finality === wanted).length;
  return {
    id: "ledger-finality", title: "How sure England’s days are", isFull: true, definition: "the-ledger-and-finality", csv: totalsCsv("activity", { level: "england", ...between(context.span), per: "day" }),
    cards: [{ name: "Provisional", value: count(of("provisional")), sub: "days of which records may still come" }, { name: "Final", value: count(of("final")), sub: "days" }, { name: "Restated", value: count(of("restated")), sub: "days corrected after they were final" }],
    table: {
      columns: [{ name: "Day", isText: true, format: date }, { name: "Appointments", format: count }, { name: "", bar: true, barFormat: count }, { name: "Finality", isText: true }, { name: "Revision", format: count }, { name: "As of", isText: true, format: clock }, { name: "Quality", format: (it) => it?.toFixed(1) ?? "–" }],
      rows: [...days.rows].reverse().map((row) => ({ cells: [row.window[0], row.figures.appointments, row.figures.appointments, row.published.finality, row.published.revision, row.published.as_of, row.quality_score] })),
    },
    empty: days.rows.length === 0 ? why({ problem: days.problem, context, body: days, what: "days" }) : "", note: "A day is as sure as its least sure row; the revision is the greatest of its rows. Late records and corrections are always taken in, and a figure that changes is published again.",
  };
}

function tasks(ledger) {
  return {
    id: "ledger-tasks", title: "Tasks", isWide: true, definition: "the-ledger-and-finality", csv: csv("ledger", { of: "tasks" }),
    table: { columns: [{ name: "Task", isText: true }, { name: "Transactions", format: count }, { name: "Epoch", format: count }, { name: "Pending", format: count }, { name: "As of", isText: true, format: clock }], rows: Object.entries(ledger.tasks).map(([name, task]) => ({ cells: [name, task.sequence, task.epoch, task.pending, task.as_of] })) },
    empty: Object.keys(ledger.tasks).length === 0 ? "No task has committed yet." : "",
  };
}

function written(ledger) {
  const list = Object.entries(ledger.written).sort((a, b) => b[1] - a[1]);
  return {
    id: "ledger-written", title: "Rows written, by topic", isWide: true, definition: "the-ledger-and-finality", csv: csv("ledger", { of: "written" }),
    table: { columns: [{ name: "Topic", isText: true }, { name: "Rows", format: count }, { name: "", bar: true, barFormat: count }], rows: list.map(([name, number]) => ({ cells: [name, number, number] })) },
    empty: list.length === 0 ? "Nothing was written yet." : "",
  };
}
