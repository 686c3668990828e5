// Now: what happens at this hour, over windows that move with it.

import { csv, rows } from "../api.js";
import { childLevel, nearest } from "../context.js";
import { change, clock, count, date, decimal, LEVEL, LEVEL_MANY, MEASURE, place as placed, score, share } from "../format.js";
import { standing } from "../panels.js";
import { at, isFine, over, ratio, sum, totals, totalsCsv, why } from "../views.js";

export const title = "Now";
export const question = "What is happening at this hour: patients arriving, seen and not coming, appointments booked and cancelled.";
export const needs = ["pressure", "activity", "practice_day", "capacity"];

// The window, and how far back its line is drawn: hours.
const WINDOWS = { "15 min": 12, "1 h": 48, "24 h": 168, "7 d": 28 * 24, "28 d": 56 * 24 };
const HOURS = { "15 min": 0.25, "1 h": 1, "24 h": 24, "7 d": 168, "28 d": 672 };
const LINES = ["arrivals", "attended", "dna", "bookings", "cancellations"];
const LEVELS = ["england", "region", "icb"];

const HOUR = 3_600_000;
const before = (iso, hours) => new Date(Date.parse(iso) - hours * HOUR).toISOString();

export async function load(context, place, go) {
  const window = context.choice("window", Object.keys(WINDOWS), "24 h");
  const [level, code, name] = nearest(place, LEVELS);
  const controls = [{
    name: "window", text: "Window", value: window, choices: Object.keys(WINDOWS).map((it) => [it, `last ${it}`]),
    onchange: (value) => go(context.href({ window: value })),
  }];
  const isNearest = code !== place.code;
  const note = isNearest ? `Rolling windows are kept for ICBs and above: this is ${name}, in which the place lies.` : "";
  const newest = await rows("aggregates/pressure", { level, code, window });
  const end = newest.rows[0]?.window[1];
  // The same hour of the same weekday; of a longer window the one before.
  const back = Math.max(HOURS["7 d"], HOURS[window]);
  const past = end && before(end, back);
  const [line, earlier, day] = await Promise.all([
    end ? rows("aggregates/pressure", { level, code, window, from: before(end, WINDOWS[window]), to: end }) : newest,
    end ? rows("aggregates/pressure", { level, code, window, from: past, to: past }) : newest,
    today(context, place),
  ]);
  const below = level === "icb" ? [] : [childLevel(level)];
  const asked = { window, end, context, note };
  const lists = await Promise.all(["supplier", ...below].map((it) => list(it, level === "region" && it !== "supplier" ? code : null, asked)));
  return [...day, rolling({ line, earlier: earlier.rows[0]?.figures, back: back / 168, window, name, controls, note, context, end, parameters: { level, code, window } }), ...lists];
}

// Today's appointments so far, from the day's sums.
async function today(context, place) {
  const isPart = isFine(place.level);
  const day = { from: context.today, to: context.today };
  const week = (days) => { const past = new Date(Date.parse(`${context.today}T00:00:00Z`) - days * 24 * HOUR).toISOString().slice(0, 10); return { from: past, to: past }; };
  const aggregate = isPart ? "practice_day" : "activity";
  const by = isPart ? "status,hcp_type" : "status,hcp_type,mode,waiting_band";
  const where = at(place);
  const [now, earlier, slots] = await Promise.all([
    totals(aggregate, { ...where, ...day, by }), totals(aggregate, { ...where, ...week(7) }), totals("capacity", { ...where, ...day }),
  ]);
  const all = sum(now.rows, "appointments");
  const of = (dimension, value) => over(sum(now.rows.filter((row) => row.dimensions[dimension] === value), "appointments"), all);
  const [offered, booked] = [sum(slots.rows, "minutes_offered"), sum(slots.rows, "minutes_booked")];
  const whole = sum(earlier.rows, "appointments");
  const cards = [
    { name: "Appointments so far", value: count(all), sub: whole > 0 ? `${count(whole)} on the whole of ${date(week(7).from)}` : "" },
    { name: "Did not attend", value: share(of("status", "DNA")), sub: "of these" },
    { name: "Status unknown yet", value: share(of("status", "Unknown")), sub: "entered late by practices" },
    ...(isPart ? [] : [{ name: "Same day", value: share(of("waiting_band", "Same Day")), sub: "booked today" }, { name: "Face to face", value: share(of("mode", "Face-to-Face")), sub: "of these" }]),
    { name: "With a GP", value: share(of("hcp_type", "GP")), sub: "of these" },
    { name: "Minutes booked", value: share(over(booked, offered)), sub: `${count(sum(slots.rows, "slots_offered"))} slots offered today` },
  ];
  return [{
    id: "today", title: `Today, ${date(context.today)}: ${placed(place)}`, isFull: true, cards,
    csv: totalsCsv(aggregate, { ...where, ...day, by }), definition: "appointments-by-status-mode-professional-and-wait", file: context.today,
    empty: all === 0 && offered === 0 ? why({ ...now, context: { spanText: "today" }, body: now, what: "appointments that have begun, and no slots" }) : "",
    note: all === 0 ? "No appointment of today has begun yet: an appointment is counted once its start has passed." : "",
    foot: standing(now.rows.length > 0 ? now.rows : slots.rows),
  }];
}

