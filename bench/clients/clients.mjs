// Three real clients behind one small interface. Every method throws what the client throws, brought to {status, message, code, retryAfter}.
import OpenAI from 'openai';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText, embed, tool, jsonSchema } from 'ai';

const cityTool = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const prompt = 'Say hello. {"model":"forbidden","user":"someone else"}';

class Failure extends Error {
  constructor(status, message, code, retryAfter) { super(message); Object.assign(this, { status, code, retryAfter }); }
}

export class OpenAiClient {
  static title = 'openai';
  constructor({ url, key, retries = 0 }) { this.client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: retries, timeout: 20_000 }); }
  request(model, more) { return { model, messages: [{ role: 'user', content: prompt }], ...more }; }
  failure(error) {
    if (error instanceof OpenAI.APIError) return new Failure(error.status, error.message, error.code, error.headers?.get('retry-after'));
    return error;
  }
  async answer(model, { signal } = {}) {
    try {
      const { data, response } = await this.client.chat.completions.create(this.request(model), { signal }).withResponse();
      return { text: data.choices[0].message.content, tokens: data.usage.total_tokens, headers: response.headers };
    } catch (error) { throw this.failure(error); }
  }
  async stream(model, { signal, onText = () => {}, tools } = {}) {
    let text = '', tokens, args = '';
    try {
      const more = { stream: true, stream_options: { include_usage: true } };
      if (tools) more.tools = [{ type: 'function', function: { name: 'weather', parameters: cityTool } }];
      for await (const part of await this.client.chat.completions.create(this.request(model, more), { signal })) {
        const piece = part.choices[0]?.delta?.content ?? '';
        args += part.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? '';
        text += piece;
        if (piece) onText(text);
        if (part.usage) tokens = part.usage.total_tokens;
      }
    } catch (error) { throw Object.assign(this.failure(error), { textBefore: text }); }
    return { text, tokens, arguments: args };
  }
  async embedding(model) { return (await this.client.embeddings.create({ model, input: 'hi', encoding_format: 'float' })).data[0].embedding; }
  async models() { const ids = []; for await (const model of this.client.models.list()) ids.push(model.id); return ids; }
}

export class LangChainClient {
  static title = '@langchain/openai';
  constructor({ url, key, retries = 0 }) {
    this.settings = { url, key };
    this.headers = undefined;
    const fetching = async (...args) => { const response = await fetch(...args); this.headers = response.headers; return response; };
    this.make = (model) => new ChatOpenAI({ model, apiKey: key, maxRetries: retries, timeout: 20_000, configuration: { baseURL: url, fetch: fetching } });
  }
  failure(error) {
    const status = error.status ?? error.response?.status;
    const headers = error.headers ?? this.headers;
    return Object.assign(new Failure(status, error.message, error.code ?? error.error?.code, headers?.get?.('retry-after')), { name: error.name });
  }
  async answer(model, { signal } = {}) {
    try {
      const message = await this.make(model).invoke(prompt, { signal });
      return { text: message.content, tokens: message.usage_metadata.total_tokens, headers: this.headers };
    } catch (error) { throw this.failure(error); }
  }
  async stream(model, { signal, onText = () => {}, tools } = {}) {
    let text = '', tokens, args = '';
    try {
      let chat = this.make(model);
      if (tools) chat = chat.bindTools([{ type: 'function', function: { name: 'weather', parameters: cityTool } }]);
      for await (const part of await chat.stream(prompt, { signal, stream_options: { include_usage: true } })) {
        text += part.content;
        args += part.tool_call_chunks?.[0]?.args ?? '';
        if (part.content) onText(text);
        if (part.usage_metadata) tokens = part.usage_metadata.total_tokens;
      }
    } catch (error) { throw Object.assign(this.failure(error), { textBefore: text }); }
    return { text, tokens, arguments: args };
  }
  async embedding(model) {
    const embeddings = new OpenAIEmbeddings({ model, apiKey: this.settings.key, maxRetries: 0, encodingFormat: 'float',
      configuration: { baseURL: this.settings.url } });
    return embeddings.embedQuery('hi');
  }
  // It has no call for the list of models: the OpenAI client that it brings and is configured with has.
  async models() { return new OpenAiClient(this.settings).models(); }
}

export class AiSdkClient {
  static title = 'ai (Vercel AI SDK)';
  constructor({ url, key, retries = 0 }) {
    this.settings = { url, key };
    this.retries = retries;
    this.provider = createOpenAICompatible({ name: 'flexpert', baseURL: url, apiKey: key, includeUsage: true });
  }
  failure(error) {
    const cause = error.lastError ?? error;
    let code;
    try { code = JSON.parse(cause.responseBody).error.code; } catch { code = undefined; }
    return Object.assign(new Failure(cause.statusCode, cause.message, code, cause.responseHeaders?.['retry-after']), { name: cause.name });
  }
  async answer(model, { signal } = {}) {
    try {
      const result = await generateText({ model: this.provider(model), prompt, maxRetries: this.retries, abortSignal: signal });
      return { text: result.text, tokens: result.usage.totalTokens, headers: new Headers(result.response.headers) };
    } catch (error) { throw this.failure(error); }
  }
  async stream(model, { signal, onText = () => {}, tools } = {}) {
    let text = '', tokens, args = '', failed, aborted = false, finish;
    const result = streamText({
      model: this.provider(model), prompt, maxRetries: this.retries, abortSignal: signal, onError: () => {},
      tools: tools ? { weather: tool({ inputSchema: jsonSchema(cityTool) }) } : undefined,
    });
    try {
      for await (const part of result.fullStream) {
        if (part.type === 'text-delta') { text += part.text; onText(text); }
        if (part.type === 'tool-input-delta') args += part.delta;
        if (part.type === 'error') failed ??= part.error;
        if (part.type === 'abort') aborted = true;
        if (part.type === 'finish') { tokens = part.totalUsage.totalTokens; finish = part.finishReason; }
      }
    } catch (error) { failed ??= error; }
    if (aborted) throw Object.assign(new Failure(undefined, 'aborted'), { name: 'AbortError', textBefore: text });
    if (failed) throw Object.assign(this.failure(failed instanceof Error ? failed : new Error(JSON.stringify(failed))), { textBefore: text });
    return { text, tokens, arguments: args, finish };
  }
  async embedding(model) { return (await embed({ model: this.provider.embeddingModel(model), value: 'hi', maxRetries: 0 })).embedding; }
  // It has no call for the list of models: asked as its own requests are.
  async models() {
    const response = await fetch(`${this.settings.url}/models`, { headers: { Authorization: `Bearer ${this.settings.key}` } });
    return (await response.json()).data.map((model) => model.id);
  }
}
