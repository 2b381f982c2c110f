#!/usr/bin/env bash
# openai (npm) 6.49.0: the client obeys a Retry-After of any length, and abort() does not end that wait.
# Earlier releases (6.0.0 did) ignored a Retry-After of more than 60 seconds and retried after half a second, so people
# expect that. Now a POST /batches that is answered 429 with "Retry-After: 300" sleeps 300 s before each of its two
# retries: ten minutes, whatever `timeout` says (it covers single attempts), and an AbortSignal is noticed only when
# the sleep is over.
# Matters for: scripts that create batches with this client, and servers that name long waits.
# Conclusion: a server that sends a long Retry-After parks such a script without a word. Our service should send a long
# one only where the client shall really wait that long, and "x-should-retry: false" where it shall give up.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact openai@6.49.0

cat >check.mjs <<'JS'
import http from 'node:http';
import OpenAI from 'openai';
import { readFileSync } from 'node:fs';
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

const create = (server, options) => new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).batches.create(
  { input_file_id: 'file-1', endpoint: '/v1/chat/completions', completion_window: '24h' }, options);

// An abort half a second into a wait of 4 s.
const abort = new AbortController();
let abortedAt;
const short = await stub((request, response) => {
  json(response, 429, { error: { message: 'later' } }, { 'retry-after': '4' });
  setTimeout(() => { abortedAt = Date.now(); abort.abort(); }, 500);
});
await create(short, { signal: abort.signal }).catch((error) => console.log(`aborted: ${error.message}`));
const abortTook = Date.now() - abortedAt;
short.close();

// The sleeps of "Retry-After: 300" are recorded and cut short.
const sleeps = [];
const realTimeout = globalThis.setTimeout;
globalThis.setTimeout = (action, delay, ...rest) => {
  if (delay < 60_000 || delay >= 600_000) { return realTimeout(action, delay, ...rest); }
  sleeps.push(delay);
  return realTimeout(action, 1, ...rest);
};
const long = await stub((request, response) => json(response, 429, { error: { message: 'later' } }, { 'retry-after': '300' }));
await create(long, { timeout: 5_000 }).catch((error) => console.log(`ended: ${error.message}`));
long.close();

report('300 s is over the client\'s limit of 60 s: it retries after 0.5 s. abort() ends a wait at once.',
  `${long.requests.length} requests, sleeps of ${sleeps} ms with timeout: 5000; abort() in a wait of 4 s took effect after ${abortTook} ms`,
  long.requests.length === 3 && sleeps.length === 2 && sleeps.every((delay) => delay === 300_000) && abortTook > 1_500);
JS
node check.mjs
