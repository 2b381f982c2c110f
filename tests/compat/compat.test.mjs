// Runs OpenAI's npm client through the life cycle of files and batches. The environment has the addresses:
//   COMPAT_ECHO      a service with the echo model and the key COMPAT_KEY
//   COMPAT_STALLED   a service whose upstream answers only "prompt 1"
//   COMPAT_BRIEF     the same, with a completion window of two seconds
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';

const apiKey = process.env.COMPAT_KEY;
const [echo, stalled, brief] = ['COMPAT_ECHO', 'COMPAT_STALLED', 'COMPAT_BRIEF']
  .map((name) => new OpenAI({ apiKey, baseURL: process.env[name] + 'v1' }));
const endpoint = '/v1/chat/completions';
const prompts = (count) => Array.from({ length: count }, (_, index) => `prompt ${index + 1}`);
const lines = (contents) => contents
  .map((content, index) => JSON.stringify({
    custom_id: `r-${index + 1}`, method: 'POST', url: endpoint, body: { model: 'm', messages: [{ role: 'user', content }] },
  }) + '\n')
  .join('');

const upload = async (client, text) => client.files.create({ file: await toFile(Buffer.from(text), 'in.jsonl'), purpose: 'batch' });
const create = (client, file, more) => client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h', ...more });

async function until(client, id, isReached) {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (isReached(batch)) {
      return batch;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const end = (client, id) => until(client, id, (batch) => ['completed', 'failed', 'expired', 'cancelled'].includes(batch.status));

async function results(client, ...ids) {
  const texts = await Promise.all(ids.filter(Boolean).map(async (id) => (await client.files.content(id)).text()));
  return texts.join('').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

async function rejects(promise, type, fields) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.requestID.slice(0, 4), 'req_');
    for (const [name, value] of Object.entries(fields)) {
      assert.equal(error[name], value);
    }
    return true;
  });
}

test('a batch from upload to results', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'compat-'));
  const path = join(folder, 'tickets.jsonl');
  await writeFile(path, lines(prompts(3)));
  const input = await echo.files.create({
    file: createReadStream(path), purpose: 'batch', expires_after: { anchor: 'created_at', seconds: 3600 },
  });
  await rm(folder, { recursive: true });
  assert.equal(input.filename, 'tickets.jsonl');
  assert.equal(input.purpose, 'batch');
  assert.equal(input.expires_at - input.created_at, 3600);
  assert.equal((await echo.files.waitForProcessing(input.id)).status, 'processed');

  const created = await create(echo, input, { metadata: { night: 'über 😀' }, output_expires_after: { anchor: 'created_at', seconds: 7200 } });
  assert.equal(created.status, 'validating');
  const batch = await end(echo, created.id);
  assert.equal(batch.status, 'completed');
  assert.deepEqual(batch.request_counts, { total: 3, completed: 3, failed: 0 });
  assert.deepEqual(batch.metadata, { night: 'über 😀' });
  assert.equal(batch.model, 'm');
  assert.equal(batch.error_file_id, null);
  assert.ok(batch.usage.total_tokens > 0);

  const answers = Object.fromEntries((await results(echo, batch.output_file_id))
    .map((line) => [line.custom_id, line.response.body.choices[0].message.content]));
  assert.deepEqual(answers, { 'r-1': 'prompt 1', 'r-2': 'prompt 2', 'r-3': 'prompt 3' });
  const output = await echo.files.retrieve(batch.output_file_id);
  assert.equal(output.purpose, 'batch_output');
  assert.equal(output.expires_at - output.created_at, 7200);
  assert.deepEqual(await echo.files.delete(input.id), { id: input.id, object: 'file', deleted: true });
  await rejects(echo.files.retrieve(input.id), OpenAI.NotFoundError, { status: 404, code: 'not_found', param: 'id' });
});

test('lists return every item once, newest first, page by page', async () => {
  const input = await upload(echo, lines(prompts(1)));
  const created = [];
  for (let i = 0; i < 5; i++) {
    created.unshift((await create(echo, input)).id);
  }
  const listed = [];
  for await (const batch of echo.batches.list({ limit: 2 })) {
    listed.push(batch.id);
  }
  assert.deepEqual(listed.slice(0, 5), created);
  assert.equal(new Set(listed).size, listed.length);

  const page = await echo.batches.list({ limit: 2, after: created[1] });
  assert.deepEqual(page.data.map((batch) => batch.id), created.slice(2, 4));
  assert.ok(page.hasNextPage());

  await Promise.all(created.map((id) => end(echo, id)));
  const files = [];
  for await (const file of echo.files.list({ limit: 3, order: 'asc', purpose: 'batch_output' })) {
    files.push(file);
  }
  assert.ok(files.length >= 5);
  assert.ok(files.every((file) => file.purpose === 'batch_output'));
  assert.deepEqual(files.map((file) => file.created_at), files.map((file) => file.created_at).sort((a, b) => a - b));
});

