// Charts: lines, columns and funnels by uPlot, bars as pictures of a table.

import { css, download, svg } from "./dom.js";
import { clock as clockOf, date } from "./format.js";

const uPlot = window.uPlot;
export const COLOURS = 8;
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [12, 4], [3, 6], [1, 2]];
const FONT = 'Frutiger, "Segoe UI", Arial, sans-serif';

export const colour = (at) => css(`--c${at % COLOURS}`);
// A wall has larger letters.
const scale = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
const font = () => `${Math.round(13 * scale())}px ${FONT}`;

const clock = (iso, isOfDays) => (isOfDays ? date(iso.slice(0, 10)) : clockOf(iso));

function axes(spec) {
  const line = { stroke: css("--sub"), font: font(), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
  const values = spec.format ?? ((value) => String(value));
  const x = { ...line, size: 50 * scale(), grid: { show: spec.type === "funnel", stroke: css("--line"), width: 1 } };
  if (spec.labels) {
    // Categories stand at whole numbers.
    const step = (self) => Math.max(1, Math.ceil((spec.labels.length * scale() * (spec.labelWidth ?? 64)) / Math.max(self.width - 80, 1)));
    x.splits = (self) => spec.labels.map((_, at) => at).filter((at) => at % step(self) === 0);
    x.values = (_, splits) => splits.map((at) => spec.labels[at] ?? "");
  } else if (spec.type === "funnel") {
    x.values = (_, splits) => splits.map((value) => spec.formatX(value));
    x.label = spec.xLabel;
    x.labelFont = font();
    x.labelSize = 22 * scale();
  } else {
    x.space = 70 * scale();
    if (spec.isOfDays) x.incrs = [1, 2, 3, 5, 7, 10, 14, 28, 56, 91, 182, 365].map((days) => days * 86_400);
    x.values = [
      [86_400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
      [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
      [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
    ];
  }
  const y = { ...line, size: (_, values) => 16 + 8.5 * scale() * Math.max(3, ...(values ?? []).map((it) => String(it).length)), values: (_, splits) => splits.map(values) };
  return [x, y];
}

function lines(spec) {
  return spec.series.map((one, at) => ({
    label: one.label,
    stroke: colour(one.colour ?? at),
    width: one.isThin ? 1.5 : 2.5,
    dash: one.dash ?? DASHES[at % DASHES.length],
    points: { show: spec.x.length < 2 || spec.x.length <= 40 && !one.isThin, size: 6, fill: colour(one.colour ?? at) },
    spanGaps: false,
    value: (_, value) => (value === null ? "–" : (one.format ?? spec.format ?? String)(value)),
  }));
}

// Columns side by side, or one behind the other.
function columns(spec) {
  const groups = spec.series.filter((one) => !one.isLine).length;
  return spec.series.map((one, at) => ({
    label: one.label,
    stroke: colour(one.colour ?? at),
    fill: one.isLine ? undefined : colour(one.colour ?? at),
    width: one.isLine ? 2.5 : 0,
    points: { show: one.isLine },
    paths: one.isLine ? undefined : uPlot.paths.bars({ size: [0.8 / (spec.isLayered ? 1 + at * 0.6 : groups), 90], align: spec.isLayered || groups === 1 ? 0 : at === 0 ? -1 : 1 }),
    value: (_, value) => (value === null ? "–" : (one.format ?? spec.format ?? String)(value)),
  }));
}

// Points, each with a size that can be hit, and the lines that chance draws.
function dots(spec) {
  const limits = spec.limits.map((one) => ({
    label: one.label, stroke: css(one.isMiddle ? "--fg" : "--sub"), width: one.isMiddle ? 2 : 1.5, dash: one.dash, points: { show: false },
    value: (_, value) => (value === null ? "–" : spec.format(value)),
  }));
  const points = spec.series.map((one) => ({
    label: one.label, stroke: colour(one.colour), fill: colour(one.colour), paths: () => null,
    points: { show: true, size: one.size ?? 8, fill: colour(one.colour), stroke: css("--card"), width: 1 },
    value: (_, value) => (value === null ? "–" : spec.format(value)),
  }));
  return [...limits, ...points];
}

export class Chart {
  constructor(host, describe) {
    this.host = host;
    this.describe = describe;
    this.plot = null;
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(host);
  }

  get size() {
    const width = Math.max(this.host.clientWidth, 200);
    return { width, height: Math.round(Math.min(Math.max(width * 0.42, 240), (this.spec?.height ?? 360) * scale())) };
  }

  resize() {
    if (!this.plot) return;
    const { width, height } = this.size;
    if (Math.abs(this.plot.width - width) > 1) this.plot.setSize({ width, height });
  }

  get data() {
    const { spec } = this;
    const all = spec.type === "funnel" ? [...spec.limits, ...spec.series] : spec.series;
    return [spec.x, ...all.map((one) => one.values)];
  }

  // What is drawn alike keeps its plot: new figures move the lines and nothing else.
  draw(spec) {
    const shape = JSON.stringify([spec.type, spec.labels, spec.xLabel, (spec.limits ?? []).length, spec.series.map((one) => [one.label, one.colour])]);
    const isSame = this.plot && shape === this.shape;
    this.spec = spec;
    this.shape = shape;
    this.host.setAttribute("aria-label", this.describe(spec));
    if (isSame) {
      this.plot.setData(this.data);
      this.rest();
    } else this.redraw();
  }

  redraw() {
    const { spec } = this;
    if (!spec) return;
    this.plot?.destroy();
    const series = { lines, columns, funnel: dots }[spec.type](spec);
    const isTime = !spec.labels && spec.type !== "funnel";
    const x = { label: spec.xLabel ?? "At", value: (_, value) => (value === null ? "–" : spec.labels ? spec.labels[value] ?? "" : spec.formatX ? spec.formatX(value) : clock(new Date(value * 1e3).toISOString(), spec.isOfDays)) };
    const pad = spec.labels ? { range: () => [-0.6, spec.labels.length - 0.4] } : {};
    const floor = (_, low, high) => {
      if (low === null) return [0, 1];
      const from = spec.isFromZero === false ? Math.max(0, low - (high - low || high || 1) * 0.1) : 0;
      return [Math.min(from, low), high + (high - from || 1) * 0.08];
    };
    this.plot = new uPlot({
      ...this.size,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Europe/London"),
      scales: { x: { time: isTime, ...pad }, y: { range: floor } },
      axes: axes(spec),
      series: [x, ...series],
      legend: { live: true, show: true, markers: { width: 0, fill: (self, at) => (typeof self.series[at].stroke === "function" ? self.series[at].stroke(self, at) : self.series[at].stroke) } },
      cursor: { drag: { x: false, y: false }, focus: { prox: 30 }, y: spec.type === "funnel", ...(spec.type === "funnel" ? this.nearest() : {}) },
      padding: [12, 16, 0, 0],
    }, this.data, this.host);
    this.plot.over.addEventListener("mouseleave", () => setTimeout(() => this.plot && this.rest(), 0));
    this.plot.over.addEventListener("click", () => {
      const { idx } = this.plot.cursor;
      if (idx !== null && idx !== undefined) this.spec.onpick?.(idx);
    });
    this.plot.over.classList.toggle("can-pick", Boolean(spec.onpick));
    // The plot makes its legend when it is first drawn, after this.
    setTimeout(() => this.plot && this.rest(), 30);
  }

  // Where nobody points, the legend has the newest figures.
  rest() {
    const { idx } = this.plot.cursor;
    if (this.spec.type === "funnel" || (idx !== null && idx !== undefined)) return;
    const { series, x } = this.spec;
    const last = x.findLastIndex((_, at) => series.some((one) => one.values[at]));
    if (last >= 0) this.plot.setLegend({ idx: last });
  }

  // The cursor holds the nearest point, not the nearest x: practices of one size lie above each other.
  nearest() {
    return {
      dataIdx: (self, number, closest) => {
        const { left, top } = self.cursor;
        if (left < 0 || number === 0) return closest;
        let best = closest;
        let least = Infinity;
        const own = [...this.spec.series];
        this.spec.x.forEach((value, at) => {
          for (const one of own) {
            const y = one.values[at];
            if (y === null || y === undefined) continue;
            const distance = (self.valToPos(value, "x") - left) ** 2 + (self.valToPos(y, "y") - top) ** 2;
            if (distance < least) { least = distance; best = at; }
          }
        });
        return best;
      },
    };
  }

  png(name, title) {
    const canvas = this.plot.ctx.canvas;
    const ratio = devicePixelRatio || 1;
    const legend = (this.spec.type === "funnel" ? [...this.spec.limits.map((one) => [one.label, css("--sub")]), ...this.spec.series.map((one) => [one.label, colour(one.colour)])]
      : this.spec.series.map((one, at) => [one.label, colour(one.colour ?? at)]));
    const head = 64 * ratio;
    const out = document.createElement("canvas");
    out.width = canvas.width;
    out.height = canvas.height + head;
    const ink = out.getContext("2d");
    ink.fillStyle = css("--card");
    ink.fillRect(0, 0, out.width, out.height);
    ink.fillStyle = css("--fg");
    ink.font = `bold ${16 * ratio}px ${FONT}`;
    ink.fillText(title, 12 * ratio, 24 * ratio);
    ink.font = `${13 * ratio}px ${FONT}`;
    let x = 12 * ratio;
    for (const [text, stroke] of legend) {
      ink.fillStyle = stroke;
      ink.fillRect(x, 40 * ratio, 14 * ratio, 10 * ratio);
      ink.fillStyle = css("--fg");
      ink.fillText(text, x + 18 * ratio, 50 * ratio);
      x += 34 * ratio + ink.measureText(text).width;
    }
    ink.drawImage(canvas, 0, head);
    out.toBlob((blob) => blob && download(`${name}.png`, blob));
  }

  destroy() {
    this.watch.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }
}

// The bars of a table as a picture of its own.
export function barsPicture({ title, rows, format }) {
  const [width, left, step] = [900, 300, 30];
  const most = Math.max(...rows.map(([, value]) => value ?? 0), 0) || 1;
  const text = (x, y, words, more = {}) => svg("text", { x, y, fill: css("--fg"), "font-size": 15, "font-family": FONT, ...more }, words);
  const bars = rows.flatMap(([name, value], at) => [
    text(left - 10, 68 + at * step, name, { "text-anchor": "end" }),
    svg("rect", { x: left, y: 54 + at * step, width: ((value ?? 0) / most) * (width - left - 120), height: 18, fill: colour(0) }),
    text(left + 8 + ((value ?? 0) / most) * (width - left - 120), 68 + at * step, format(value)),
  ]);
  const height = 70 + rows.length * step;
  const picture = svg("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height },
    svg("rect", { width, height, fill: css("--card") }), text(12, 28, title, { "font-weight": "bold", "font-size": 17 }), bars);
  return new Blob([new XMLSerializer().serializeToString(picture)], { type: "image/svg+xml" });
}
