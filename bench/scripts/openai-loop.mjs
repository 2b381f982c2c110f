// The loop that a JavaScript programmer writes: some workers that share one client of the openai package.
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';

const [baseURL, path, lines, concurrency] = process.argv.slice(2);
const client = new OpenAI({ apiKey: 'none', baseURL: baseURL.replace(/\/$/, '') });
const bodies = readFileSync(path, 'utf8').trimEnd().split('\n').slice(0, Number(lines)).map((line) => JSON.parse(line).body);

async function send(some) {
  const answers = new Array(some.length);
  let next = 0;
  const worker = async () => {
    while (next < some.length) {
      const index = next++;
      const answer = await client.chat.completions.create(some[index]);
      answers[index] = answer.choices[0].message.content;
    }
  };
  await Promise.all(Array.from({ length: Number(concurrency) }, worker));
  return answers;
}

await send(bodies.slice(0, 2000));
const start = performance.now();
await send(bodies);
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }));
