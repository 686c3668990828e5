// A panel: a question's answer as figures, chart and table, with its download, its definition and what its data are worth.

import { once } from "./api.js";
import { barsPicture, Chart } from "./charts.js";
import { download, h, svg } from "./dom.js";
import { clock, score } from "./format.js";

const FIRST_ROWS = 15;

function said(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Of rows as the API gives them: how new, how sure, how good.
export function standing(rows, quality) {
  const published = rows.map((row) => row.published).filter(Boolean);
  if (published.length === 0) return "";
  const newest = published.map((it) => it.as_of).sort().at(-1);
  const has = (finality) => published.some((it) => it.finality === finality);
  const finality = has("provisional") ? "provisional: records may still come" : has("restated") ? "restated: corrected after it was final" : "final";
  const revision = Math.max(...published.map((it) => it.revision));
  const scored = quality ?? rows.find((row) => row.quality_score !== null && row.quality_score !== undefined)?.quality_score;
  const worth = scored === null || scored === undefined ? "" : ` · quality of the data ${score(scored)} of 100`;
  return `As of ${clock(newest)} · ${finality} · revision ${revision}${worth}`;
}

// Columns: { name, format, isText, bar, href }. A row: { cells, href, class }.
class Table {
  constructor(panel) {
    this.panel = panel;
    this.sort = null;
    this.isAll = false;
    this.root = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": `${panel.id}-title` });
    this.more = h("button", { type: "button", class: "plain", onclick: () => { this.isAll = true; this.draw(this.spec, true); } });
    this.more.hidden = true;
  }

  sorted(rows) {
    if (!this.sort) return rows;
    const { at, isUp } = this.sort;
    const rank = (value) => (value === null || value === undefined ? -Infinity : value);
    const compare = (a, b) => {
      const [x, y] = [rank(a.cells[at]), rank(b.cells[at])];
      return typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y), "en-GB") : x - y;
    };
    return [...rows].sort((a, b) => (isUp ? compare(a, b) : compare(b, a)));
  }

  draw(spec, isForced = false) {
    const shape = JSON.stringify([spec.columns.map((it) => it.name), spec.rows.map((row) => [row.cells, row.href])]);
    if (shape === this.shape && !isForced) return;
    this.shape = shape;
    this.spec = spec;
    const { scrollLeft, scrollTop } = this.root;
    const focused = this.root.contains(document.activeElement) ? document.activeElement : null;
    const key = focused?.getAttribute("href") ?? focused?.dataset.sort;
    this.root.replaceChildren(this.table(spec));
    this.root.scrollTo(scrollLeft, scrollTop);
    if (key !== undefined && key !== null) this.root.querySelector(`[href="${CSS.escape(key)}"], [data-sort="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
    const hidden = spec.rows.length - FIRST_ROWS;
    this.more.hidden = this.isAll || hidden <= 3;
    this.more.textContent = `Show all ${spec.rows.length} rows`;
  }

  table({ columns, rows, caption }) {
    const canSort = rows.length > 3;
    const head = columns.map((column, at) => {
      const state = this.sort?.at === at ? (this.sort.isUp ? "ascending" : "descending") : null;
      const content = canSort && column.name ? h("button", {
        type: "button", class: "sort", "data-sort": String(at),
        onclick: () => {
          this.sort = { at, isUp: this.sort?.at === at ? !this.sort.isUp : Boolean(column.isText) };
          this.draw(this.spec, true);
        },
      }, column.name) : column.name;
      return h("th", { scope: "col", "aria-sort": state, class: column.isText ? "text" : null }, content || h("span", { class: "vh" }, column.bar ? "Bar" : "Value"));
    });
    const all = this.sorted(rows);
    const shown = this.isAll || all.length - FIRST_ROWS <= 3 ? all : all.slice(0, FIRST_ROWS);
    const most = columns.map((column, at) => (column.bar ? Math.max(...rows.map((row) => row.cells[at] ?? 0), 0) || 1 : 1));
    const body = shown.map((row) => h("tr", { class: row.class }, columns.map((column, at) => {
      const value = row.cells[at];
      const text = column.bar ? bar((value ?? 0) / (column.isOfOne ? 1 : most[at])) : (column.format ?? String)(value);
      const content = at === 0 && row.href ? h("a", { href: row.href }, text) : text;
      return at === 0 ? h("th", { scope: "row" }, content) : h("td", { class: [column.bar ? "bar" : "", column.isText ? "text" : "", column.tone?.(value) ?? ""].filter(Boolean).join(" ") || null }, content);
    })));
    return h("table", {}, caption ? h("caption", { class: "vh" }, caption) : null, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
  }
}

function bar(part) {
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: (100 * Math.min(Math.max(part, 0), 1)).toFixed(1), height: 10 }));
}

export class Panel {
  constructor(spec) {
    this.id = `p-${spec.id}`;
    const part = (tag, name) => h(tag, { class: name });
    this.title = h("h2", { id: `${this.id}-title` });
    this.lead = part("p", "lead");
    this.controls = part("div", "controls");
    this.cards = part("ul", "cards");
    this.host = h("div", { class: "chart", role: "img" });
    this.empty = part("p", "empty");
    this.note = part("p", "note");
    this.foot = part("p", "foot");
    this.table = new Table(this);
    this.tableBox = h("details", { class: "table" }, h("summary", {}, "Table"));
    this.tablePlace = part("div", "rows");
    this.csv = h("a", { class: "tool", download: true }, "CSV");
    this.image = h("button", { type: "button", class: "tool", onclick: () => this.picture() });
    this.definition = h("details", { class: "definition", ontoggle: () => this.define() }, h("summary", {}, "Definition"));
    this.defined = h("div", { class: "text" });
    this.definition.append(this.defined);
    this.tools = h("div", { class: "tools" }, this.csv, this.image, this.tableBox, this.definition);
    this.root = h("section", { class: "panel", id: this.id, "aria-labelledby": `${this.id}-title` },
      this.title, this.lead, this.controls, this.cards, this.host, this.empty, this.tablePlace, this.note, this.foot, this.tools);
  }

  update(spec) {
    this.spec = spec;
    this.root.classList.toggle("wide", Boolean(spec.isWide));
    this.root.classList.toggle("full", Boolean(spec.isFull));
    this.root.classList.toggle("tall", Boolean(spec.isTall));
    said(this.title, spec.title);
    const isEmpty = Boolean(spec.empty);
    this.text(this.lead, spec.lead);
    this.text(this.empty, spec.empty);
    this.text(this.note, isEmpty ? "" : spec.note);
    this.text(this.foot, isEmpty ? "" : spec.foot);
    this.control(spec.controls ?? []);
    this.card(isEmpty ? [] : spec.cards ?? []);
    this.draw(isEmpty ? null : spec.chart);
    this.rows(isEmpty ? null : spec.table, Boolean(spec.chart));
    this.csv.hidden = !spec.csv || isEmpty;
    if (spec.csv) this.csv.href = spec.csv;
    this.csv.setAttribute("aria-label", `${spec.title}: download CSV`);
    this.csv.setAttribute("download", `${this.file}.csv`);
    const isPicture = !isEmpty && (spec.chart || spec.table?.columns.some((column) => column.bar));
    this.image.hidden = !isPicture;
    said(this.image, spec.chart ? "PNG" : "SVG");
    this.image.setAttribute("aria-label", `${spec.title}: download ${spec.chart ? "PNG" : "SVG"}`);
    this.definition.hidden = !spec.definition;
  }

  get file() {
    return `gpad-${this.spec.id}${this.spec.file ? `-${this.spec.file}` : ""}`;
  }

  text(element, text) {
    element.hidden = !text;
    if (text instanceof Node) {
      if (!element.firstChild?.isEqualNode(text)) element.replaceChildren(text);
    } else said(element, text ?? "");
  }

  // Drawn anew only when they change: one may be open under the reader's hand.
  control(controls) {
    const shape = JSON.stringify(controls.map((it) => [it.name, it.value, it.choices]));
    this.controls.hidden = controls.length === 0;
    if (shape === this.controlled) return;
    this.controlled = shape;
    const isHere = this.controls.contains(document.activeElement) ? document.activeElement.id : null;
    this.controls.replaceChildren(...controls.map((it) => h("label", {}, h("span", {}, it.text),
      h("select", { id: `${this.id}-${it.name}`, onchange: (event) => it.onchange(event.target.value) },
        it.choices.map(([value, text]) => h("option", { value, selected: value === it.value }, text))))));
    if (isHere) document.getElementById(isHere)?.focus({ preventScroll: true });
  }

  card(cards) {
    this.cards.hidden = cards.length === 0;
    const shape = JSON.stringify(cards);
    if (shape === this.carded) return;
    this.carded = shape;
    this.cards.replaceChildren(...cards.map((it) => h("li", {}, h("span", { class: "name" }, it.name), h("strong", {}, it.value), it.sub ? h("span", { class: "sub" }, it.sub) : null)));
  }

  draw(chart) {
    this.host.hidden = !chart;
    if (!chart) return;
    this.chart ??= new Chart(this.host, (spec) => `${this.spec.title}. ${spec.summary ?? ""} The table below has the figures.`);
    this.chart.draw(chart);
  }

  rows(table, isAside) {
    this.tableBox.hidden = !(table && isAside);
    this.tablePlace.hidden = !(table && !isAside);
    if (!table) return;
    const place = isAside ? this.tableBox : this.tablePlace;
    if (this.table.root.parentNode !== place) place.append(this.table.root, this.table.more);
    this.table.draw(table);
  }

  picture() {
    if (this.spec.chart) return this.chart.png(this.file, this.spec.title);
    const at = this.spec.table.columns.findIndex((column) => column.bar);
    const column = this.spec.table.columns[at];
    const format = column.barFormat ?? String;
    const first = this.spec.table.columns[0].format ?? String;
    return download(`${this.file}.svg`, barsPicture({ title: this.spec.title, rows: this.spec.table.rows.slice(0, 60).map((row) => [first(row.cells[0]), row.cells[at]]), format }));
  }

  async define() {
    if (!this.definition.open || this.known === this.spec.definition) return;
    this.known = this.spec.definition;
    try {
      const { definitions } = await once("definitions");
      const found = definitions.find((it) => it.id === this.known);
      // The service's own text, compiled in.
      this.defined.innerHTML = found?.html ?? "";
    } catch (problem) {
      said(this.defined, problem.message);
      this.known = null;
    }
    this.defined.append(h("p", {}, h("a", { href: `/definitions#${this.spec.definition}` }, "All definitions")));
  }

  destroy() {
    this.chart?.destroy();
  }
}

// The panels of a view: what is still there keeps its place, its open parts and the reader's focus.
export class Board {
  constructor(host) {
    this.host = host;
    this.panels = new Map();
  }

  show(specs) {
    const names = new Set(specs.map((spec) => spec.id));
    for (const [name, panel] of this.panels) {
      if (names.has(name)) continue;
      panel.destroy();
      panel.root.remove();
      this.panels.delete(name);
    }
    specs.forEach((spec, at) => {
      let panel = this.panels.get(spec.id);
      if (!panel) {
        panel = new Panel(spec);
        this.panels.set(spec.id, panel);
      }
      if (this.host.children[at] !== panel.root) this.host.insertBefore(panel.root, this.host.children[at] ?? null);
      panel.update(spec);
    });
  }

  recolour() {
    for (const panel of this.panels.values()) panel.chart?.redraw();
  }

  clear() {
    this.show([]);
  }
}
