// The official openai package for Node against a real server. Started by node.py. Prints TAP.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { check, end, key, model, promise, upstream, url } from './tap.mjs';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const ask = { model, messages: [{ role: 'user', content: 'Name the capital of France.' }], max_tokens: 24, temperature: 0 };

await check('lists models', async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert(ids.includes(upstream ? model : 'smollm2-135m'));
});
await check('chats, with usage', async () => {
  const r = await client.chat.completions.create(ask);
  assert.match(r.choices[0].message.content, /Paris/);
  assert.equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens);
});
await check('streams the same text', async () => {
  const whole = await client.chat.completions.create(ask);
  let text = '', pieces = 0, usage;
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
    usage = chunk.usage ?? usage;
    const piece = chunk.choices[0]?.delta?.content ?? '';
    text += piece;
    pieces += piece !== '';
  }
  assert.equal(text, whole.choices[0].message.content);
  assert(pieces > 2);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});
await check('stops before the stop string', async () => {
  const whole = (await client.chat.completions.create(ask)).choices[0].message.content;
  const stop = whole.slice(4, 9);
  const r = await client.chat.completions.create({ ...ask, stop });
  assert.equal(r.choices[0].message.content, whole.slice(0, whole.indexOf(stop)));
  assert.equal(r.choices[0].finish_reason, 'stop');
});
await promise('repeats itself with the same seed', async () => {
  const more = { ...ask, messages: [{ role: 'user', content: 'Tell me a story.' }], temperature: 1 };
  const [a, b] = [await client.chat.completions.create({ ...more, seed: 5 }), await client.chat.completions.create({ ...more, seed: 5 })];
  assert.equal(a.choices[0].message.content, b.choices[0].message.content);
});
await check('gives logprobs', async () => {
  const r = await client.chat.completions.create({ ...ask, max_tokens: 6, logprobs: true, top_logprobs: 2 });
  assert.equal(r.choices[0].logprobs.content.length, r.usage.completion_tokens);
  assert(r.choices[0].logprobs.content.every((t) => t.logprob <= 0 && t.top_logprobs.length === 2));
});
await promise('embeds texts, as numbers and base64', async () => {
  const input = ['A lighthouse warns ships of rocks.', 'The recipe wants two eggs.'];
  const packed = await client.embeddings.create({ model, input }); // the package asks for base64 by itself
  const plain = await client.embeddings.create({ model, input, encoding_format: 'float' });
  assert.deepEqual(packed.data.map((d) => d.index), [0, 1]);
  assert.equal(packed.usage.prompt_tokens, packed.usage.total_tokens);
  for (const i of [0, 1]) {
    const [a, b] = [packed.data[i].embedding, plain.data[i].embedding];
    assert.equal(a.length, 576);
    assert(Math.abs(a.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-4);
    assert(a.every((x, j) => Math.abs(x - b[j]) < 1e-3));
  }
  await assert.rejects(client.embeddings.create({ model, input: [] }), OpenAI.BadRequestError);
});
const city = z.enum(['Paris', 'Rome']);
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather in a city', parameters: z.toJSONSchema(z.strictObject({ city })) } }];
const forced = { ...ask, tools, tool_choice: 'required', parallel_tool_calls: false, max_tokens: 200 };
await check('calls a tool, and takes its result', async () => {
  const { message, finish_reason } = (await client.chat.completions.create(forced)).choices[0];
  assert.equal(finish_reason, 'tool_calls');
  const [call] = message.tool_calls;
  assert.equal(call.function.name, 'get_weather');
  city.parse(JSON.parse(call.function.arguments).city);
  const messages = [...ask.messages, message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }];
  const after = (await client.chat.completions.create({ ...ask, tools, messages })).choices[0].message;
  assert(after.content || after.tool_calls);
});
await check('streams the call of a tool', async () => {
  const final = await client.chat.completions.stream(forced).finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, 'get_weather');
  city.parse(JSON.parse(call.function.arguments).city);
});
await check('holds its output to a schema', async () => {
  const shape = z.strictObject({ name: city, large: z.boolean() });
  const r = await client.chat.completions.parse({ ...ask, max_tokens: 200, response_format: zodResponseFormat(shape, 'city') });
  shape.parse(r.choices[0].message.parsed);
});
const question = { model, input: 'Name the capital of France.', max_output_tokens: 24, temperature: 0 };
await check('responses: answers, and streams the same text', async () => {
  const whole = await client.responses.create(question);
  assert.match(whole.output_text, /Paris/);
  assert.equal(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens);
  let text = '', next = 0, last;
  for await (const event of await client.responses.create({ ...question, stream: true })) {
    assert.equal(event.sequence_number, next++);
    if (event.type === 'response.output_text.delta') text += event.delta;
    last = event;
  }
  assert.equal(text, whole.output_text);
  assert.equal(last.response.output_text ?? last.response.output[0].content[0].text, text);
});
await check('responses: the package\'s stream helper collects the response', async () => {
  const stream = client.responses.stream({ ...question, max_output_tokens: 200 });
  const final = await stream.finalResponse();
  assert.equal(final.status, 'completed');
  assert.match(final.output_text, /Paris/);
});
await check('responses: go on from one another, are read, listed and deleted', async () => {
  const first = await client.responses.create({ ...question, input: 'My name is Alice.' });
  const second = await client.responses.create({ ...question, input: 'And yours?', previous_response_id: first.id });
  assert(second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens);
  assert.deepEqual(await client.responses.retrieve(first.id).then((r) => r.output), first.output);
  const items = [];
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
  assert.equal(items[0].content[0].text, 'My name is Alice.');
  await assert.rejects(client.responses.cancel(first.id), OpenAI.BadRequestError);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ ...question, previous_response_id: second.id }), OpenAI.BadRequestError);
});
await check('errors arrive as the package\'s own classes', async () => {
  await assert.rejects(client.chat.completions.create({ ...ask, model: 'nothing-like-it' }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ ...ask, messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
});
await check('a stream that the client leaves is cancelled', async () => {
  const stream = await client.chat.completions.create({ ...ask, max_tokens: 4000, stream: true, ignore_eos: true });
  let seen = 0;
  for await (const chunk of stream) if (++seen === 5) break;
  const begun = performance.now();
  await client.chat.completions.create({ ...ask, max_tokens: 2 });
  assert(performance.now() - begun < 20000);
});
end();
