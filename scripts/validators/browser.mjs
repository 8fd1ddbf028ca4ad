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

/** Runs `use(page, url, errors)` on a page of a headless browser while `folder` is served at `url`; uncaught errors and
 * dialogs of the page are added to `errors`. */
export async function withPage(folder, use) {
  const server = await serve(folder);
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tracer-browser-'));
  // No sandbox: the pages are our own, and root in a container may not make one.
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, viewport: { width: 1500, height: 900 },
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('dialog', (dialog) => { errors.push(dialog.message()); dialog.dismiss(); });
    await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
    await use(page, `http://127.0.0.1:${server.address().port}`, errors);
  } finally {
    await browser.close();
    server.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
}
