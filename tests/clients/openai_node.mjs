// The official openai package for Node against a real server. Started by openai_node.py, which gives OPENAI_PACKAGE, BASE_URL and KEY. Prints TAP.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { default: OpenAI } = await import(pathToFileURL(process.env.OPENAI_PACKAGE).href);
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.KEY, maxRetries: 0 });
const ask = { model: 'smollm2', messages: [{ role: 'user', content: 'Name the capital of France.' }], max_tokens: 24, temperature: 0 };
let count = 0, failed = 0;

async function check(name, fn) {
  count++;
  try {
    await fn();
    console.log(`ok ${count} - ${name}`);
  } catch (e) {
    failed++;
    console.log(`not ok ${count} - ${name}`);
    for (const line of String(e.stack).split('\n').slice(0, 8)) console.log('#', line);
  }
}

await check('lists models', async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert(ids.includes('smollm2-135m'));
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
await check('repeats itself with the same seed', async () => {
  const more = { ...ask, messages: [{ role: 'user', content: 'Tell me a story.' }], temperature: 1 };
  const [a, b] = [await client.chat.completions.create({ ...more, seed: 5 }), await client.chat.completions.create({ ...more, seed: 5 })];
  assert.equal(a.choices[0].message.content, b.choices[0].message.content);
});
await check('gives logprobs', async () => {
  const r = await client.chat.completions.create({ ...ask, max_tokens: 6, logprobs: true, top_logprobs: 2 });
  assert.equal(r.choices[0].logprobs.content.length, r.usage.completion_tokens);
  assert(r.choices[0].logprobs.content.every((t) => t.logprob <= 0 && t.top_logprobs.length === 2));
});
await check('embeds texts, as numbers and base64', async () => {
  const input = ['A lighthouse warns ships of rocks.', 'The recipe wants two eggs.'];
  const packed = await client.embeddings.create({ model: 'smollm2', input }); // the package asks for base64 by itself
  const plain = await client.embeddings.create({ model: 'smollm2', input, encoding_format: 'float' });
  assert.deepEqual(packed.data.map((d) => d.index), [0, 1]);
  assert.equal(packed.usage.prompt_tokens, packed.usage.total_tokens);
  for (const i of [0, 1]) {
    const [a, b] = [packed.data[i].embedding, plain.data[i].embedding];
    assert.equal(a.length, 576);
    assert(Math.abs(a.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-4);
    assert(a.every((x, j) => Math.abs(x - b[j]) < 1e-3));
  }
  await assert.rejects(client.embeddings.create({ model: 'smollm2', input: [] }), OpenAI.BadRequestError);
});
const question = { model: 'smollm2', input: 'Name the capital of France.', max_output_tokens: 24, temperature: 0 };
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
  await assert.rejects(new OpenAI({ baseURL: process.env.BASE_URL, apiKey: 'wrong', maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
});
await check('a stream that the client leaves is cancelled', async () => {
  const stream = await client.chat.completions.create({ ...ask, max_tokens: 4000, stream: true, ignore_eos: true });
  let seen = 0;
  for await (const chunk of stream) if (++seen === 5) break;
  const begun = performance.now();
  await client.chat.completions.create({ ...ask, max_tokens: 2 });
  assert(performance.now() - begun < 20000);
});
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
