// Publication: the month as it stands now, in the publication's shapes, to be downloaded.

import { count, LEVEL_MANY, month, place as placed, share } from "../format.js";
import { h } from "../dom.js";
import { standing } from "../panels.js";
import { at, isFine, over, sum, totals, totalsCsv, why } from "../views.js";

export const title = "Publication";
export const question = "The month as the publication counts it, as it stands now, to be downloaded; and how a numbered release is made of it.";
export const needs = ["activity", "practice_crosstab", "category", "duration"];

const lastOf = (from) => { const [year, number] = from.split("-").map(Number); return new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10); };

export async function load(context, place) {
  const from = `${context.span[1].slice(0, 7)}-01`;
  const span = { from, to: lastOf(from) };
  const name = month(from);
  const fine = isFine(place.level);
  const status = await totals(fine ? "practice_day" : "activity", { ...at(place), ...span, by: "status" });
  return [summary({ context, place, span, name, status, fine }), files({ place, span, name, fine }), releases(name, from)];
}

function summary({ context, place, span, name, status, fine }) {
  const all = sum(status.rows, "appointments");
  return {
    id: "publication", title: `${placed(place)}: ${name}`, isFull: true, definition: "the-publication",
    cards: [{ name: "Appointments", value: count(all), sub: "as they stand now" }, ...status.rows.map((row) => ({ name: row.dimensions.status, value: count(row.figures.appointments), sub: share(over(row.figures.appointments, all)) }))],
    empty: status.rows.length === 0 ? why({ problem: status.problem, context: { spanText: name }, body: status, what: "appointments" }) : "",
    csv: totalsCsv(fine ? "practice_day" : "activity", { ...at(place), ...span, by: "status" }), foot: standing(status.rows), note: context.period === "month" ? "The month is under way: choose “Last month”, or days of another one, for a whole month." : "",
  };
}

// Each file of the publication, from the aggregates that it is made of, for the place chosen.
function files({ place, span, name, fine }) {
  const inside = place.level === "england" ? { level: "sub_icb" } : place.level === "sub_icb" ? at(place) : { level: "sub_icb", parent: place.code };
  const practices = place.level === "practice" ? at(place) : { level: "practice", parent: place.code };
  const list = [
    ...(fine ? [] : [
      ["Regional: sub-ICBs by status, professional, mode and time from booking", totalsCsv("activity", { ...inside, ...span, by: "status,hcp_type,mode,waiting_band" })],
      ["Daily: the same by day, for this place", totalsCsv("activity", { ...at(place), ...span, per: "day", by: "status,hcp_type,mode,waiting_band" })],
      ["Duration: sub-ICBs by day and actual duration", totalsCsv("duration", { ...inside, ...span, per: "day", by: "duration_band" })],
      ["Category: sub-ICBs by service setting, context and national category", totalsCsv("category", { ...inside, ...span, by: "service_setting,context_type,national_category" })],
      ["SDS role group: sub-ICBs", totalsCsv("category", { ...inside, ...span, by: "sds_role_group" })],
    ]),
    [`Practices: ${place.level === "practice" ? "this one" : LEVEL_MANY.practice} by professional, mode, national category, wait and status`, totalsCsv("practice_crosstab", { ...practices, ...span, by: "supplier,hcp_type,mode,national_category,waiting_band,status" })],
    ["Two-week indicator: practices", totalsCsv("two_week", { ...practices, ...span })],
    ["Mapping and quality: practices", totalsCsv("quality", { ...practices, ...span })],
  ];
  return {
    id: "publication-files", title: `Downloads: ${name}`, isFull: true, definition: "the-publication",
    lead: h("span", {}, "As they stand at this moment, with as_of, revision and finality in each line.", h("ul", { class: "files" }, list.map(([text, href]) => h("li", {}, h("a", { href, download: true }, text))))),
    note: "At most 10,000 lines in an answer: choose a smaller place, or make a release, for more.",
  };
}

function releases(name, from) {
  return {
    id: "publication-releases", title: "Releases", isFull: true, definition: "the-publication",
    lead: h("span", {}, `A release is a folder that is written once and never changed, with a hash of every file and the transactions it was made of. ${name} is released, and compared with the release before, by `,
      h("code", {}, `gpad-live publish --month ${from.slice(0, 7)} --output figures --parquet --compare`), ", whose changes.csv names each figure that is not as before, and why."),
  };
}
