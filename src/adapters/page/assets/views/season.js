// Season: months per working weekday, this winter against earlier ones.

import { csv, rows } from "../api.js";
import { change, count, decimal, month, place as placed, score, told } from "../format.js";
import { at, capital } from "../views.js";

export const title = "Season";
export const question = "Whether this winter is busier than earlier ones, working day for working day.";
export const needs = ["activity", "practice_day"];

// A winter year runs from October to September.
const MONTHS = ["Oct", "Nov", "Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep"];
const inYear = (label) => (Number(label.slice(5, 7)) + 2) % 12;
const SHOWN = 5;

export async function load(context, place) {
  const where = at(place);
  const [months, winters] = await Promise.all([rows("seasons", where), rows("seasons", { ...where, by: "winter_year" })]);
  return [lines({ context, place, months, where }), table({ place, months, where }), years({ place, winters, where })];
}

const empty = (body) => (body.rows.length > 0 ? "" : `${capital(body.problem ?? "nothing is known of earlier months")}. A month is there once the service has counted a day of it, or a file of published totals names it (seasons.published_totals in deploy/gpad-live.toml).`);

function lines({ place, months, where }) {
  const all = [...new Set(months.rows.map((row) => row.winter_year))].sort();
  const shown = all.slice(-SHOWN);
  const latest = months.rows.at(-1);
  const series = shown.map((year, number) => ({
    label: year, colour: shown.length - 1 - number, dash: number === shown.length - 1 ? [] : undefined, isThin: number < shown.length - 1,
    values: MONTHS.map((_, at) => months.rows.find((row) => row.winter_year === year && inYear(row.month) === at)?.per_working_weekday ?? null),
  }));
  return {
    id: "season", title: `${placed(place)}: appointments per working weekday`, isFull: true, definition: "per-working-weekday-and-seasons", csv: csv("seasons", where), empty: empty(months),
    cards: latest ? [
      { name: `${month(latest.month)}, per working weekday`, value: decimal(latest.per_working_weekday, 0), sub: `${told(latest.appointments)} in ${latest.working_weekdays} working weekdays${latest.is_whole ? "" : " so far"}` },
      { name: "On the year before", value: change(latest.change_on_year_before), sub: latest.year_before_per_working_weekday === null ? "that month is not known here" : `${decimal(latest.year_before_per_working_weekday, 0)} then` },
      { name: "On 2019", value: change(latest.change_on_pre_pandemic), sub: latest.pre_pandemic_per_working_weekday === null ? "that month is not known here" : `${decimal(latest.pre_pandemic_per_working_weekday, 0)} then` },
    ] : [],
    chart: {
      type: "lines", labels: MONTHS, labelWidth: 44, x: MONTHS.map((_, at) => at), series, format: (value) => decimal(value, 0), isFromZero: shown.length < 2,
      summary: `One line for each winter year from ${shown[0]} to ${shown.at(-1)}.`,
    },
    table: {
      columns: [{ name: "Winter year", isText: true }, ...MONTHS.map((name) => ({ name, format: (value) => decimal(value, 0) }))],
      rows: [...shown].reverse().map((year) => ({ cells: [year, ...series.find((one) => one.label === year).values] })),
    },
    note: `${shown.length < 2 ? "Only one winter year is known here: lines to compare with come from the service’s own history or a file of published totals. " : ""}${shown.length < 2 ? "" : "The scale does not begin at nought. "}A month under way has its days up to yesterday.`,
    foot: latest?.quality_score !== null && latest ? `Quality of the data of ${month(latest.month)}: ${latest.quality_score?.toFixed(1) ?? "–"} of 100 · ${months.as_of ? "live" : "published"}` : "",
  };
}

function table({ place, months, where }) {
  return {
    id: "season-months", title: `Month by month: ${placed(place)}`, isFull: true, definition: "per-working-weekday-and-seasons", csv: csv("seasons", where), empty: empty(months),
    table: {
      columns: [{ name: "Month", isText: true, format: month }, { name: "Source", isText: true }, { name: "Whole", isText: true, format: (it) => (it ? "yes" : "no") }, { name: "Appointments", format: told }, { name: "Working weekdays", format: count },
        { name: "Per working weekday", format: (it) => decimal(it, 0) }, { name: "On the year before", format: change }, { name: "On 2019", format: change }, { name: "Quality", format: score }],
      rows: [...months.rows].reverse().map((row) => ({ cells: [row.month, row.source, row.is_whole, row.appointments, row.working_weekdays, row.per_working_weekday, row.change_on_year_before, row.change_on_pre_pandemic, row.quality_score] })),
    },
  };
}

function years({ place, winters, where }) {
  return {
    id: "season-winters", title: `Winter years, October to September: ${placed(place)}`, isFull: true, definition: "per-working-weekday-and-seasons", csv: csv("seasons", { ...where, by: "winter_year" }),
    empty: winters.rows.length === 0 ? `${empty(winters)} Only whole months are added up.` : "",
    table: {
      columns: [{ name: "Winter year", isText: true }, { name: "Months", format: count }, { name: "Appointments", format: count }, { name: "Per working weekday", format: (it) => decimal(it, 0) }, { name: "", bar: true, barFormat: (it) => decimal(it, 0) }, { name: "On the year before", format: change }, { name: "Months compared", format: count }],
      rows: [...winters.rows].reverse().map((row) => ({ cells: [row.winter_year, row.months, row.appointments, row.per_working_weekday, row.per_working_weekday, row.change_on_year_before, row.months_compared] })),
    },
    note: "The change is over the months that are known of both years.",
  };
}
