// What every client must see through the gateway: name -> check. A check throws when it does not hold.
import assert from 'node:assert/strict';
import { text } from './upstream.mjs';

const rejected = async (promise) => {
  try { await promise; } catch (error) { return error; }
  throw new assert.AssertionError({ message: 'no error came' });
};

/// Waits for the upstream to notice that its client has gone.
const until = async (condition, what) => {
  for (const end = Date.now() + 5000; Date.now() < end;) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never: ${what}`);
};

export const behaviours = {
  'whole answer': async ({ client }) => {
    const answer = await client().answer('plain');
    assert.equal(answer.text, text);
    assert.equal(answer.tokens, 11);
  },
  'stream with LF': async ({ client }) => assert.equal((await client().stream('stream-lf')).text, text),
  'stream with CRLF': async ({ client }) => assert.equal((await client().stream('stream-crlf')).text, text),
  'UTF-8 split between pieces': async ({ client }) => assert.equal((await client().stream('split-utf8')).text, text),
  'comments in the stream': async ({ client }) => assert.equal((await client().stream('comments')).text, text),
  'stream without [DONE]': async ({ client }) => assert.equal((await client().stream('no-done')).text, text),
  'error event in the stream': async ({ client }) => {
    const error = await rejected(client().stream('error-in-stream'));
    assert.equal(error.textBefore, 'Grüße, 世界 ');
    assert.match(error.message, /the engine failed/);
  },
  'upstream cut in the stream': async ({ client }) => {
    const error = await rejected(client().stream('cut-socket'));
    assert.ok('Grüße, 世界 '.startsWith(error.textBefore), 'nothing but what was sent');
  },
  'abort of a stream reaches the upstream': async ({ client, upstream }) => {
    const controller = new AbortController();
    const before = upstream.aborted.length;
    const error = await rejected(client().stream('endless', { signal: controller.signal, onText: (sofar) => { if (sofar.length === 5) controller.abort(); } })
      .then((result) => { if (controller.signal.aborted) throw new Error('aborted'); return result; }));
    assert.ok(error);
    await until(() => upstream.aborted.slice(before).includes('endless'), 'the upstream is closed');
  },
  'abort of a waiting request reaches the upstream': async ({ client, upstream }) => {
    const controller = new AbortController();
    const asked = upstream.count('slow');
    const before = upstream.aborted.length;
    const answer = rejected(client().answer('slow', { signal: controller.signal }));
    await until(() => upstream.count('slow') > asked, 'the request is there');
    controller.abort();
    await answer;
    await until(() => upstream.aborted.slice(before).includes('slow'), 'the upstream is closed');
  },
  'refused by the upstream: 400': async ({ client }) => {
    const error = await rejected(client().answer('bad-request'));
    assert.equal(error.status, 400);
    assert.match(error.message, /is not what it should be/);
  },
  'wrong key: 401': async ({ client, upstream }) => {
    const before = upstream.seen.length;
    const error = await rejected(client({ key: 'fx-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }).answer('plain'));
    assert.equal(error.status, 401);
    assert.equal(upstream.seen.length, before, 'nothing reached the upstream');
  },
  'model that the key may not use: 404': async ({ client, upstream }) => {
    const error = await rejected(client().answer('forbidden'));
    assert.equal(error.status, 404);
    assert.match(error.message, /forbidden/);
    assert.equal(upstream.count('forbidden'), 0);
  },
  '429 with Retry-After, then an answer': async ({ client, upstream }) => {
    upstream.attempts.delete('flaky-429');
    const began = Date.now();
    assert.equal((await client({ retries: 2 }).answer('flaky-429')).text, text);
    assert.ok(Date.now() - began >= 900, 'Retry-After was honoured');
  },
  '500, then an answer': async ({ client, upstream }) => {
    upstream.attempts.delete('flaky-500');
    assert.equal((await client({ retries: 2 }).answer('flaky-500')).text, text);
  },
  '503, then an answer': async ({ client, upstream }) => {
    upstream.attempts.delete('flaky-503');
    assert.equal((await client({ retries: 2 }).answer('flaky-503')).text, text);
  },
  '429 for good: status and Retry-After': async ({ client }) => {
    const error = await rejected(client().answer('always-429'));
    assert.equal(error.status, 429);
    assert.equal(error.retryAfter, '3');
  },
  'rate limit headers': async ({ client }) => {
    const { headers } = await client().answer('plain');
    assert.ok(Number(headers.get('x-ratelimit-limit-requests')) > 0);
    assert.ok(Number(headers.get('x-ratelimit-remaining-requests')) >= 0);
    assert.ok(Number(headers.get('x-ratelimit-limit-tokens')) > 0);
    assert.ok(headers.get('x-request-id'));
  },
  'usage at the end of a stream': async ({ client }) => assert.equal((await client().stream('usage')).tokens, 11),
  'tool call in a stream': async ({ client }) => assert.deepEqual(JSON.parse((await client().stream('tools', { tools: true })).arguments), { city: 'Köln' }),
  embeddings: async ({ client }) => assert.deepEqual(await client().embedding('embeddings'), [0.25, -0.5, 1]),
  'list of models: only what the key may use': async ({ client }) => {
    const ids = await client().models();
    assert.ok(ids.includes('plain') && ids.includes('stream-lf'));
    assert.ok(!ids.includes('forbidden'));
  },
};
