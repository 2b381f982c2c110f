#!/usr/bin/env bash
# openai (npm) 6.49.0: "400 status code (no body)" is said of answers that have a body, and a good one.
# The client reads `error` and nothing else. A service or gateway that answers {"detail": "..."} (as FastAPI does by
# itself), {"message": "..."} or a list has its whole text thrown away, and the message claims that there was none.
# err.error is undefined too; the text is nowhere in the exception.
# Matters for: everyone who debugs batch creation against a compatible service or a gateway.
# Conclusion: errors of an OpenAI-compatible server must be {"error": {"message"}}, at every layer, also the framework's own.
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

const bodies = [{ detail: 'input_file_id is unknown' }, { message: 'input_file_id is unknown', code: 400 }, [{ error: { message: 'input_file_id is unknown' } }]];
const messages = [];
let kept = 0;
for (const body of bodies) {
  const server = await stub((request, response) => json(response, 400, body));
  const error = await new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).batches.retrieve('batch_1').catch((thrown) => thrown);
  messages.push(error.message);
  kept += JSON.stringify({ ...error, message: error.message }).includes('unknown') ? 1 : 0;
  server.close();
}
report('the message carries the text of the body, or the body itself', `${messages.join(' | ')}; exceptions that hold the text anywhere: ${kept}`,
  messages.every((message) => message === '400 status code (no body)') && kept === 0);
JS
node check.mjs
