#!/usr/bin/env bash
# @openrouter/sdk (npm) 1.3.19: 5xx answers and dead connections are retried for up to an hour, a 429 not once.
# Most clients retry 429 and 5xx alike, two or three times. This one gives up at the first 429, even with a Retry-After of
# one second, and meets a 500 with retries for 3600 s (waits grow to 60 s), for POST requests that may have been served
# and paid for too. It also refuses an ordinary answer of an OpenAI-compatible server that lacks system_fingerprint.
# Matters for: loops over many rows: rate limits fail rows at once, and an outage looks like a script that hangs.
# Conclusion: set retryConfig yourself; an emulator for it must send system_fingerprint, null will do.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @openrouter/sdk@1.3.19

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { OpenRouter } from '@openrouter/sdk';

for (const name of ['@openrouter/sdk']) {
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

const completion = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } };
const chat = (server) => new OpenRouter({ apiKey: 'key', serverURL: server.url }).chat.send({ chatRequest: { model: 'm', messages: [{ role: 'user', content: 'x' }] } })
  .then(() => 'read', (error) => error.constructor.name);
const limited = await stub((request, response) => json(response, 429, { error: { code: 429, message: 'slow down' } }, { 'retry-after': '1' }));
const limit = await chat(limited);
// Time runs fast: every sleep of the client is recorded and skipped, and the clock is set on by it.
let skipped = 0;
const [realTimeout, realNow] = [globalThis.setTimeout, Date.now];
globalThis.setTimeout = (action, delay, ...rest) => { skipped += delay ?? 0; return realTimeout(action, 1, ...rest); };
Date.now = () => realNow() + skipped;
const broken = await stub((request, response) => json(response, 500, { error: { code: 500, message: 'broken' } }));
const outage = await chat(broken);
globalThis.setTimeout = realTimeout;
Date.now = realNow;
const plain = await stub((request, response) => json(response, 200, completion));
const without = await chat(plain);
const full = await stub((request, response) => json(response, 200, { ...completion, system_fingerprint: null }));
const withIt = await chat(full);
for (const server of [limited, broken, plain, full]) { server.close(); }
report('both are tried two to four times', `429: ${limited.requests.length} request, ${limit}; 500: ${broken.requests.length} requests with ${Math.round(skipped / 60_000)} minutes of sleep, ${outage}; without system_fingerprint: ${without}; with: ${withIt}`,
  limited.requests.length === 1 && broken.requests.length > 20 && skipped > 3_000_000 && without === 'ResponseValidationError' && withIt === 'read');
JS
node check.mjs
