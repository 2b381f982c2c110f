#!/usr/bin/env bash
# @mistralai/mistralai (npm) 2.7.0: inline batch requests written as in a JSONL file go out without their custom_id.
# batch.jobs.create({ requests }) wants `customId` and removes every other field of a request without a word. Whoever
# passes the parsed lines of a batch file, `custom_id` and all, creates a job whose results cannot be told apart. Inside
# `body` nothing is renamed or removed, so max_tokens must keep its underscore there: two conventions in one object.
# Matters for: scripts that turn a JSONL file into an inline job (TypeScript warns, JavaScript does not).
# Conclusion: check the first result for its custom_id before 10,000 more requests go out, or upload a file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @mistralai/mistralai@2.7.0

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { Mistral } from '@mistralai/mistralai';

for (const name of ['@mistralai/mistralai']) {
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

const server = await stub((request, response) => json(response, 500, {}));
const line = JSON.parse('{"custom_id":"ticket-1","body":{"max_tokens":5,"messages":[{"role":"user","content":"x"}]}}');
await new Mistral({ apiKey: 'key', serverURL: server.url }).batch.jobs
  .create({ requests: [line], endpoint: '/v1/chat/completions', model: 'm' }).catch(() => {});
server.close();
const sent = JSON.parse(server.requests[0].body).requests[0];
report('custom_id arrives, or the call is refused', JSON.stringify(sent), !('custom_id' in sent) && sent.body.max_tokens === 5);
JS
node check.mjs
