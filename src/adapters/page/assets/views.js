// What several views share: which aggregate answers what, sums and their comparison.

import { csv, rows } from "./api.js";
import { shifted } from "./context.js";
import { DIMENSION, label } from "./format.js";
import { standing } from "./panels.js";

const ACTIVITY = ["status", "hcp_type", "mode", "waiting_band"];
const CATEGORY = ["service_setting", "context_type", "national_category", "sds_role_group"];
const CROSSTAB = ["supplier", "hcp_type", "mode", "national_category", "waiting_band", "status"];
export const DIMENSIONS = ["status", "mode", "hcp_type", "waiting_band", "duration_band", "sds_role_group", "national_category", "service_setting", "context_type"];

export const isFine = (level) => level === "practice" || level === "pcn";

// The aggregate that has all of some dimensions at a level; by month where only the crosstab has them.
export function source(level, ...dimensions) {
  const within = (set) => dimensions.every((it) => set.includes(it));
  if (isFine(level)) {
    if (within(["status", "hcp_type"])) return { aggregate: "practice_day", isMonthly: false };
    return within(CROSSTAB) ? { aggregate: "practice_crosstab", isMonthly: true } : null;
  }
  if (within(ACTIVITY)) return { aggregate: "activity", isMonthly: false };
  if (within(CATEGORY)) return { aggregate: "category", isMonthly: false };
  if (within(["duration_band"])) return { aggregate: "duration", isMonthly: false };
  return within(CROSSTAB) ? { aggregate: "practice_crosstab", isMonthly: true } : null;
}

export const totals = (aggregate, parameters) => rows(`totals/${aggregate}`, parameters);
export const totalsCsv = (aggregate, parameters) => csv(`totals/${aggregate}`, parameters);

export const at = ({ level, code }) => (level === "england" ? { level } : { level, code });
export const between = ([from, to]) => ({ from, to });

export const sum = (list, measure) => list.reduce((all, row) => all + (row.figures[measure] ?? 0), 0);
// Of a suppressed count there is no share.
export const over = (part, whole) => (whole > 0 && part !== null && part !== undefined ? part / whole : null);
export const ratio = (now, before) => (before > 0 ? now / before - 1 : null);

// Every day of a span, so that a day without a row is a gap or a nought and no missing place.
export function eachDay([from, to]) {
  const all = [];
  for (let day = from; day <= to; day = shifted(day, 1)) all.push(day);
  return all;
}

export const seconds = (day) => Date.parse(`${day}T00:00:00Z`) / 1000;

// Why there is nothing, and what to do.
export function why({ problem, context, what = "figures", body }) {
  if (problem) return `${capital(problem)}.`;
  if (body && body.is_complete === false) return "The committed figures are still being read: this fills within seconds to minutes.";
  const held = body?.held_from ? ` Days before ${body.held_from} are no longer held in memory; the topic has them.` : "";
  return `There are no ${what} here for ${context.spanText}. Choose another period or a larger place, or wait for the suppliers’ records.${held}`;
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const values = (list, dimension) => [...new Set(list.map((row) => row.dimensions[dimension]))];

export { DIMENSION, label, standing };
