import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SseParser } from '../src/api/sse.ts';

const all = (chunks: string[]) => {
  const p = new SseParser();
  return chunks.flatMap((c) => p.push(c));
};

test('events come out whole however the bytes are cut', () => {
  const stream = ': hi\n\nevent: deployment\r\ndata: {"a":1}\r\n\r\ndata: one\rdata: two\r\rdata: [DONE]\n\n';
  const whole = all([stream]);
  assert.deepEqual(whole, [
    { event: 'deployment', data: '{"a":1}' }, { event: 'message', data: 'one\ntwo' }, { event: 'message', data: '[DONE]' },
  ]);
  assert.deepEqual(all([...stream]), whole);
  for (let i = 1; i < stream.length; i++) assert.deepEqual(all([stream.slice(0, i), stream.slice(i)]), whole);
});

test('an event without its closing blank line is dropped', () => {
  assert.deepEqual(all(['data: cut']), []);
  assert.deepEqual(all(['data: cut\n']), []);
});

test('a field without a colon or with no space counts, an unknown one does not', () => {
  assert.deepEqual(all(['data\ndata:x\nid: 7\nfoo: bar\n\n']), [{ event: 'message', data: '\nx' }]);
});

test('an endless event is refused', () => {
  const p = new SseParser();
  assert.throws(() => {
    for (let i = 0; i < 64; i++) p.push('x'.repeat(1 << 17));
  });
});
