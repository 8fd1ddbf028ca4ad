// A web server on loopback for a folder, and a headless browser that reaches nothing but it.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { tools } from './tools.mjs';

// The packages are in the folder of setup.sh, not beside this file.
const require = createRequire(path.join(tools, 'package.json'));
const { chromium } = require('playwright-core');
export const resolvePackage = (name) => require.resolve(name);

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
  '.json': 'application/json', '.png': 'image/png', '.woff2': 'font/woff2' };

function serve(folder) {
  const server = http.createServer((request, response) => {
    let file = path.join(folder, decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    try {
      if (fs.statSync(file).isDirectory()) file = path.join(file, 'index.html');
      const body = fs.readFileSync(file);
      response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server)));
}

// A page takes 20 s. Headless browsers, and the viewers in them, stand still for ever now and then.
const LONGEST_MS = 200_000;

/** Runs `use(page, url, errors)` on a page of a headless browser while `folder` is served at `url`; uncaught errors and
 * dialogs of the page are added to `errors`. A browser that stands still is closed, and `use` run once more in another one: it
 * prints nothing before its end. */
export async function withPage(folder, use) {
  if (await ends(folder, use)) return;
  console.error(`the page was not done after ${LONGEST_MS / 1000} s: once more, in another browser`);
  if (!await ends(folder, use)) throw new Error(`the page was not done after ${LONGEST_MS / 1000} s, twice`);
}

/** The same once: whether it came to an end. */
async function ends(folder, use) {
  const server = await serve(folder);
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tracer-browser-'));
  // No sandbox: the pages are our own, and root in a container may not make one.
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, viewport: { width: 1500, height: 900 },
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  let timer;
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('dialog', (dialog) => { errors.push(dialog.message()); dialog.dismiss(); });
    await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
    const used = use(page, `http://127.0.0.1:${server.address().port}`, errors).then(() => true);
    const late = new Promise((stop) => { timer = setTimeout(stop, LONGEST_MS, false); });
    const done = await Promise.race([used, late]);
    // What it still waits for ends with the browser.
    if (!done) used.catch(() => {});
    return done;
  } finally {
    clearTimeout(timer);
    await browser.close();
    server.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
}
