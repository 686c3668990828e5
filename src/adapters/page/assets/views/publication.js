// Publication: the month as it stands now, in the publication's shapes, to be downloaded.

import { get } from "../api.js";
import { count, LEVEL_MANY, moment, month, place as placed, share } from "../format.js";
import { h } from "../dom.js";
import { standing } from "../panels.js";
import { at, isFine, over, sum, totals, totalsCsv, why } from "../views.js";

export const title = "Publication";
export const question = "The month as the publication counts it, as it stands now, to be downloaded; and the numbered releases made of it.";
export const needs = ["activity", "practice_crosstab", "category", "duration"];

// The publication's files, of all England that this service has.
const FILES = [["regional", "Regional"], ["daily", "Daily"], ["duration", "Duration"], ["coverage", "Coverage"], ["practice_crosstab", "Practice crosstab"], ["summary", "Summary"], ["category", "Category"], ["sds_role_group", "SDS role group"]];

// Releases with their files; older ones are in the table.
const MOST = 3;

const lastOf = (from) => { const [year, number] = from.split("-").map(Number); return new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10); };

export async function load(context, place) {
  const from = `${context.span[1].slice(0, 7)}-01`;
  const span = { from, to: lastOf(from) };
  const name = month(from);
  const fine = isFine(place.level);
  const [status, made] = await Promise.all([totals(fine ? "practice_day" : "activity", { ...at(place), ...span, by: "status" }), get("releases")]);
  return [summary({ context, place, span, name, status, fine }), whole(from, name), files({ place, span, name, fine }), releases(made, name, from), ...made.rows.slice(0, MOST).map(release)];
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

// The month in the publication's own shapes, whatever place is chosen.
function whole(from, name) {
  const link = (file, kind, text) => h("a", { href: `/publication/${from.slice(0, 7)}/${file}.${kind}`, download: true }, text);
  return {
    id: "publication-whole", title: `The publication: ${name}`, isFull: true, definition: "the-publication",
    lead: h("span", {}, "Its files as they stand at this moment, with the columns of the published ones.", h("ul", { class: "files" }, FILES.map(([file, text]) => h("li", {}, `${text}: `, link(file, "csv", `${file}.csv`), " · ", link(file, "parquet", `${file}.parquet`))))),
    note: "Each is made when it is asked for, one at a time. Files that shall agree with each other and never change are a release.",
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

function releases(made, name, from) {
  const how = h("span", {}, `A release is a folder that is written once and never changed, with a hash of every file and the transactions it was made of. ${name} is released, and compared with the release before, by `,
    h("code", {}, `gpad-live publish --month ${from.slice(0, 7)} --output figures --parquet --compare`), ".",
    made.is_configured ? null : h("span", {}, " With ", h("code", {}, 'http.releases = "figures"'), " in the configuration the releases are listed here."));
  return {
    id: "publication-releases", title: "Releases", isFull: true, definition: "the-publication", lead: how,
    table: made.rows.length === 0 ? null : {
      columns: [{ name: "Release", format: count }, { name: "Months", isText: true }, { name: "Appointments", format: count }, { name: "As of", isText: true, format: moment }, { name: "Made", isText: true, format: moment }, { name: "By", isText: true }, { name: "Files", format: count }, { name: "Compared with the one before", isText: true, format: (it) => (it ? "yes" : "no") }],
      rows: made.rows.map((it) => ({ cells: [it.release, it.months.length > 1 ? `${it.months[0]} to ${it.months.at(-1)}` : it.months[0], it.appointments, it.as_of, it.made_at, it.made_by, it.files.length, it.is_compared] })),
    },
    note: made.is_configured && made.rows.length === 0 ? "No release has been made in the folder of http.releases yet." : "",
  };
}

function release(it) {
  const link = (path, text) => h("li", {}, h("a", { href: `/releases/${it.release}/${path}`, download: true }, text));
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const changes = it.files.filter((file) => file.path.startsWith("changes."));
  const others = it.files.filter((file) => !file.path.startsWith("changes.") && !file.path.includes("/provenance/"));
  return {
    id: `release-${it.release}`, title: `Release ${it.release}: files`, isFull: true, definition: "the-publication",
    lead: h("span", {}, it.is_compared ? "What changed since the release before, and why:" : "It was not compared with a release before.", h("ul", { class: "files" },
      changes.map((file) => link(file.path, `${file.path} (${size(file.bytes)})`)),
      others.map((file) => link(file.path, `${file.path} (${file.rows === null ? "" : `${count(file.rows)} rows, `}${size(file.bytes)})`)),
      link("release.json", "release.json: what it was made of"), link("SHA256SUMS", "SHA256SUMS"))),
  };
}
