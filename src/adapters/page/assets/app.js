// The frame: reads the address, shows the view, and shows it again when figures change.

import { Problem } from "./api.js";
import { bar, Context, londonDay } from "./context.js";
import { h } from "./dom.js";
import { moment } from "./format.js";
import { Live } from "./live.js";
import { Board } from "./panels.js";
import * as activity from "./views/activity.js";
import * as capacity from "./views/capacity.js";
import * as forward from "./views/forward.js";
import * as ledger from "./views/ledger.js";
import * as now from "./views/now.js";
import * as publication from "./views/publication.js";
import * as quality from "./views/quality.js";
import * as season from "./views/season.js";
import * as variation from "./views/variation.js";

const VIEWS = { now, activity, capacity, forward, season, variation, quality, ledger, publication };
const part = (id) => document.getElementById(id);

let instant = part("clock").dateTime;
let shown = null;
let board = null;
let turn = 0;

function frame(view) {
  const title = h("h1", {}, view.title);
  const lead = h("p", { class: "lead" }, view.question);
  const problem = h("p", { class: "problem", role: "alert" });
  problem.hidden = true;
  const panels = h("div", { class: "board" });
  part("view").replaceChildren(title, lead, problem, panels);
  board?.clear();
  board = new Board(panels);
}

function go(href, isBack = false) {
  if (!isBack) history.pushState(null, "", href);
  return show();
}

async function show() {
  const context = new Context(location.search, instant);
  const name = Object.hasOwn(VIEWS, context.view) ? context.view : "now";
  const view = VIEWS[name];
  const isNew = shown !== name;
  const mine = ++turn;
  for (const link of document.querySelectorAll("nav.views a")) {
    const target = new Context(location.search, instant);
    link.href = target.href({ view: link.dataset.view });
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelector('nav.views a[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const isFirst = shown === null;
  document.body.setAttribute("aria-busy", "true");
  try {
    const [place, controls] = await Promise.all([context.place(), bar(context, go)]);
    const panels = await view.load(context, place, go);
    if (mine !== turn) return;
    if (isNew) frame(view);
    shown = name;
    place_(controls);
    document.title = `${view.title}: ${place.name && place.level !== "england" ? `${place.name}, ` : ""}GP appointments in England, live`;
    say("");
    board.show(panels);
    document.body.dataset.view = name;
    // A reader who chose another view goes on at its beginning.
    if (isNew && !isFirst) part("main").focus({ preventScroll: false });
  } catch (problem) {
    if (mine !== turn) return;
    if (isNew || !board) { frame(view); shown = name; }
    say(problem instanceof Problem ? `This view cannot be shown: ${problem.message}. It is tried again when figures change.` : `This view has failed: ${problem.message}`);
    if (!(problem instanceof Problem)) console.error(problem);
  } finally {
    if (mine === turn) document.body.removeAttribute("aria-busy");
  }
}

function say(text) {
  const element = document.querySelector("#view .problem");
  if (!element) return;
  element.hidden = text === "";
  element.textContent = text;
}

// The bar is drawn anew for another address only, and what had the focus keeps it.
let barFor = null;
function place_(controls) {
  if (barFor === location.search + instant.slice(0, 10)) return;
  barFor = location.search + instant.slice(0, 10);
  const focused = part("context").contains(document.activeElement) ? document.activeElement.id : null;
  part("context").replaceChildren(...controls);
  if (focused) part(focused)?.focus({ preventScroll: true });
}

function state({ isLost, isBack, changed }) {
  const connection = part("connection");
  if (isLost) {
    connection.className = "in lost";
    connection.textContent = "The connection to the service is lost: these figures stand still. It is being tried again.";
    return;
  }
  if (isBack) {
    connection.className = "in back";
    connection.textContent = "Connected again: the figures are live.";
    setTimeout(() => { if (connection.className === "in back") { connection.textContent = ""; connection.className = "in"; } }, 8_000);
  }
  const day = londonDay(instant);
  instant = changed.now;
  part("clock").dateTime = instant;
  part("clock").replaceChildren(h("strong", {}, moment(instant)));
  part("as-of").replaceChildren(changed.as_of ? h("span", {}, "data up to ", h("time", { datetime: changed.as_of }, moment(changed.as_of))) : "no data yet");
  const status = part("status");
  const text = changed.reasons.length > 0 ? `not ready: ${changed.reasons.join("; ")}` : changed.is_complete ? "live" : "still reading the committed figures";
  if (status.textContent !== text) status.textContent = text;
  status.className = changed.reasons.length > 0 || !changed.is_complete ? "wait" : "ok";
  if (isBack || londonDay(instant) !== day) show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.pathname !== "/" || link.hasAttribute("download") || link.hash) return;
  event.preventDefault();
  go(link.href);
});
addEventListener("popstate", () => go(location.href, true));
addEventListener("theme", () => board?.recolour());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => board?.recolour());

await show();
new Live({
  onstate: state,
  onchange: async (aggregates) => {
    const view = VIEWS[shown] ?? now;
    if (view.needs.length === 0 || view.needs.some((it) => aggregates.has(it))) await show();
  },
});
