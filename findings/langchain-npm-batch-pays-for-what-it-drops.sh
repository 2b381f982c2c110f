#!/usr/bin/env bash
# @langchain/core (npm) 1.4.0 with @langchain/openai 1.5.8: one bad input fails .batch(), yet all others are still sent, paid and dropped.
# Without returnExceptions, model.batch(inputs) rejects with the first error and gives no results at all. The guess is that it
# also stops. Even with maxConcurrency: 1 the queue behind it runs to its end: the remaining requests go out after the
# caller has its exception, and their answers are thrown away.
# Matters for: loops over many rows that catch the exception and try again: each try pays for nearly all rows.
# Conclusion: always pass { returnExceptions: true } as the third argument, and look at each result.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @langchain/core@1.4.0 @langchain/openai@1.5.8

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { ChatOpenAI } from '@langchain/openai';

for (const name of ['@langchain/core', '@langchain/openai']) {
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
const server = await stub((request, response, count, body) => setTimeout(() => (body.includes('row 2') ? json(response, 400, { error: { message: 'too long' } }) : json(response, 200, completion)), 50));
const model = new ChatOpenAI({ apiKey: 'key', model: 'm', configuration: { baseURL: `${server.url}/v1` } });
const rows = Array.from({ length: 20 }, (_, index) => `row ${index + 1} `);
const outcome = await model.batch(rows, { maxConcurrency: 1 }).then((results) => `${results.length} results`, (error) => `rejected: ${error.message.split('\n')[0]}`);
const sentBefore = server.requests.length;
await new Promise((resolve) => setTimeout(resolve, 3_000));
server.close();
report('rejected, and nothing is sent afterwards', `${outcome} after ${sentBefore} requests; ${server.requests.length} requests three seconds later`,
  outcome.startsWith('rejected') && sentBefore < 15 && server.requests.length === 20);
JS
node check.mjs
