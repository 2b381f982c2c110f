#!/usr/bin/env bash
# @langchain/openai (npm) 1.5.8: OpenAIEmbeddings replaces every line break by a blank before it sends a text.
# stripNewLines is on by default, a habit from the first embedding models. A document embedded in a batch file goes out as it
# is, a query embedded with LangChain does not, so the same text has two vectors and a lookup of an exact copy is not exact.
# Matters for: indexes that are built by batch (half the price) and searched online.
# Conclusion: pass stripNewLines: false, or strip in the batch too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @langchain/core@1.4.0 @langchain/openai@1.5.8

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { OpenAIEmbeddings } from '@langchain/openai';

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

const server = await stub((request, response, count, body) => json(response, 200, { object: 'list', model: 'm', data: JSON.parse(body).input.map((_, index) => ({ object: 'embedding', index, embedding: 'AACAPw==' })) }));
const embeddings = (options) => new OpenAIEmbeddings({ apiKey: 'key', model: 'm', configuration: { baseURL: `${server.url}/v1` }, ...options });
await embeddings().embedDocuments(['def f():\n    return 1\n']);
await embeddings({ stripNewLines: false }).embedDocuments(['def f():\n    return 1\n']);
server.close();
const [stripped, kept] = server.requests.map((request) => JSON.parse(request.body).input[0]);
report('the text as it was given', `${JSON.stringify(stripped)}; with stripNewLines: false ${JSON.stringify(kept)}`,
  stripped === 'def f():     return 1 ' && kept === 'def f():\n    return 1\n');
JS
node check.mjs
