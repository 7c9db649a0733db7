// The AI SDK (npm `ai`) against a real server: its provider for OpenAI-compatible endpoints, and OpenAI's own over chat completions and responses. Started by node.py. Prints TAP.
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, Output, streamText, tool } from 'ai';
import { z } from 'zod';
import { check, end, key, model, url } from './tap.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const settings = { baseURL: `${url}/v1`, apiKey: key };
const compatible = createOpenAICompatible({ ...settings, name: 'freehold', includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI(settings);
const apis = { compatible: (name) => compatible(name), chat: (name) => openai.chat(name), responses: (name) => openai.responses(name) };
const ask = { prompt: 'Name the capital of France.', maxOutputTokens: 24, temperature: 0, maxRetries: 0 };
const city = z.enum(['Paris', 'Rome']);
const tools = { get_weather: tool({ description: 'The weather in a city', inputSchema: z.strictObject({ city }), execute: ({ city }) => `sunny in ${city}` }) };
const forced = { ...ask, maxOutputTokens: 200, tools, toolChoice: 'required' };
const shape = z.strictObject({ name: city, large: z.boolean() });

// The stream's own error, which the SDK would only print.
function stream(options) {
  let failed;
  const result = streamText({ ...options, onError: ({ error }) => (failed = error) });
  return { result, end: () => { if (failed) throw failed; } };
}

function checkCall(call) {
  assert.equal(call.toolName, 'get_weather');
  assert.deepEqual(Object.keys(call.input), ['city']);
  assert(call.toolCallId && !call.invalid);
}

for (const [api, named] of Object.entries(apis)) {
  const base = { ...ask, model: named(model) };
  await check(`${api}: answers, with usage`, async () => {
    const { text, usage, finishReason } = await generateText(base);
    assert(text && ['stop', 'length'].includes(finishReason));
    assert(usage.outputTokens > 0 && usage.outputTokens <= 24 && usage.totalTokens === usage.inputTokens + usage.outputTokens);
  });
  await check(`${api}: streams, with usage`, async () => {
    const { result, end } = stream(base);
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    end();
    assert(pieces.length > 2);
    assert.equal(pieces.join(''), await result.text);
    assert((await result.usage).outputTokens > 0);
  });
  await check(`${api}: calls a tool, runs it, and gives its result`, async () => {
    const r = await generateText({ ...forced, model: base.model, prepareStep: ({ stepNumber }) => (stepNumber ? { toolChoice: 'none' } : {}), stopWhen: ({ steps }) => steps.length === 2 });
    for (const call of r.steps[0].toolCalls) checkCall(call);
    assert.equal(r.steps[0].finishReason, 'tool-calls');
    assert(r.steps[0].toolResults[0].output.startsWith('sunny in '));
    assert.equal(r.steps.length, 2);
  });
  await check(`${api}: streams the call of a tool`, async () => {
    const { result, end } = stream({ ...forced, model: base.model, toolChoice: { type: 'tool', toolName: 'get_weather' } });
    let deltas = 0;
    for await (const part of result.fullStream) deltas += part.type === 'tool-input-delta';
    end();
    const calls = await result.toolCalls;
    assert(deltas > 0 && calls.length > 0);
    for (const call of calls) checkCall(call);
  });
  await check(`${api}: holds its output to a schema`, async () => {
    const { output } = await generateText({ ...base, maxOutputTokens: 200, output: Output.object({ schema: shape }) });
    shape.parse(output);
  });
  await check(`${api}: streams output that is held to a schema`, async () => {
    const { result, end } = stream({ ...base, maxOutputTokens: 200, output: Output.object({ schema: shape }) });
    let last;
    for await (const partial of result.partialOutputStream) last = partial;
    end();
    shape.parse(last);
  });
  await check(`${api}: errors say what they are`, async () => {
    const is = (status) => (e) => APICallError.isInstance(e) && e.statusCode === status && !e.message.includes('Invalid');
    await assert.rejects(generateText({ ...base, model: named('nothing-like-it') }), is(404));
    await assert.rejects(generateText({ ...base, temperature: 9 }), is(400));
  });
}
end();
