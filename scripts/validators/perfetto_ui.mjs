#!/usr/bin/env node
// Opens a trace in the real Perfetto UI, unfolds all tracks, selects a slice that has a flow, and takes a picture.
// usage: node perfetto_ui.mjs TRACE SHOT.png     exit code 1 if the page reported errors
import path from 'node:path';
import { withPage } from './browser.mjs';
import { perfetto } from './tools.mjs';

const [trace, shot] = process.argv.slice(2);
await withPage(perfetto, async (page, url, errors) => {
  await page.goto(`${url}/?testing=1#!/viewer`);
  await page.evaluate(() => localStorage.setItem('dismissedPanningHint', 'true'));
  const input = await page.waitForSelector('input.trace_file', { state: 'attached', timeout: 60_000 });
  await input.setInputFiles(path.resolve(trace));
  await page.waitForFunction(() => window.app?.trace?.engine, null, { timeout: 300_000 });
  const idle = () => page.evaluate(() => window.waitForPerfettoIdle());
  await idle();
  await page.evaluate(async () => {
    const { app } = window;
    if (app.sidebar?.visible) app.sidebar.toggleVisibility();
    app.commands.runCommand('dev.perfetto.ExpandAllGroups');
    const flow = await app.trace.engine.query('select slice_out as id from flow order by slice_out limit 1');
    if (flow.numRows() > 0) app.trace.selection.selectSqlEvent('slice', Number(flow.firstRow({ id: 0 }).id));
  });
  await page.waitForTimeout(500);
  await idle();
  await page.screenshot({ path: shot });
  const tracks = await page.$$eval('.pf-track__title, .pf-track-title, .pf-track h1',
    (titles) => titles.map((title) => title.textContent.trim()));
  console.log(JSON.stringify({ tracks, errors }, null, 1));
  if (errors.length) process.exitCode = 1;
});
