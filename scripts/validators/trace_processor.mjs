#!/usr/bin/env node
// Perfetto's Trace Processor (the official wasm of the Perfetto UI) run in plain node: no browser, no network.
// usage: node trace_processor.mjs TRACE "SQL"...     one JSON line {sql, rows} per query; exit code 1 on an import or SQL error
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { webcrypto } from 'node:crypto';
import { perfetto } from './tools.mjs';

const dist = path.join(perfetto, 'current');
const [trace, ...queries] = process.argv.slice(2);
// Trace Processor takes a trace in pieces; this is the size of one.
const PIECE_BYTES = 8 << 20;

// ---- Protobuf wire format: as much as the RPC of Trace Processor needs.

function varint(n) {
  const bytes = [];
  for (n = BigInt(n); n > 127n; n >>= 7n) bytes.push(Number(n & 127n) | 128);
  return Buffer.from([...bytes, Number(n)]);
}

const bytesField = (field, bytes) => Buffer.concat([varint(field * 8 + 2), varint(bytes.length), Buffer.from(bytes)]);
const varintField = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);

function* varints(bytes) {
  for (let at = 0; at < bytes.length; ) {
    let value = 0n, shift = 0n, byte;
    do {
      byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
    } while (byte > 127);
    yield [value, at];
  }
}

function* fields(bytes) {
  while (bytes.length) {
    const [tag, start] = varints(bytes).next().value;
    bytes = bytes.subarray(start);
    const field = Number(tag >> 3n), wire = Number(tag & 7n);
    let value, size;
    if (wire === 0) [value, size] = varints(bytes).next().value;
    else if (wire === 1) [value, size] = [bytes.subarray(0, 8), 8];
    else if (wire === 5) [value, size] = [bytes.subarray(0, 4), 4];
    else if (wire === 2) {
      const [length, head] = varints(bytes).next().value;
      size = head + Number(length);
      value = bytes.subarray(head, size);
    } else throw new Error(`protobuf wire type ${wire}, expected 0, 1, 2 or 5`);
    yield [field, value];
    bytes = bytes.subarray(size);
  }
}

// ---- engine_bundle.js believes that it runs in a web worker and answers on this port, synchronously.

const replies = [];
const port = { postMessage: (data) => replies.push(Buffer.from(data)), onmessage: null };
const distFile = (url) => fs.readFileSync(path.join(dist, path.basename(String(url))));
const worker = {
  console: { log() {}, warn() {}, error: console.error },
  performance, setTimeout, clearTimeout, queueMicrotask, TextDecoder, TextEncoder, URL,
  crypto: webcrypto,
  location: { href: `file://${path.resolve(dist)}/engine_bundle.js`, search: '', protocol: 'http:' },
  importScripts() {},
  postMessage() {},
  WorkerGlobalScope: class {},
  fetch: async (url) => {
    const file = distFile(url);
    return { ok: true, status: 200,
      arrayBuffer: async () => file.buffer.slice(file.byteOffset, file.byteOffset + file.length) };
  },
  XMLHttpRequest: class {
    open(_method, url) { this.url = url; }
    send() { this.response = new WorkerBytes(distFile(this.url)); this.status = 200; }
  },
};
worker.self = worker.globalThis = worker;
vm.createContext(worker);
const WorkerBytes = vm.runInContext('Uint8Array', worker);
vm.runInContext(distFile('engine_bundle.js').toString(), worker, { filename: 'engine_bundle.js' });
worker.onmessage({ data: port });
// The wasm is compiled synchronously above; its promise settles in a later turn of the event loop.
await new Promise((settled) => setTimeout(settled, 20));

// ---- The RPC (protos/perfetto/trace_processor/trace_processor.proto): request method 2, its arguments 101 and 103;
// answers append 201, query 203, finalize 212.

let sequence = 0;
let failed = false;
const fail = (what, text) => { failed = true; console.error(`${what}: ${text}`); };

function call(method, ...args) {
  const request = Buffer.concat([varintField(1, ++sequence), varintField(2, method), ...args]);
  port.onmessage({ data: new WorkerBytes(bytesField(1, request)) });
  return [...fields(Buffer.concat(replies.splice(0)))].map(([, reply]) => new Map(fields(reply)));
}

/** Calls, and reports field `error` of the answers' field `answer` when it is not empty. */
function callChecked(what, method, answer, error, ...args) {
  for (const reply of call(method, ...args))
    for (const [field, value] of fields(reply.get(answer) ?? []))
      if (field === error && value.length) fail(what, value.toString());
}

/** Cells of one batch (QueryResult.CellsBatch): a type per cell, and the values of each type together. */
function* cells(batch) {
  let types = [], integers = [], strings = [];
  const doubles = [], blobs = [];
  for (const [field, value] of fields(batch)) {
    if (field === 1) types = [...varints(value)].map(([type]) => Number(type));
    else if (field === 2) integers = [...varints(value)].map(([n]) => BigInt.asIntN(64, n));
    else if (field === 3) for (let at = 0; at < value.length; at += 8) doubles.push(value.readDoubleLE(at));
    else if (field === 4) blobs.push(value.toString('hex'));
    else if (field === 5) strings = value.toString().split('\0');
  }
  const exact = (n) => (Number.isSafeInteger(Number(n)) ? Number(n) : n.toString());
  const take = { 1: () => null, 2: () => exact(integers.shift()), 3: () => doubles.shift(),
    4: () => strings.shift(), 5: () => blobs.shift() };
  for (const type of types) yield take[type]();
}

function query(sql) {
  const columns = [], values = [];
  for (const reply of call(3, bytesField(103, bytesField(1, Buffer.from(sql)))))
    for (const [field, value] of fields(reply.get(203) ?? [])) {
      if (field === 1) columns.push(value.toString());
      else if (field === 2 && value.length) fail('SQL error', value.toString());
      else if (field === 3) values.push(...cells(value));
    }
  const rows = [];
  for (let at = 0; at < values.length; at += columns.length)
    rows.push(Object.fromEntries(columns.map((name, i) => [name, values[at + i]])));
  return rows;
}

const file = fs.openSync(trace, 'r');
const piece = Buffer.alloc(PIECE_BYTES);
for (let n; (n = fs.readSync(file, piece)) > 0; )
  callChecked('import error', 1, 201, 2, bytesField(101, piece.subarray(0, n)));
callChecked('import error at the end', 2, 212, 1);
for (const sql of queries) console.log(JSON.stringify({ sql, rows: query(sql) }));
// What is on its way through a pipe goes first: it holds no more than 64 KiB.
process.stdout.write('', () => process.exit(failed ? 1 : 0));
