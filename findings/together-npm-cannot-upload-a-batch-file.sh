#!/usr/bin/env bash
# together-ai (npm) 0.52.0: files.upload() cannot upload a batch file on Node, in three different ways.
# Its check, on by default, knows training data only and refuses a valid batch file even where the purpose says batch-api.
# As an ES module it says that the file does not exist, whatever the file (its require() of fs is not there). As CommonJS,
# with the check off, Node's fetch refuses the stream it sends. And the address comes from the environment
# (TOGETHER_API_BASE_URL at load time), not from the client's baseURL. The rest of the client works.
# Matters for: whoever moves an OpenAI batch script to Together by changing the client.
# Conclusion: do the two-step upload (POST /files, then PUT to the address in Location) by hand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact together-ai@0.52.0

cat >check.cjs <<'JS'
const { readFileSync } = require('node:fs');
const http = require('node:http');

for (const name of ['together-ai']) {
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

const { writeFileSync } = require('node:fs');
writeFileSync('batch.jsonl', '{"custom_id":"a","body":{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}}\n');
process.on('unhandledRejection', () => {}); // the ES module goes on after its own error
(async () => {
  const other = await stub((request, response) => json(response, 404, {}));
  const server = await stub((request, response) => {
    if (request.method === 'POST') { response.writeHead(302, { location: `${server.url}/put`, 'x-together-file-id': 'file-1' }); response.end(); return; }
    json(response, 200, { id: 'file-1' });
  });
  process.env.TOGETHER_API_BASE_URL = `${server.url}/v1`;
  const upload = (Together, check) => new Together({ apiKey: 'key', baseURL: `${other.url}/v1` }).files.upload('batch.jsonl', 'batch-api', check)
    .then((file) => file.id, (error) => String(error.message ?? error).split('\n')[0]);
  const checked = await upload(require('together-ai'));
  const unchecked = await upload(require('together-ai'), false);
  const module = await upload((await import('together-ai')).default, false);
  other.close();
  server.close();
  report('file-1 each time, asked of the client\'s baseURL',
    `with check: ${checked}; without: ${unchecked}; ES module: ${module}; requests at baseURL: ${other.requests.length}, at the environment's address: ${server.requests.length}`,
    checked.startsWith('Error parsing file') && unchecked.includes('duplex') && module === 'File does not exists' && other.requests.length === 0 && server.requests.length > 0);
})();
JS
node check.cjs
