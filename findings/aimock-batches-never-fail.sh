#!/usr/bin/env bash
# @copilotkit/aimock (npm) 1.43.0: its /v1/batches answers every line with "Mock batch completion", whatever its fixtures say.
# A chat call is answered by the fixture that matches, and with 404 where none does. A batch of the same requests is not run at
# all: each line succeeds with a fixed text, also one whose fixture is an error; there is never an error file, a failed count or a
# validation error. And the batch moves one status on at each GET, not with time, so a second poller makes it faster.
# Matters for: tests of batch code against the mock: the paths for failed and expired rows are never taken.
# Conclusion: test failure paths against a service that really runs the lines; here our own, with `echo?fail=...` as its upstream.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @copilotkit/aimock@1.43.0 openai@6.49.0

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';

for (const name of ['@copilotkit/aimock', 'openai']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const mock = new LLMock({ port: 0 });
await mock.start();
mock.onMessage('hello', { content: 'good morning' });
mock.onMessage('too long', { error: { message: 'context length exceeded', type: 'invalid_request_error' }, status: 400 });
const client = new OpenAI({ apiKey: 'key', baseURL: `${mock.url}/v1`, maxRetries: 0 });
const texts = ['hello', 'too long', 'no fixture'];
const online = [];
for (const content of texts) {
  online.push(await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content }] })
    .then((answer) => answer.choices[0].message.content, (error) => error.status));
}
const lines = texts.map((content, index) => JSON.stringify({ custom_id: `r-${index}`, method: 'POST', url: '/v1/chat/completions', body: { model: 'm', messages: [{ role: 'user', content }] } }));
const file = await client.files.create({ purpose: 'batch', file: new File([lines.join('\n')], 'in.jsonl') });
let batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
const statuses = [batch.status];
await new Promise((resolve) => setTimeout(resolve, 1_000));
while (batch.status !== 'completed' && statuses.length < 10) { batch = await client.batches.retrieve(batch.id); statuses.push(batch.status); }
const output = await (await client.files.content(batch.output_file_id)).text();
const answers = output.trim().split('\n').map((line) => JSON.parse(line).response.body.choices[0].message.content);
await mock.stop();
report('good morning in the output file, two lines in the error file, as online', `online ${online.join(', ')}; batch ${answers.join(', ')}; error file ${batch.error_file_id}; statuses at each poll after 1 s: ${statuses.join(', ')}`,
  online[0] === 'good morning' && online[1] === 400 && online[2] === 404 && answers.length === 3 && answers.every((answer) => answer === 'Mock batch completion')
  && !batch.error_file_id && statuses.join() === 'validating,in_progress,completed');
JS
node check.mjs