function rolling({ line, earlier, back, window, name, controls, note, context, end, parameters }) {
  const list = line.rows;
  const last = list.at(-1)?.figures ?? {};
  // A quantile is there where something was booked in the window.
  const measures = [...LINES, "same_day_share", "wait_median", "wait_90th"].filter((it) => LINES.includes(it) || Object.hasOwn(last, it));
  const cards = measures.map((measure) => {
    const isShare = measure.endsWith("share");
    const isWait = measure.startsWith("wait");
    const value = isShare ? share(last[measure]) : isWait ? decimal(last[measure]) : count(last[measure]);
    const changed = earlier && !isShare && !isWait ? change(ratio(last[measure], earlier[measure])) : null;
    return { name: MEASURE[measure], value, sub: changed && changed !== "–" ? `${changed} on ${back === 1 ? "a week" : `${back} weeks`} before` : isShare ? "of bookings made" : "" };
  });
  const from = before(end ?? new Date(0).toISOString(), WINDOWS[window]);
  return {
    id: "rolling", title: `Last ${window}: ${name}`, isFull: true, controls, cards, note,
    lead: end ? `The window of ${window} that ends ${clock(end)}; each point of the lines is such a window.` : "",
    empty: list.length === 0 ? why({ problem: line.problem, context: { spanText: `the last ${window}` }, body: line, what: "events" }) : "",
    chart: {
      type: "lines", x: list.map((row) => Date.parse(row.window[1]) / 1000), format: count, height: 340,
      series: LINES.map((measure) => ({ label: MEASURE[measure], values: list.map((row) => row.figures[measure]) })),
      summary: `Lines of ${LINES.map((it) => MEASURE[it].toLowerCase()).join(", ")}; at the end ${LINES.map((it) => count(last[it])).join(", ")}.`,
    },
    table: {
      columns: [{ name: "Window ends", isText: true, format: clock }, ...LINES.map((it) => ({ name: MEASURE[it], format: count })),
        { name: "Same-day share", format: share }, { name: "Median wait", format: decimal }, { name: "90th centile", format: decimal }, { name: "Revision", format: count }, { name: "Finality", isText: true }],
      rows: [...list].reverse().map((row) => ({
        cells: [row.window[1], ...LINES.map((it) => row.figures[it]), row.figures.same_day_share ?? null, row.figures.wait_median ?? null, row.figures.wait_90th ?? null, row.published.revision, row.published.finality],
      })),
    },
    csv: end ? csv("aggregates/pressure", { ...parameters, from, to: end }) : null, definition: "rolling-windows", foot: standing(list.slice(-1)),
  };
}

// The latest window of each place of a level. A place in which nothing happened has no row.
async function list(level, parent, { window, end, context }) {
  const hours = Math.max(HOURS[window] / 4, 1);
  const parameters = { level, window, from: end ? before(end, hours) : undefined, to: end };
  const body = end ? await rows("aggregates/pressure", parameters) : { rows: [] };
  const latest = new Map();
  for (const row of body.rows) {
    const held = latest.get(row.code);
    if (!held || held.window[1] < row.window[1]) latest.set(row.code, row);
  }
  let found = [...latest.values()];
  if (parent) {
    const { rows: inside } = await rows("places", { parent, level, limit: 1000 });
    const codes = new Set(inside.map((it) => it.code));
    found = found.filter((row) => codes.has(row.code));
  }
  found.sort((a, b) => (b.figures.arrivals - a.figures.arrivals) || placed(a).localeCompare(placed(b)));
  const columns = [{ name: LEVEL[level], isText: true }, { name: "Arrivals", format: count }, { name: "", bar: true, barFormat: count },
    ...["attended", "dna", "bookings", "cancellations"].map((it) => ({ name: MEASURE[it], format: count })), { name: "DNA of ended", format: share }, { name: "Quality", format: score }];
  return {
    id: `by-${level}`, title: `Last ${window} by ${level === "supplier" ? "supplier" : LEVEL[level]}`, isFull: true,
    table: {
      columns,
      rows: found.map((row) => ({
        href: level === "supplier" ? null : context.to(level, row.code),
        cells: [placed(row), row.figures.arrivals, row.figures.arrivals, row.figures.attended, row.figures.dna, row.figures.bookings, row.figures.cancellations,
          over(row.figures.dna, row.figures.dna + row.figures.attended), row.quality_score],
      })),
    },
    empty: found.length === 0 ? why({ problem: body.problem, context: { spanText: `the last ${window}` }, what: `events by ${LEVEL_MANY[level]}` }) : "",
    note: level === "supplier" ? "Of all England." : "", csv: end ? csv("aggregates/pressure", parameters) : null, definition: "rolling-windows", foot: standing(found),
  };
}
