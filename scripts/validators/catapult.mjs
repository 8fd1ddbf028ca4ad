#!/usr/bin/env node
// Loads a Chrome JSON trace into Catapult, the viewer of chrome://tracing, and prints what it made of it as JSON.
// usage: node catapult.mjs TRACE.json [SHOT.png]     exit code 1 if the page reported errors
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { resolvePackage, withPage } from './browser.mjs';
import { perfetto } from './tools.mjs';

const [trace, shot] = process.argv.slice(2);
const assets = path.join(perfetto, 'current/assets');
const bytes = fs.readFileSync(trace);
const text = (trace.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes).toString();

await withPage(assets, async (page, url, errors) => {
  // The viewer was written for HTML imports and custom elements v0, which browsers no longer have.
  await page.addInitScript({ path: path.join(path.dirname(resolvePackage('webcomponents.js/package.json')),
    'webcomponents.min.js') });
  await page.goto(`${url}/catapult_trace_viewer.html`);
  await page.waitForFunction(() => window.tr && document.querySelector('x-profiling-view')?.setActiveTrace, null,
    { timeout: 60_000 });
  await page.evaluate(([name, data]) => document.querySelector('x-profiling-view').setActiveTrace(name, data),
    [path.basename(trace), text]);
  const model = await page.waitForFunction(() => {
    const view = document.querySelector('x-profiling-view');
    return (view.timelineView ?? view.timelineView_ ?? document.querySelector('tr-ui-timeline-view'))?.model;
  }, null, { timeout: 60_000 });
  const summary = await model.evaluate((m) => {
    const slices = {}, processes = {};
    const count = (slice) => { slices[slice.title] = (slices[slice.title] ?? 0) + 1; };
    for (const process of m.getAllProcesses()) {
      processes[process.pid] = { name: process.name, threads: Object.values(process.threads).map((t) => t.name) };
      for (const thread of Object.values(process.threads)) {
        thread.sliceGroup.slices.forEach(count);
        for (const slice of thread.asyncSliceGroup.slices) for (const s of slice.enumerateAllDescendents?.() ?? []) count(s);
        thread.asyncSliceGroup.slices.forEach(count);
      }
    }
    return { importWarnings: m.importWarnings.map((w) => `${w.type}: ${w.message}`), flows: m.flowEvents.length,
      slices, processes };
  });
  if (shot) await page.screenshot({ path: shot });
  // Its toolbar trips over today's shadow DOM with any trace; the model and the timeline do not depend on it.
  const own = errors.filter((error) => !error.includes("null (reading 'querySelector')"));
  console.log(JSON.stringify({ ...summary, errors: own }, null, 1));
  if (own.length) process.exitCode = 1;
});
