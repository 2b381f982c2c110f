#!/usr/bin/env bash
# @huggingface/inference (npm) 4.13.30: a 503 is retried at once, without a pause and without an end.
# The client takes every 503 for "the model is loading" and asks again immediately, until something else comes. A server
# that loads for a minute, as local model servers do with 503 on every path, gets tens of thousands of requests in that time.
# 500 and 429 are not retried at all. A good guess is a bounded number of retries with a pause.
# Matters for: scripts that point this client at a local server, and that server, which loads on the same processor.
# Conclusion: wait for the server's health before the first call, or pass retry_on_error: false and do it yourself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @huggingface/inference@4.13.30

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { InferenceClient } from '@huggingface/inference';

for (const name of ['@huggingface/inference']) {
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
const chat = (server) => new InferenceClient('hf_key', { endpointUrl: `${server.url}/v1` }).chatCompletion({ model: 'm', messages: [{ role: 'user', content: 'x' }] })
  .then(() => 'answered', (error) => error.constructor.name);
const loading = await stub((request, response, count) => (count <= 100 ? json(response, 503, { error: 'loading' }) : json(response, 200, completion)));
const outcome = await chat(loading);
const took = loading.requests.at(-1).at - loading.requests[0].at;
const limited = await stub((request, response) => json(response, 429, { error: 'slow down' }));
const limit = await chat(limited);
loading.close();
limited.close();
report('a few retries with growing pauses', `${loading.requests.length} requests within ${took} ms, ${outcome}; 429: ${limited.requests.length} request, ${limit}`,
  loading.requests.length === 101 && took < 10_000 && limited.requests.length === 1);
JS
node check.mjs
