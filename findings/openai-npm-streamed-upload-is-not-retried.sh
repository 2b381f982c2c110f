#!/usr/bin/env bash
# openai (npm) 6.49.0: an upload from createReadStream(), the documented way, is the one upload that is never retried.
# Since 6.47 the client streams such files (chunked, without a Content-Length) instead of reading them into memory, and
# what has been read cannot be sent again: a single 500 or 503 ends the upload, although maxRetries is 2. The same bytes
# as openAsBlob(), toFile() or File are sent three times. Nothing in the call tells the two apart.
# Matters for: uploads of large batch files from scripts; services in front of which a proxy demands a Content-Length.
# Conclusion: for batch files use fs.openAsBlob(path): it streams from the disk too, has a length, and is retried.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact openai@6.49.0

cat >check.mjs <<'JS'
import http from 'node:http';
import OpenAI, { toFile } from 'openai';
import { createReadStream, openAsBlob, readFileSync, writeFileSync } from 'node:fs';
const version = JSON.parse(readFileSync('node_modules/openai/package.json')).version;
console.log(`openai ${version} on Node ${process.version}`);

async function stub(answer) {
  const requests = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part) => { body += part; });
    request.on('end', () => { requests.push({ url: request.url, headers: request.headers, body, at: Date.now() }); answer(request, response, requests.length, body); });
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

process.on('warning', () => {});
writeFileSync('in.jsonl', '{"custom_id":"a"}\n');
const ways = {
  'createReadStream': () => createReadStream('in.jsonl'),
  'openAsBlob': () => openAsBlob('in.jsonl'),
  'toFile(stream)': () => toFile(createReadStream('in.jsonl'), 'in.jsonl'),
};
const seen = {};
for (const [name, file] of Object.entries(ways)) {
  const server = await stub((request, response, count) => (count < 3 ? json(response, 503, {}) : json(response, 200, { id: 'file-1' })));
  const outcome = await new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).files.create({ purpose: 'batch', file: await file() })
    .then((result) => result.id, (error) => error.message);
  seen[name] = server.requests.length;
  console.log(`${name}: ${seen[name]} requests, content-length ${server.requests[0].headers['content-length']}, ${outcome}`);
  server.close();
}
report('3 requests each, the third succeeds', Object.entries(seen).map(([name, count]) => `${name} ${count}`).join(', '),
  seen.createReadStream === 1 && seen.openAsBlob === 3 && seen['toFile(stream)'] === 3);
JS
node check.mjs
