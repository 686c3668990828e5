// Looks at the dashboard as people do, in Chromium: `node walk.mjs ADDRESS MODULES PICTURES [FILTER]`, the
// last to take only the steps whose names contain it.
//
// It says `restart` on standard output when the service is to be restarted, and goes on when a line comes in. Exit code 0: all holds.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import assert from "node:assert/strict";

const [base, modules, pictures, filter = ""] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = ["now", "activity", "capacity", "forward", "season", "variation", "quality", "ledger", "publication"];
const MOST_BYTES = 300_000;
const PATIENCE = 30_000;

mkdirSync(pictures, { recursive: true });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ viewport: { width: 1366, height: 900 }, acceptDownloads: true, locale: "en-GB", timezoneId: "Europe/London" });
const page = await context.newPage();
page.setDefaultTimeout(PATIENCE);

// Of the page's own doing; a service that is being restarted does not answer, and that is no fault.
const faults = [];
let isAway = false;
page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
page.on("console", (message) => message.type() === "error" && !isAway && faults.push(`console: ${message.text()}`));
page.on("request", (request) => {
  const { origin, protocol } = new URL(request.url());
  if (origin !== base && !["data:", "blob:"].includes(protocol)) faults.push(`fetched from elsewhere: ${request.url()}`);
});

const api = async (path) => {
  const response = await fetch(`${base}/api/v1/${path}`);
  assert.equal(response.status, 200, `${path}: ${response.status}`);
  return response.json();
};
const settled = (view) => page.waitForFunction((name) => document.body.dataset.view === name && !document.body.hasAttribute("aria-busy"), view);
const open = async (address, view) => {
  await page.goto(`${base}${address}`);
  await settled(view);
};
const number = (text) => Number(text.replaceAll(",", "").replace("−", "-"));
const count = new Intl.NumberFormat("en-GB");

// Figures may move while they are looked at: page and API must agree three times in a row, so that no passing value is taken for the right one.
async function agree(what, shown, told) {
  const end = Date.now() + PATIENCE;
  let last;
  let times = 0;
  while (Date.now() < end) {
    const before = await told();
    const seen = await shown();
    const after = await told();
    last = [before, seen, after];
    times = seen === before && seen === after ? times + 1 : 0;
    if (times === 3) return;
    await page.waitForTimeout(700);
  }
  assert.fail(`${what}: the API says ${last[0]}, the page ${last[1]}, the API ${last[2]}`);
}

const card = (panel, name) => page.locator(`#p-${panel} .cards li`, { has: page.locator(".name", { hasText: new RegExp(`^${name}$`) }) }).locator("strong").innerText();

async function accessible(what) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.filter((it) => ["serious", "critical"].includes(it.impact)).map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
  });
  assert.deepEqual(found, [], what);
}

