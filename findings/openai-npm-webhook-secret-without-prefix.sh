#!/usr/bin/env bash
# openai (npm) 6.49.0 and standardwebhooks (npm) 1.1.1 read the same secret as two different keys.
# Standard Webhooks says: base64, perhaps behind "whsec_". Its library drops the prefix if it is there and decodes the
# rest. OpenAI's client decodes only behind the prefix; without it the characters themselves are the key. So a secret
# kept without "whsec_" signs with one and does not verify with the other, and the client names a wrong signature.
# Matters for: who sends batch.completed events to OpenAI's client or tests a receiver with the reference library.
# Conclusion: keep and show secrets with whsec_ always, and refuse others when a sender is set up.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact openai@6.49.0 standardwebhooks@1.1.1

cat >check.mjs <<'JS'
import OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';
import { readFileSync } from 'node:fs';
const version = JSON.parse(readFileSync('node_modules/openai/package.json')).version;
console.log(`openai ${version} on Node ${process.version}`);

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const key = Buffer.alloc(24, 7).toString('base64');
const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'batch.completed', created_at: 1, data: { id: 'batch_1' } });
const now = new Date();
async function openai(signedWith, verifiedWith) {
  const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': String(Math.floor(now / 1000)), 'webhook-signature': new Webhook(signedWith).sign('msg_1', now, body) };
  new Webhook(verifiedWith).verify(body, headers); // the reference library takes all of them
  return new OpenAI({ apiKey: 'key', webhookSecret: verifiedWith }).webhooks.unwrap(body, headers).then(() => 'verified', (error) => error.constructor.name);
}
const prefixed = await openai(`whsec_${key}`, `whsec_${key}`);
const bare = await openai(key, key);
report('verified both times, as by the reference library', `with whsec_: ${prefixed}; without: ${bare}`,
  prefixed === 'verified' && bare === 'InvalidWebhookSignatureError');
JS
node check.mjs
