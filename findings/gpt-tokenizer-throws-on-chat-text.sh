#!/usr/bin/env bash
# gpt-tokenizer (npm) 4.0.0: counting tokens throws on ordinary user text and on ordinary messages.
# Like tiktoken it refuses <|endoftext|> in a text by default; unlike tiktoken also <|im_start|>, <|im_end|> and the other chat
# markers, which are in every prompt about chat templates: countTokens() and even isWithinTokenLimit() throw. encodeChat()
# throws a TypeError for messages that are valid: content as a list of parts, and content null beside tool_calls.
# Matters for: cost estimates over files of real requests: one such line ends the estimate of all.
# Conclusion: count text with { disallowedSpecial: new Set() }, messages part by part; an estimate must never stop at a line.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact gpt-tokenizer@4.0.0 tiktoken@1.0.22

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { countTokens, encodeChat, isWithinTokenLimit } from 'gpt-tokenizer';
import { get_encoding } from 'tiktoken';

for (const name of ['gpt-tokenizer', 'tiktoken']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const call = (action) => { try { return action(); } catch (error) { return error.constructor.name; } };
const text = 'What does <|im_start|>user mean in a prompt?';
const seen = {
  tiktoken: call(() => get_encoding('o200k_base').encode(text).length),
  countTokens: call(() => countTokens(text)),
  isWithinTokenLimit: call(() => isWithinTokenLimit(text, 1000)),
  'with disallowedSpecial empty': call(() => countTokens(text, { disallowedSpecial: new Set() })),
  'content parts': call(() => encodeChat([{ role: 'user', content: [{ type: 'text', text: 'hi' }] }], 'gpt-4o').length),
  'content null': call(() => encodeChat([{ role: 'assistant', content: null, tool_calls: [] }], 'gpt-4o').length),
};
report('numbers everywhere, as from tiktoken', JSON.stringify(seen),
  seen.tiktoken > 0 && seen.countTokens === 'Error' && seen.isWithinTokenLimit === 'Error' && seen.tiktoken === seen['with disallowedSpecial empty'] && seen['content parts'] === 'TypeError' && seen['content null'] === 'TypeError');
JS
node check.mjs
