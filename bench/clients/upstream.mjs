// An OpenAI-compatible upstream whose behaviour is chosen by the model's name. Tells what reached it: see `seen`.
import http from 'node:http';

export const models = ['plain', 'stream-lf', 'stream-crlf', 'split-utf8', 'comments', 'no-done', 'error-in-stream', 'cut-socket', 'endless', 'slow',
  'bad-request', 'flaky-429', 'flaky-500', 'flaky-503', 'always-429', 'tools', 'usage', 'embeddings', 'forbidden'];

export const text = 'Grüße, 世界 🚀 done';
const words = ['Grüße, ', '世界 ', '🚀 ', 'done'];

const chunk = (model, delta, more = {}) => ({
  id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason: null }], ...more,
});
const event = (value, end = '\n') => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}${end}${end}`;
const last = (model) => ({ ...chunk(model, {}), choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
const usage = { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 };

export class Upstream {
  constructor() {
    this.seen = [];       // {model, path, headers, body}
    this.aborted = [];    // models whose client went away before the answer's end
    this.attempts = new Map();
    this.server = http.createServer((request, response) => {
      const pieces = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => this.answer(request, response, Buffer.concat(pieces).toString()).catch((error) => response.destroy(error)));
    });
    this.server.keepAliveTimeout = 60_000;
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this.server.address().port;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  count(model) { return this.seen.filter((request) => request.model === model).length; }

  async answer(request, response, body) {
    if (request.method === 'GET') {
      response.setHeader('Content-Type', 'application/json');
      if (request.url !== '/v1/models') return response.end('{"status":"ok"}');
      return response.end(JSON.stringify({ object: 'list', data: models.map((id) => ({ id, object: 'model', created: 1, owned_by: 'test' })) }));
    }
    const asked = JSON.parse(body);
    const model = asked.model;
    const attempt = (this.attempts.get(model) ?? 0) + 1;
    this.attempts.set(model, attempt);
    this.seen.push({ model, path: request.url, headers: request.headers, body: asked });
    response.on('close', () => { if (!response.writableEnded) this.aborted.push(model); });

    const json = (status, value, headers = {}) => {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
      response.end(JSON.stringify(value));
    };
    const fail = (status, message, code, headers) => json(status, { error: { message, type: 'test_error', param: 'messages', code } }, headers);

    if (model === 'bad-request') return fail(400, 'messages: is not what it should be', 'bad_messages');
    if (model === 'flaky-429' && attempt === 1) return fail(429, 'slow down', 'rate_limit_exceeded', { 'Retry-After': '1' });
    if (model === 'flaky-500' && attempt === 1) return fail(500, 'something broke', 'internal');
    if (model === 'flaky-503' && attempt === 1) return fail(503, 'overloaded', 'overloaded', { 'Retry-After': '1' });
    if (model === 'always-429') return fail(429, 'never', 'rate_limit_exceeded', { 'Retry-After': '3' });
    if (model === 'embeddings')
      return json(200, { object: 'list', model, usage: { prompt_tokens: 2, total_tokens: 2 }, data: [{ object: 'embedding', index: 0, embedding: [0.25, -0.5, 1] }] });
    if (model === 'slow') return;  // answers never: the client will go away

    if (!asked.stream)
      return json(200, { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model, usage,
        choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: text } }] });

    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-cache' });
    const flush = () => new Promise((resolve) => setImmediate(resolve));
    const send = async (piece) => { if (!response.destroyed) response.write(piece); await flush(); };

    if (model === 'endless') {
      for (let i = 0; !response.destroyed && i < 100_000; ++i) {
        await send(event(chunk(model, { content: 'x' })));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return;
    }
    if (model === 'tools') {
      const call = (part) => chunk(model, { tool_calls: [{ index: 0, ...part }] });
      await send(event(chunk(model, { role: 'assistant', content: null })));
      await send(event(call({ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } })));
      for (const piece of ['{"ci', 'ty":"Kö', 'ln"}']) await send(event(call({ function: { arguments: piece } })));
      await send(event({ ...chunk(model, {}), choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }));
      return response.end(event('[DONE]'));
    }
    const end = model === 'stream-crlf' ? '\r\n' : '\n';
    if (model === 'split-utf8') {
      const bytes = Buffer.from(words.map((word) => event(chunk(model, { content: word }))).join('') + event(last(model)) + event('[DONE]'));
      for (let i = 0; i < bytes.length; ++i) await send(bytes.subarray(i, i + 1));
      return response.end();
    }
    await send(event(chunk(model, { role: 'assistant', content: '' }), end));
    for (const [i, word] of words.entries()) {
      if (model === 'comments') await send(`: comment ${i}\n\n:another\n\n`);
      await send(event(chunk(model, { content: word }), end));
      if (i === 1 && model === 'error-in-stream') {
        await send(event({ error: { message: 'the engine failed', type: 'server_error', param: null, code: 'engine_failed' } }));
        return response.end();
      }
      if (i === 1 && model === 'cut-socket') return response.socket.destroy();
    }
    await send(event(last(model), end));
    if (asked.stream_options?.include_usage) await send(event({ ...chunk(model, {}), choices: [], usage }, end));
    if (model !== 'no-done') await send(event('[DONE]', end));
    response.end();
  }
}
