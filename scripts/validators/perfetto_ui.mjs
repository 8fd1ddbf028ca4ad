#!/usr/bin/env node
// Opens a trace in the real Perfetto UI, unfolds all tracks, selects a slice that has a flow, and takes a picture.
// usage: node perfetto_ui.mjs TRACE SHOT.png [FROM_MS TO_MS]     exit code 1 if the page reported errors
import path from 'node:path';
import { withPage } from './browser.mjs';
import { perfetto } from './tools.mjs';

const [trace, shot, from, to] = process.argv.slice(2);
// The middle flow of the time that is shown: its neighbors are in the picture too.
const FLOWS = `select slice_out as id from flow join slice on slice.id = slice_out join trace_bounds
  where ts between start_ts + FROM and start_ts + TO order by ts`;

await withPage(perfetto, async (page, url, errors) => {
  await page.setViewportSize({ width: 1500, height: 1010 });
  await page.goto(`${url}/?testing=1#!/viewer`);
  await page.evaluate(() => localStorage.setItem('dismissedPanningHint', 'true'));
  const input = await page.waitForSelector('input.trace_file', { state: 'attached', timeout: 60_000 });
  await input.setInputFiles(path.resolve(trace));
  await page.waitForFunction(() => window.app?.trace?.engine, null, { timeout: 300_000 });
  const idle = () => page.evaluate(() => window.waitForPerfettoIdle());
  await idle();
  await page.evaluate(async ([flows, from_ms, to_ms]) => {
    const { app } = window;
    const { start, end } = app.trace.traceInfo;
    const from = BigInt(Math.round((from_ms ?? 0) * 1e6));
    const to = to_ms == null ? end - start : BigInt(Math.round(to_ms * 1e6));
    if (app.sidebar?.visible) app.sidebar.toggleVisibility();
    app.commands.runCommand('dev.perfetto.ExpandAllGroups');
    const found = await app.trace.engine.query(flows.replace('FROM', from).replace('TO', to));
    const ids = [];
    for (const row = found.iter({ id: 0 }); row.valid(); row.next()) ids.push(Number(row.id));
    if (ids.length) app.trace.selection.selectSqlEvent('slice', ids[ids.length >> 1]);
    app.trace.timeline.setViewportTime(start + from, start + to);
  }, [FLOWS, from, to]);
  // The selection opens the drawer with its details, which would hide half of the tracks.
  await idle();
  await page.evaluate(() => window.app.commands.runCommand('dev.perfetto.ToggleDrawer'));
  await page.waitForTimeout(1000);
  await idle();
  await page.screenshot({ path: shot });
  const tracks = await page.$$eval('.pf-track__title, .pf-track-title, .pf-track h1',
    (titles) => titles.map((title) => title.textContent.trim()));
  // All of them from the top, whether they are drawn yet or not.
  const order = await page.evaluate(() => {
    const names = (tracks) => tracks.flatMap((track) => [track.name, ...names(track.children)]);
    return names(window.app.trace.workspace.children);
  });
  console.log(JSON.stringify({ tracks, order, errors }, null, 1));
  if (errors.length) process.exitCode = 1;
});