const steps = {
  async "the bundle is small, and nothing in it is from elsewhere"() {
    const html = await (await fetch(base)).text();
    const parts = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((it) => it[1]);
    assert.ok(parts.length > 10, `parts: ${parts.length}`);
    let bytes = gzipSync(html).length;
    for (const part of parts) {
      const response = await fetch(base + part);
      assert.equal(response.status, 200, part);
      assert.match(response.headers.get("cache-control"), /immutable/);
      const body = Buffer.from(await response.arrayBuffer());
      bytes += gzipSync(body).length;
      const tag = response.headers.get("etag");
      const again = await fetch(base + part, { headers: { "if-none-match": tag } });
      assert.equal(again.status, 304, part);
    }
    assert.ok(bytes <= MOST_BYTES, `${bytes} bytes compressed, of ${MOST_BYTES}`);
    console.error(`the bundle: ${parts.length} parts, ${bytes} bytes compressed`);
  },

  async "the first view comes quickly over a slow network"() {
    // WebPageTest's 3G Fast, which is Lighthouse's slow 4G, and its 3G: Mbit/s down, kbit/s up, ms there and back.
    for (const [name, down, up, latency] of [["3G Fast", 1.6, 768, 150], ["3G", 1.6, 768, 300]]) {
      const fresh = await browser.newContext({ viewport: { width: 1366, height: 900 }, locale: "en-GB", timezoneId: "Europe/London" });
      const slow = await fresh.newPage();
      const session = await fresh.newCDPSession(slow);
      await session.send("Network.enable");
      await session.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: (down * 1e6) / 8, uploadThroughput: (up * 1e3) / 8 });
      const bytes = { all: 0, requests: 0 };
      session.on("Network.loadingFinished", ({ encodedDataLength }) => { bytes.all += encodedDataLength; bytes.requests += 1; });
      await slow.goto(base, { waitUntil: "commit" });
      await slow.waitForFunction(() => document.body?.dataset.view === "now" && !document.body.hasAttribute("aria-busy"));
      const { paint, largest, settled } = await slow.evaluate(() => new Promise((done) => {
        const settled = performance.now();
        const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
        new PerformanceObserver((list) => done({ paint, settled, largest: list.getEntries().at(-1).startTime })).observe({ type: "largest-contentful-paint", buffered: true });
      }));
      console.error(`${name}: figures after ${Math.round(paint)} ms, largest part ${Math.round(largest)} ms, live ${Math.round(settled)} ms; ${bytes.requests} answers, ${bytes.all} bytes`);
      // The goal is 1,000 ms on a quiet machine; here others are at work.
      assert.ok(paint <= 2_500, `${name}: first figures after ${paint} ms`);
      await fresh.close();
    }
  },

  async "each view loads, shows something in every panel, and axe finds nothing serious"() {
    for (const view of VIEWS) {
      for (const scheme of view === "now" || view === "activity" ? ["light", "dark"] : ["light"]) {
        await page.emulateMedia({ colorScheme: scheme });
        await open(`/?view=${view}`, view);
        const panels = await page.locator(".panel").evaluateAll((all) => all.map((it) => {
          const seen = (selector) => [...it.querySelectorAll(selector)].some((found) => found.checkVisibility());
          return { id: it.id, title: it.querySelector("h2").textContent, isShown: seen(".chart canvas, .rows table, .cards li, .empty, .files a, code"), hasDefinition: seen(".definition") };
        }));
        assert.ok(panels.length >= 1, `${view} has no panel`);
        for (const panel of panels) {
          assert.ok(panel.title && panel.isShown, `${view}: ${panel.id} shows nothing`);
          assert.ok(panel.hasDefinition, `${view}: ${panel.id} has no definition`);
        }
        assert.equal(await page.locator(".problem:visible").count(), 0, `${view} has a problem`);
        assert.equal(await page.locator("h1").count(), 1, view);
        await accessible(`${view}, ${scheme}`);
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
  },

  async "the page shows what the API says"() {
    // Days that are over hardly move.
    const days = "from=2022-02-01&to=2022-02-04";
    const sum = (body, measure, holds = () => true) => body.rows.filter(holds).reduce((all, row) => all + row.figures[measure], 0);
    await open(`/?view=activity&period=custom&${days}`, "activity");
    const activity = () => api(`aggregates/activity?level=england&limit=10000&${days}`);
    await agree("appointments", async () => number(await card("headline", "Appointments")), async () => sum(await activity(), "appointments"));
    const attended = page.locator("#p-by-status tbody tr", { has: page.locator("th", { hasText: "Attended" }) }).locator("td").first();
    const isAttended = (row) => row.dimensions.status === "Attended";
    await agree("attended", async () => number(await attended.innerText()), async () => sum(await activity(), "appointments", isAttended));
    await open(`/?view=capacity&period=custom&${days}`, "capacity");
    const offered = async () => sum(await api(`aggregates/capacity?level=england&${days}`), "minutes_offered");
    await agree("minutes offered", async () => number(await card("capacity", "Offered, minutes")), offered);
    // Records come all the time: what is shown lies between what was told before and after.
    const told = async () => Object.values((await api("ledger")).by_topic).reduce((all, topic) => all + (topic.dispositions.accepted ?? 0), 0);
    const least = await told();
    await open("/?view=ledger", "ledger");
    const accepted = page.locator("#p-ledger tbody tr", { has: page.locator("th", { hasText: "Accepted" }) }).locator("td").first();
    const seen = number(await accepted.innerText());
    const most = await told();
    assert.ok(least <= seen && seen <= most, `accepted: ${least} ≤ ${seen} ≤ ${most}`);
  },

  async "from England to a practice, level by level, and by its code"() {
    await open("/?view=activity", "activity");
    const seen = [];
    for (const level of ["region", "icb", "sub_icb", "pcn", "practice"]) {
      const link = page.locator("#p-below tbody a").first();
      await link.waitFor();
      const name = await link.innerText();
      await link.click();
      await page.waitForFunction((wanted) => new URLSearchParams(location.search).get("level") === wanted && !document.body.hasAttribute("aria-busy"), level);
      await page.locator(".crumbs [aria-current=location]", { hasText: name }).waitFor();
      seen.push(name);
    }
    assert.equal(await page.locator(".crumbs li").count(), 6, seen.join(" › "));
    const code = new URL(page.url()).searchParams.get("code");
    await open("/?view=activity", "activity");
    await page.getByRole("combobox", { name: /Find a practice/ }).fill(code);
    await page.getByRole("option", { name: code }).first().waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForFunction((wanted) => new URLSearchParams(location.search).get("code") === wanted, code);
    await page.locator(".crumbs [aria-current=location]", { hasText: seen.at(-1) }).waitFor();
    await page.goBack();
    await page.waitForFunction(() => !new URLSearchParams(location.search).has("code"));
  },

  async "downloads: the rows as CSV, the chart as PNG"() {
    await open("/?view=capacity", "capacity");
    const panel = page.locator("#p-capacity-days");
    const [rows] = await Promise.all([page.waitForEvent("download"), panel.getByRole("link", { name: /CSV/ }).click()]);
    const text = readFileSync(await rows.path(), "utf8");
    assert.match(text, /^level,code,name,window_start,window_end,slots_offered,/);
    assert.ok(text.trim().split("\n").length > 5, text);
    const [picture] = await Promise.all([page.waitForEvent("download"), panel.getByRole("button", { name: /PNG/ }).click()]);
    assert.match(picture.suggestedFilename(), /\.png$/);
    const bytes = readFileSync(await picture.path());
    assert.equal(bytes.subarray(1, 4).toString(), "PNG");
    assert.ok(bytes.length > 5_000, `${bytes.length} bytes`);
  },

  async "the keyboard reaches the figures first, and a definition opens"() {
    await open("/?view=quality", "quality");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    const definition = page.locator("#p-quality .definition");
    await definition.locator("summary").focus();
    await page.keyboard.press("Enter");
    await definition.getByText("mean of the shares without flaw").first().waitFor();
  },

  async "ten questions, each in at most three clicks"() {
    const view = (name) => ["click", `nav.views a[data-view="${name}"]`];
    const choose = (selector, value) => ["choose", selector, value];
    const link = (selector) => ["click", selector];
    const QUESTIONS = [
      ["appointments per 1,000 registered patients and working day", [view("variation"), choose("#p-funnel-measure", "appointments_per_1000_patients_per_working_weekday")], "#p-variation-list", /Registered patients/],
      ["DNA rate by wait, mode and practice", [view("activity"), choose("#p-crosstab-across", "status"), choose("#p-crosstab-down", "waiting_band")], "#p-crosstab", /DNA[^]*Same Day/],
      ["same-day share, GP against other staff", [view("activity"), choose("#p-crosstab-across", "waiting_band"), choose("#p-crosstab-down", "hcp_type")], "#p-crosstab", /Same Day[^]*Other Practice staff/],
      ["share within 14 days and beyond 28", [view("activity")], "#p-headline", /Within 14 days[^]*\d%[^]*Beyond 28 days[^]*\d%/],
      ["mode mix", [view("activity")], "#p-by-mode", /Face-to-Face[^]*%/],
      ["category mix, share unmapped and inconsistent", [view("activity")], "#p-by-national_category", /Unmapped[^]*%/],
      ["capacity, utilisation, unused minutes", [view("capacity")], "#p-capacity", /Unused, minutes[^]*\d[^]*Utilisation, booked[^]*%/],
      ["forward capacity for the next 1 to 13 weeks", [view("forward"), choose("#p-forward-weeks", "4")], "#p-forward", /Booked of offered|Free, slots/],
      ["season against the same month of earlier years, per working day", [view("season")], "#p-season", /per working weekday[^]*On the year before/],
      ["how far a practice lies from its PCN, ICB and England", [view("variation"), link("#p-variation-list tbody a >> nth=0")], "#p-variation-own", /Against its PCN[^]*Against its ICB[^]*England/],
      ["coverage and data quality by supplier", [view("quality")], "#p-quality-by-supplier", /EMIS[^]*%/],
      ["what changed since the last figure", [view("ledger")], "#p-ledger-finality", /Revision/],
    ];
    for (const [question, clicks, panel, expected] of QUESTIONS) {
      assert.ok(clicks.length <= 3, question);
      await open("/", "now");
      for (const [kind, selector, value] of clicks) {
        if (kind === "choose") await page.locator(selector).selectOption(value);
        else await page.locator(selector).click();
      }
      const end = Date.now() + PATIENCE;
      let text = "";
      while (Date.now() < end) {
        text = await page.locator(panel).innerText().catch(() => "");
        if (expected.test(text)) break;
        await page.waitForTimeout(100);
      }
      assert.match(text, expected, question);
    }
  },

  async "a restart is told, and the page is live again by itself"() {
    await open("/?view=ledger", "ledger");
    isAway = true;
    console.log("restart");
    await page.locator("#connection.lost", { hasText: "lost" }).waitFor();
    await lines.next();
    await page.locator("#connection.back", { hasText: "Connected again" }).waitFor({ timeout: 30_000 });
    await page.locator("#status.ok", { hasText: "live" }).waitFor();
    isAway = false;
    assert.equal(await page.locator(".problem:visible").count(), 0);
    const records = async () => number((await page.locator("#p-ledger .lead").innerText()).split(" ")[0]);
    const least = (await api("ledger")).records;
    await page.waitForFunction((least) => Number(document.querySelector("#p-ledger .lead").textContent.split(" ")[0].replaceAll(",", "")) >= least, least);
    assert.ok(await records() <= (await api("ledger")).records);
  },

  async "without JavaScript the figures are there, too"() {
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const other = await plain.newPage();
    await other.goto(base);
    const england = await api("summary").then((it) => it.england.month.appointments);
    const text = await other.locator("main").innerText();
    assert.match(text, /Regions and integrated care boards/);
    assert.ok(england > 0 && /Every record read ended in exactly one/.test(text), count.format(england));
    await plain.close();
  },
};

let code = 0;
for (const [name, step] of Object.entries(steps)) {
  if (!name.includes(filter)) continue;
  const began = Date.now();
  try {
    await step();
    assert.deepEqual(faults, [], "the page’s own faults");
    console.error(`ok ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    const picture = `${pictures}/${name.replaceAll(/[^a-z]+/gi, "-").slice(0, 60)}.png`;
    await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
    console.error(`FAILED ${name}\n${page.url()}\n${error.message}\n${picture}`);
    code = 1;
    break;
  }
}
await browser.close();
process.exit(code);
