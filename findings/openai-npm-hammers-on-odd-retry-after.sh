#!/usr/bin/env bash
# openai (npm) 6.49.0: a Retry-After the client cannot use removes the backoff altogether.
# A wait of more than 2^31 ms (a date written as seconds since 1970, or 30 days), a date that has passed, "0" or a
# word: each is handed to setTimeout as it is, which fires after 1 ms. All retries are used up within a few
# milliseconds, so the server that asked for the longest wait gets the quickest retries. A good guess is that an odd
# value falls back to the exponential backoff (0.5 s, 1 s), as it does when the header is missing.
# Matters for: everybody who writes a server or a gateway for this client, and scripts whose two retries are gone.
# Conclusion: send Retry-After as whole seconds between 1 and some minutes, never as a time of day.
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

process.removeAllListeners('warning'); // Node says that the delay does not fit; that is the point
process.on('warning', () => {});
const values = {
  'no header': undefined,
  'seconds since 1970': String(Math.floor(Date.now() / 1000) + 60),
  '30 days': String(30 * 86_400),
  'a date one minute ago': new Date(Date.now() - 60_000).toUTCString(),
  '0': '0',
  'a word': 'soon',
};
const took = {};
for (const [name, value] of Object.entries(values)) {
  const server = await stub((request, response) => json(response, 503, { error: { message: 'busy' } }, value && { 'retry-after': value }));
  await new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).batches.list().catch(() => {});
  took[name] = server.requests.at(-1).at - server.requests[0].at;
  console.log(`${name}: ${server.requests.length} requests within ${took[name]} ms`);
  server.close();
}
const { 'no header': normal, ...odd } = took;
report('every value that makes no sense as a wait leads to the usual backoff of more than a second in all',
  `usual ${normal} ms; with an odd value ${Object.values(odd).join(', ')} ms`,
  normal > 900 && Object.values(odd).every((time) => time < 900));
JS
node check.mjs
