#!/usr/bin/env bash
# @anthropic-ai/sdk (npm) 1.14.0: one blank line in batch results ends results() with "Unexpected end of JSON input".
# Its JSONL decoder parses each line, an empty one too, and the error reaches the loop after the results before it: all
# that follow are lost to the caller, though they were downloaded. Anthropic's own .NET client skips blank lines, as
# nearly every JSONL reader does. A byte order mark and "\r\n" do no harm.
# Matters for: emulators and proxies that put files together, and programs that write results out as they come.
# Conclusion: never write an empty line between results; collect by custom_id and fetch again what is missing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @anthropic-ai/sdk@1.14.0

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';

for (const name of ['@anthropic-ai/sdk']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

async function stub(answer) {
  const requests = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part) => { body += part; });
    request.on('end', () => { requests.push({ method: request.method, url: request.url, headers: request.headers, body, at: Date.now() }); answer(request, response, requests.length, body); });
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => { server.closeAllConnections(); server.close(); } };
}
const json = (response, status, value, headers) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
};
function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const line = (id) => `${JSON.stringify({ custom_id: id, result: { type: 'canceled' } })}\n`;
async function read(text) {
  const server = await stub((request, response) => {
    if (request.url.endsWith('/results')) { response.end(text); return; }
    json(response, 200, { id: 'msgbatch_1', processing_status: 'ended', results_url: `${server.url}/v1/messages/batches/msgbatch_1/results` });
  });
  const seen = [];
  try {
    for await (const result of await new Anthropic({ apiKey: 'key', baseURL: server.url }).messages.batches.results('msgbatch_1')) { seen.push(result.custom_id); }
  } catch (error) { seen.push(`${error.constructor.name}: ${error.message}`); }
  server.close();
  return seen;
}
const crlf = await read((line('a') + line('b')).replaceAll('\n', '\r\n'));
const blank = await read(`${line('a')}\n${line('b')}`);
report('a, b: the empty line is skipped', `with CRLF: ${crlf}; with an empty line: ${blank}`,
  String(crlf) === 'a,b' && blank[0] === 'a' && blank.length === 2 && blank[1].startsWith('SyntaxError'));
JS
node check.mjs
