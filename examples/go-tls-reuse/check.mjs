// Every span against what its path says of the connection that it was on, and what a table would have said that knows connections by the
// address of their object: check.mjs SPANS CLIENT SERVER RECEIVER, files. Prints a table; fails when something is wrong or not proven.
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [spansFile, clientFile, serverFile, receiverFile] = process.argv.slice(2);
const { requests, connections, abandoned, pid } = JSON.parse(readFileSync(clientFile, 'utf8'));
const serverPid = Number(/listening (\d+)/.exec(readFileSync(serverFile, 'utf8'))[1]);
const newSide = (name, ownPid) => ({ name, pid: ownPid, times: new Uint8Array(requests + 1), extra: 0, wrong: 0 });
const sides = { 2: newSide('server', serverPid), 3: newSide('client', pid) };
/** By their numbers, as the client's spans tell of them. */
const byNumber = new Map();

for await (const line of createInterface({ input: createReadStream(spansFile) })) {
  for (const { resource, scopeSpans } of JSON.parse(line).resourceSpans ?? []) {
    const ofProcess = Number(valueOf(resource, 'process.pid'));
    for (const span of scopeSpans.flatMap(({ spans }) => spans)) take(span, ofProcess);
  }
}

function valueOf({ attributes }, key) {
  const value = attributes.find((attribute) => attribute.key === key)?.value ?? {};
  return String(value.stringValue ?? value.intValue);
}

function take(span, ofProcess) {
  const side = sides[span.kind];
  const isServer = side === sides[2];
  const path = isServer ? valueOf(span, 'url.path') : new URL(valueOf(span, 'url.full')).pathname;
  const match = /^\/server(\d+)\/(\d+)\/0x([0-9a-f]+)\/(\d+)\/(closed|abandoned)\/(\d+)$/.exec(path);
  if (match === null) return;
  const [, port, clientPort, address, number, end, id] = match;
  // Of the socket: the server's port at both ends, the client's at the server's.
  const isRight =
    ofProcess === side.pid &&
    valueOf(span, 'server.port') === port &&
    valueOf(span, 'network.peer.port') === (isServer ? clientPort : port) &&
    valueOf(span, 'http.response.status_code') === '200';
  if (!isRight) side.wrong++;
  if (side.times[id]++ > 0) side.extra++;
  if (isServer) return;
  const connection = byNumber.get(number);
  if (connection === undefined)
    byNumber.set(number, { number: Number(number), port, address, isClosed: end === 'closed', count: 1 });
  else connection.count++;
}

/** An object whose address is known is the connection that it was, until that one is closed. */
function byAddress() {
  const ports = new Map();
  const table = { reused: 0, wrong: 0 };
  for (const { port, address, isClosed, count } of [...byNumber.values()].sort((a, b) => a.number - b.number)) {
    const known = ports.get(address);
    if (known === undefined) ports.set(address, port);
    else table.reused++;
    if ((known ?? port) !== port) table.wrong += count;
    if (isClosed) ports.delete(address);
  }
  return table;
}

const ledgerLine =
  readFileSync(receiverFile, 'utf8')
    .split('\n')
    .findLast((line) => line.includes('\tLedger\t')) ?? '';
const ledger = JSON.parse(ledgerLine.slice(ledgerLine.indexOf('{')));
const lost = Object.values({ ...ledger.transactions.not_exported, ...ledger.connections.unattributed, ...ledger.bytes.lost });
const table = byAddress();
console.log(`${requests} requests on ${connections} connections, of which ${abandoned} were never closed`);
console.log('| told by | requests seen | missing | twice | wrong |\n| --- | --- | --- | --- | --- |');
let isGood = ledger.balanced && table.wrong > 0;
for (const { name, times, extra, wrong } of Object.values(sides)) {
  const seen = times.reduce((sum, count) => sum + Math.min(count, 1), 0);
  const missing = requests - seen;
  console.log(`| spans of the ${name} | ${seen} | ${missing} | ${extra} | ${wrong} |`);
  const isCounted = missing === 0 || lost.some((count) => count > 0);
  if (missing > requests / 1000 || extra > 0 || wrong > 0 || !isCounted) isGood = false;
}
console.log(`| addresses of connection objects, of which ${table.reused} came again | ${requests} | 0 | 0 | ${table.wrong} |`);
console.log(isGood ? 'good' : 'not good');
if (!isGood || lost.some((count) => count > 0)) console.error(JSON.stringify(ledger));
process.exitCode = isGood ? 0 : 1;