test('a cancelled batch keeps its results', async () => {
  const batch = await create(stalled, await upload(stalled, lines(prompts(3))));
  const running = await until(stalled, batch.id, (now) => now.request_counts.completed === 1);
  assert.equal(running.status, 'in_progress');
  const partial = await stalled.files.content(running.output_file_id);
  assert.equal(partial.headers.get('x-incomplete'), 'true');
  assert.equal(partial.headers.get('x-last-line'), '1');
  assert.equal(JSON.parse(await partial.text()).custom_id, 'r-1');
  await rejects(stalled.files.delete(batch.input_file_id), OpenAI.ConflictError, { status: 409, code: 'file_in_use' });

  assert.match((await stalled.batches.cancel(batch.id)).status, /^cancell(ing|ed)$/);
  const ended = await end(stalled, batch.id);
  assert.equal(ended.status, 'cancelled');
  assert.ok(ended.cancelling_at <= ended.cancelled_at);
  assert.deepEqual((await results(stalled, ended.output_file_id)).map((line) => line.custom_id), ['r-1']);
  assert.deepEqual((await results(stalled, ended.error_file_id)).map((line) => line.error.code), ['batch_cancelled', 'batch_cancelled']);
  assert.equal((await stalled.batches.cancel(batch.id)).status, 'cancelled');
});

test('a batch expires at the end of its window', async () => {
  const batch = await end(brief, (await create(brief, await upload(brief, lines(prompts(3))))).id);
  assert.equal(batch.status, 'expired');
  assert.ok(batch.expired_at >= batch.expires_at);
  const found = await results(brief, batch.output_file_id, batch.error_file_id);
  assert.deepEqual(found.map((line) => line.custom_id).sort(), ['r-1', 'r-2', 'r-3']);
  const errors = found.filter((line) => line.error);
  assert.ok(errors.length >= 2);
  for (const { error, response } of errors) {
    assert.equal(response, null);
    assert.deepEqual(error, { code: 'batch_expired', message: 'This request could not be executed before the completion window expired.' });
  }
});

test('an invalid file fails the batch', async () => {
  const twice = lines(['one']) + 'no json\n\n' + lines(['two']);
  const batch = await end(echo, (await create(echo, await upload(echo, twice))).id);
  assert.equal(batch.status, 'failed');
  assert.equal(batch.errors.object, 'list');
  assert.deepEqual(batch.errors.data.map(({ code, line }) => [code, line]), [['invalid_json_line', 2], ['duplicate_custom_id', 4]]);
  assert.equal(batch.output_file_id, null);
});

test('errors have the classes of the client', async () => {
  const input = await upload(echo, lines(prompts(1)));
  await rejects(create(echo, input, { endpoint: '/v1/images' }), OpenAI.BadRequestError,
    { status: 400, code: 'invalid_value', param: 'endpoint', type: 'invalid_request_error' });
  await rejects(create(echo, input, { completion_window: '1h' }), OpenAI.BadRequestError, { code: 'invalid_value', param: 'completion_window' });
  await rejects(create(echo, input, { metadata: { a: 1 } }), OpenAI.BadRequestError, { code: 'invalid_type', param: 'metadata' });
  await rejects(create(echo, { id: 'file-none' }), OpenAI.BadRequestError, { code: 'file_not_found', param: 'input_file_id' });
  await rejects(echo.files.create({ file: await toFile(Buffer.from('{}'), 'in.txt'), purpose: 'batch' }), OpenAI.BadRequestError, { param: 'file' });
  await rejects(echo.files.create({ file: await toFile(Buffer.from('{}'), 'in.jsonl'), purpose: 'vision' }), OpenAI.BadRequestError, { param: 'purpose' });
  await rejects(echo.batches.list({ limit: 101 }), OpenAI.BadRequestError, { code: 'invalid_value', param: 'limit' });
  await rejects(echo.batches.retrieve('batch_none'), OpenAI.NotFoundError, { code: 'not_found', param: 'id' });
  await rejects(echo.files.content('file-none'), OpenAI.NotFoundError, { code: 'not_found' });
  await rejects(echo.batches.cancel('batch_none'), OpenAI.NotFoundError, { code: 'not_found' });

  const { id } = await create(echo, input);
  await end(echo, id);
  await rejects(echo.batches.cancel(id), OpenAI.ConflictError, { status: 409, code: 'batch_not_cancellable' });
  await rejects(echo.withOptions({ apiKey: 'wrong' }).batches.list(), OpenAI.AuthenticationError,
    { status: 401, code: 'invalid_api_key', type: 'authentication_error' });
});

test('models are listed', async () => {
  const models = [];
  for await (const model of echo.models.list()) {
    models.push(model.id);
  }
  assert.deepEqual(models, ['echo']);
});
