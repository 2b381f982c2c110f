#!/usr/bin/env bash
# ai (npm) 6.0.326 with @ai-sdk/openai 3.0.141: generateObject() declares "strict": true over a schema that breaks the strict rules.
# OpenAI's strict mode wants every property in `required` and knows no default. For z.string().optional() and .default() the SDK
# sends strict: true and leaves those properties out of `required`, where OpenAI's own zod helper refuses the schema before
# anything is sent. Online that is one 400 at the first call; copied into a batch it is a 400 on every line.
# Matters for: who takes the body of a call that was logged, or built with the SDK, as the template of a batch.
# Conclusion: check structured-output schemas for the strict rules before a file is sent; use .nullable(), not .optional().
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact ai@6.0.326 @ai-sdk/openai@3.0.141 openai@6.49.0 zod@4.6.7

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { generateObject } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

for (const name of ['ai', '@ai-sdk/openai', 'openai', 'zod']) {
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

const schema = z.object({ label: z.string(), reason: z.string().optional(), score: z.number().default(0) });
const server = await stub((request, response) => json(response, 200, { id: 'c', object: 'chat.completion', created: 1, model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: '{"label":"a"}' }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }));
await generateObject({ model: createOpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).chat('m'), schema, prompt: 'x' });
server.close();
const sent = JSON.parse(server.requests[0].body).response_format.json_schema;
let helper = 'accepts it';
try { zodResponseFormat(schema, 'r'); } catch (error) { helper = 'refuses it'; }
report('required lists all three properties, or strict is false', `strict ${sent.strict}, required ${JSON.stringify(sent.schema.required)}, default ${sent.schema.properties.score.default}; OpenAI's helper ${helper}`,
  sent.strict === true && String(sent.schema.required) === 'label' && sent.schema.properties.score.default === 0 && helper === 'refuses it');
JS
node check.mjs
