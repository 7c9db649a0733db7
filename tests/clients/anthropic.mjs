// The official @anthropic-ai/sdk package for Node against a real server. Started by node.py. Prints TAP.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { check, end, engine, key, model, url } from './tap.mjs';

const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
const ask = { model, messages: [{ role: 'user', content: 'Name the capital of France.' }], max_tokens: 24, temperature: 0 };
const weather = {
  name: 'get_weather',
  description: 'The weather of a city',
  input_schema: { type: 'object', properties: { city: { type: 'string', maxLength: 20 } }, required: ['city'], additionalProperties: false },
};

const text = (message) => message.content.map((b) => b.text ?? '').join('');

await check('chats, with usage', async () => {
  const r = await client.messages.create(ask);
  assert.match(text(r), /Paris/);
  assert(r.id.startsWith('msg_') && r._request_id);
  assert(r.usage.input_tokens + r.usage.cache_read_input_tokens > 0 && r.usage.output_tokens > 0);
});
await check('streams the same text, with usage', async () => {
  const whole = await client.messages.create(ask);
  let pieces = 0;
  const stream = client.messages.stream(ask).on('text', () => pieces++);
  const final = await stream.finalMessage();
  assert.equal(text(final), text(whole));
  assert(pieces > 2);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  assert.equal(final.stop_reason, whole.stop_reason);
});
await check('gives the raw events in their order', async () => {
  const names = [];
  for await (const event of await client.messages.create({ ...ask, stream: true })) names.push(event.type);
  assert.equal(names[0], 'message_start');
  assert.equal(names[1], 'content_block_start');
  assert.deepEqual(names.slice(-3), ['content_block_stop', 'message_delta', 'message_stop']);
  assert(names.slice(2, -3).every((n) => n === 'content_block_delta'));
});
await check('stops before the stop sequence, and names it', async () => {
  const whole = text(await client.messages.create(ask));
  const stop = whole.slice(4, 9);
  const r = await client.messages.create({ ...ask, stop_sequences: [stop] });
  assert.equal(text(r), whole.slice(0, whole.indexOf(stop)));
  // llama-server says of a chat that it stopped, and not at what.
  assert.deepEqual([r.stop_reason, r.stop_sequence], engine === 'llama-server' ? ['end_turn', null] : ['stop_sequence', stop]);
});
await check('counts tokens as the answer\'s usage does', async () => {
  const counted = await client.messages.countTokens({ model: ask.model, messages: ask.messages });
  const { usage } = await client.messages.create({ ...ask, max_tokens: 1 });
  assert.equal(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
});
await check('calls a tool that it must call, and takes its result', async () => {
  const r = await client.messages.create({ ...ask, max_tokens: 200, tools: [weather], tool_choice: { type: 'any' } });
  const calls = r.content.filter((b) => b.type === 'tool_use');
  assert.equal(r.stop_reason, 'tool_use');
  assert(calls.length > 0);
  for (const call of calls) assert.deepEqual([call.name, Object.keys(call.input)], ['get_weather', ['city']]);
  const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: [{ type: 'text', text: 'sunny' }] }));
  await client.messages.create({ ...ask, tools: [weather], messages: [...ask.messages, { role: 'assistant', content: r.content }, { role: 'user', content: results }] });
});
await check('streams a tool call', async () => {
  const stream = client.messages.stream({ ...ask, max_tokens: 100, tools: [weather], tool_choice: { type: 'tool', name: 'get_weather', disable_parallel_tool_use: true } });
  let json = '';
  stream.on('inputJson', (piece) => (json += piece));
  const call = (await stream.finalMessage()).content.at(-1);
  assert.deepEqual(JSON.parse(json), call.input);
});
await check('holds its output to a schema', async () => {
  const schema = { type: 'object', properties: { large: { type: 'boolean' } }, required: ['large'], additionalProperties: false };
  const r = await client.messages.create({ ...ask, max_tokens: 100, output_config: { format: { type: 'json_schema', schema } } });
  assert.equal(typeof JSON.parse(text(r)).large, 'boolean');
});
await check('errors arrive as the package\'s own classes', async () => {
  const wrong = new Anthropic({ baseURL: url, apiKey: 'wrong', maxRetries: 0 });
  await assert.rejects(client.messages.create({ ...ask, model: 'nothing-like-it' }), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...ask, messages: [] }), Anthropic.BadRequestError);
  await assert.rejects(client.messages.create({ ...ask, messages: [{ role: 'robot', content: 'x' }] }), (e) => e instanceof Anthropic.BadRequestError && e.requestID && e.error.error.message.startsWith('messages[0].role: '));
  await assert.rejects(wrong.messages.create(ask), Anthropic.AuthenticationError);
});
await check('a stream that the client leaves is cancelled', async () => {
  const stream = await client.messages.create({ ...ask, max_tokens: 4000, stream: true, ignore_eos: true });
  let seen = 0;
  for await (const event of stream) if (++seen === 5) break;
  const begun = performance.now();
  await client.messages.create({ ...ask, max_tokens: 2 });
  assert(performance.now() - begun < 20000);
});
end();
