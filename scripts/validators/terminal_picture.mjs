#!/usr/bin/env node
// A picture of what a terminal shows: reads the output of `tmux capture-pane -e -p` from standard input.
// usage: tmux capture-pane -e -p | node terminal_picture.mjs SHOT.png [COLUMNS]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withPage } from './browser.mjs';

const [shot, columns = '100'] = process.argv.slice(2);
const COLOURS = ['#1b1f24', '#e5534b', '#57ab5a', '#c69026', '#539bf5', '#b083f0', '#39c5cf', '#adbac7'];
const escape = (text) => text.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** One line as markup; bold, reversed, and the eight colours and their bright ones. */
function line(text) {
  let style = {};
  let out = '';
  for (const part of text.split(/(\x1b\[[0-9;]*m)/)) {
    const codes = /^\x1b\[([0-9;]*)m$/.exec(part)?.[1];
    if (codes === undefined) {
      const [front, back] = style.reversed ? ['#22272e', '#adbac7'] : [style.front ?? '#cdd9e5', 'transparent'];
      out += `<span style="color:${front};background:${back};font-weight:${style.bold ? 700 : 400}">${escape(part)}</span>`;
      continue;
    }
    // A colour of the palette is one of the sixteen.
    const plain = (codes || '0').replace(/38;5;(\d+)/g, (_, n) => Number(n) < 8 ? 30 + Number(n) : 82 + Number(n));
    for (const code of plain.split(';').map(Number)) {
      if (code === 0) style = {};
      else if (code === 1) style.bold = true;
      else if (code === 7) style.reversed = true;
      else if (code >= 30 && code < 38) style.front = COLOURS[code - 30];
      else if (code >= 90 && code < 98) style.front = code === 90 ? '#768390' : COLOURS[code - 90];
      else if (code === 39) delete style.front;
    }
  }
  return out;
}

const lines = fs.readFileSync(0, 'utf8').replace(/\n$/, '').split('\n').map(line);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tracer-terminal-'));
fs.writeFileSync(path.join(folder, 'index.html'), `<!DOCTYPE html><meta charset="utf-8"><style>body{margin:0;background:#22272e}
pre{display:inline-block;margin:0;padding:12px;font:14px/1.25 "DejaVu Sans Mono",monospace;min-width:${columns}ch}</style><pre>${lines.join('\n')}</pre>`);
try {
  await withPage(folder, async (page, url) => {
    await page.goto(url);
    await page.locator('pre').screenshot({ path: shot });
  });
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
