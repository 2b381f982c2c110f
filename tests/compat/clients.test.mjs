// Runs further clients against the service with the echo model (COMPAT_ECHO, COMPAT_KEY): those that read the content type of
// a file, and those that use other addresses than /v1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Groq, { toFile as groqFile } from 'groq-sdk';
import LlamaStackClient, { toFile as llamaFile } from 'llama-stack-client';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import OpenAI4, { toFile as toFile4 } from 'openai-4';

const apiKey = process.env.COMPAT_KEY;
const service = process.env.COMPAT_ECHO.replace(/\/$/, '');
const lines = (count, url) => Array.from({ length: count }, (_, index) => JSON.stringify({
  custom_id: `r-${index + 1}`, method: 'POST', url, body: { model: 'm', messages: [{ role: 'user', content: `prompt ${index + 1}` }] },
}) + '\n').join('');

// The parameters are what differs between the clients.
async function complete(client, makeFile, count, { endpoint = '/v1/chat/completions', url = endpoint } = {}) {
  const file = await client.files.create({ file: await makeFile(Buffer.from(lines(count, url)), 'in.jsonl'), purpose: 'batch' });
  let batch = await client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h' });
  while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    batch = await client.batches.retrieve(batch.id);
  }
  assert.equal(batch.status, 'completed');
  assert.equal(batch.endpoint, '/v1/chat/completions');
  assert.equal(batch.request_counts.completed, count);
  return { file, batch };
}

function check(text, count) {
  assert.equal(typeof text, 'string');
  const answers = text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  assert.deepEqual(answers.map((line) => line.custom_id).sort(), Array.from({ length: count }, (_, index) => `r-${index + 1}`));
}

test('openai 4: files.retrieveContent returns the text', async () => {
  const client = new OpenAI4({ apiKey, baseURL: `${service}/v1` });
  for (const count of [1, 3]) {
    const { file, batch } = await complete(client, toFile4, count);
    check(await client.files.retrieveContent(batch.output_file_id), count);
    check(await client.files.retrieveContent(file.id), count);
    check(await (await client.files.content(batch.output_file_id)).text(), count);
  }
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
});

test('openai: get of the content returns the text', async () => {
  const client = new OpenAI({ apiKey, baseURL: `${service}/v1` });
  for (const count of [1, 3]) {
    const { batch } = await complete(client, toFile, count);
    check(await client.get(`/files/${batch.output_file_id}/content`), count);
    check(await client.get(`/files/${batch.output_file_id}/content`, { headers: { Range: 'bytes=0-' } }), count);
  }
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
  await assert.rejects(client.models.retrieve('meta/none'), (error) => error instanceof OpenAI.NotFoundError && error.code === 'not_found');
});

test('llama-stack-client: files.content returns the text', async () => {
  const client = new LlamaStackClient({ apiKey, baseURL: service });
  for (const count of [1, 3]) {
    const { batch } = await complete(client, llamaFile, count);
    check(await client.files.content(batch.output_file_id), count);
  }
  assert.deepEqual((await client.models.list()).map((model) => model.id), ['echo']);
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
});

test('groq-sdk: files, batches and models', async () => {
  const client = new Groq({ apiKey, baseURL: service });
  const { file, batch } = await complete(client, groqFile, 3);
  check(await (await client.files.content(batch.output_file_id)).text(), 3);
  assert.equal((await client.files.info(file.id)).filename, 'in.jsonl');
  assert.ok((await client.files.list()).data.some((listed) => listed.id === file.id));
  assert.ok((await client.batches.list()).data.some((listed) => listed.id === batch.id));
  assert.equal((await client.files.delete(file.id)).deleted, true);
  assert.deepEqual((await client.models.list()).data.map((model) => model.id), ['echo']);
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
  await assert.rejects(client.models.retrieve('meta/none'), (error) => error instanceof Groq.NotFoundError && error.error.error.code === 'not_found');
  await assert.rejects(client.batches.cancel(batch.id), (error) => error instanceof Groq.ConflictError);
  await assert.rejects(new Groq({ apiKey: 'wrong', baseURL: service }).batches.list(), (error) => error instanceof Groq.AuthenticationError);
});

test('AzureOpenAI: the api-version, the api-key header and endpoints without /v1', async () => {
  const client = new AzureOpenAI({ apiKey, apiVersion: '2025-04-01-preview', baseURL: `${service}/openai/v1` });
  const { file, batch } = await complete(client, toFile, 3, { endpoint: '/chat/completions' });
  check(await (await client.files.content(batch.output_file_id)).text(), 3);
  const listed = [];
  for await (const { id } of client.batches.list({ limit: 1 })) {
    listed.push(id);
  }
  assert.ok(listed.includes(batch.id));
  assert.equal(new Set(listed).size, listed.length);
  assert.equal((await client.models.retrieve('echo')).id, 'echo');
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), (error) => error instanceof OpenAI.NotFoundError && error.code === 'not_found');
  await complete(client, toFile, 1, { endpoint: '/chat/completions', url: '/v1/chat/completions' });
});
