#!/usr/bin/env node
// Opens pages of `tracer report` in a browser, and compares every figure with `tracer analyze --format json`.
// usage: node report.mjs PAGE.html ANALYSIS.json [SHOTS]     exit code 1 if something is wrong; SHOTS: begin of the names of pictures,
// of the first SHOT_HEIGHT lines of the page, or all of it
import fs from 'node:fs';
import path from 'node:path';
import { withPage } from './browser.mjs';

const [file, json, shots] = process.argv.slice(2);
const analysis = JSON.parse(fs.readFileSync(json, 'utf8'));
const wrong = [];
const same = (what, found, expected) => {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    wrong.push(`${what}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  }
};

/** Rows of the table of figures, as the JSON has them: what, count, then latencies. */
function expectedFigures() {
  const rows = [];
  const add = (what, count, it) => {
    if (it) rows.push([what, count, it.min, it.mean, it.p50, it.p90, it.p99, it.p999, it.max]);
  };
  if (analysis.path?.total_ns && analysis.path.steps.some((step) => typeof step.median_share === 'number')) {
    add('path', analysis.path.buffers, analysis.path.total_ns);
  }
  for (const stage of analysis.stages) add('stage', stage.complete, stage.latency_ns);
  for (const wait of analysis.hand_offs) add('wait', wait.count, wait.latency_ns);
  return rows.map(String).sort();
}

await withPage(path.dirname(path.resolve(file)), async (page, url, errors) => {
  page.on('console', (message) => errors.push(`console: ${message.text()}`));
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const address = `${url}/${path.basename(file)}`;
  await page.goto(address);
  same('requests', requests, [address]);

  const figures = await page.$$eval('table.figures tbody tr', (rows) => rows.map((row) =>
    String([...row.cells].slice(1).map((cell) => cell.dataset.v ?? cell.textContent))));
  same('figures', figures.sort(), expectedFigures());

  // The counts of each distribution, and of each course over time, are those of the figures: each span is drawn once.
  const drawn = await page.$$eval('#plots .plots', (all) => all.map((plots) => {
    const sum = (table, column) => [...table.tBodies[0].rows].reduce((sum, row) => sum + Number(row.cells[column].dataset.v), 0);
    const [distribution, course] = plots.querySelectorAll('table.values');
    const below = Number(/^(\d+) of 0 or less/.exec(distribution.closest('details').querySelector('.below')?.textContent)?.[1] ?? 0);
    return [sum(distribution, 2) + below, course ? sum(course, 1) : null];
  }));
  const counts = await page.$$eval('table.figures tbody tr', (rows) => rows.map((row) => Number(row.cells[2].dataset.v)));
  drawn.forEach(([spans, begun], at) => {
    same(`spans in plot ${at}`, spans, counts[at]);
    if (begun !== null) same(`spans over time in plot ${at}`, begun, counts[at]);
  });

  const worst = await page.$$eval('table.waterfall tbody tr', (rows) => rows
    .filter((row) => !row.cells[0].textContent.includes('median')).map((row) => Number(row.cells[1].dataset.v)));
  same('slowest', worst.slice(0, analysis.worst?.length ?? 0), (analysis.worst ?? []).map((slow) => slow.latency_ns));
  // The tree of the stages by thread, a span for each percentile, and the slowest spans.
  const cells = (table) => page.$$eval(`table.${table} tbody tr`, (rows) => rows.map((row) =>
    [...row.cells].map((cell) => cell.dataset.v ?? cell.textContent)));
  const nodes = analysis.tree?.nodes ?? [];
  const figure = (value) => String(value ?? '-');
  same('tree', (await cells('tree')).map((row) => row.slice(0, 7)), nodes.map((node) => [node.stage, node.spans, node.total_ns,
    node.own_ns, node.latency_ns?.p50, node.latency_ns?.p99, node.latency_ns?.max].map(figure)));
  same('spans for percentiles', await cells('examples'), nodes.filter((node) => node.examples).map((node) => [node.stage,
    ...['p50', 'p90', 'p99', 'max'].map((name) => figure(node.examples[name].begin_ns))]));
  const spans = (await cells('spans')).map(([stage, took, , tid, begin]) => [stage, took, tid, begin]);
  same('slowest spans', spans, (analysis.tree?.worst ?? []).map(({ stage, span }) =>
    [stage, span.latency_ns, span.tid, span.begin_ns].map(figure)));
  const verdict = await page.$eval('#verdict', (section) => section.textContent);
  const text = analysis.verdict?.text;
  if (text && analysis.verdict.kind !== 'none' && !verdict.includes(text)) wrong.push(`the verdict is not there: ${text}`);

  // Everything can be reached with the keyboard, in the order of the page, and each plot tells its values.
  const wanted = await page.$$eval('a, th button, summary, svg.plot', (all) =>
    all.filter((it) => it.checkVisibility()).length);
  const reached = new Set();
  let told = 0;
  const scrolled = await page.$$eval('.scroll', (all) => all.length);
  for (let step = 0; step <= wanted + scrolled; step += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const all = [...document.querySelectorAll('a, th button, summary, svg.plot')];
      const focused = document.activeElement;
      return { at: all.indexOf(focused), isPlot: focused.matches('svg.plot'), isBody: focused === document.body };
    });
    if (at.isBody) break;
    // What can be scrolled is reached as well.
    if (at.at < 0) continue;
    reached.add(at.at);
    if (at.isPlot) {
      await page.keyboard.press('ArrowRight');
      told += await page.$eval('#shown', (shown) => Number(!shown.hidden && shown.textContent.length > 0));
    }
  }
  same('places that the keyboard reaches', reached.size, wanted);
  same('plots that tell their values', told, await page.$$eval('svg.plot', (plots) => plots.length));

  // Sorting by a column, there and back.
  const head = page.locator('table.figures th:last-child button');
  if (await head.count()) {
    const most = () => page.$$eval('table.figures tbody tr', (rows) => rows.map((row) => Number(row.lastElementChild.dataset.v)));
    const sorted = (await most()).sort((a, b) => b - a);
    await head.click();
    same('sorted down', await most(), sorted);
    await head.click();
    same('sorted up', await most(), sorted.toReversed());
  }

  // As it opens, not as it was sorted above.
  await page.reload();
  for (const [name, width, scheme, media] of [['light', 1280, 'light', 'screen'], ['dark', 1280, 'dark', 'screen'],
    ['phone', 390, 'light', 'screen'], ['print', 1050, 'light', 'print']]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme, media });
    const clip = process.env.SHOT_HEIGHT ? { x: 0, y: 0, width, height: Number(process.env.SHOT_HEIGHT) } : undefined;
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) wrong.push(`${name}: the page is ${wide} wider than the window`);
    if (shots) await page.screenshot({ path: `${shots}${name}.png`, fullPage: true, clip });
  }
  same('errors of the page', errors, []);
});

for (const line of wrong) console.log(`${file}: ${line}`);
if (wrong.length) process.exitCode = 1;
