import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Failover, Traffic } from '../src/api/types.ts';
import { gapOf, momentsOf, ratesOf, withSample } from '../src/traffic.ts';

const sample = (s: number, tokens: number, finished: number): Traffic => ({
  time: new Date(1_000_000 + s * 1000).toISOString(), in_flight: 0, finished, failed: 0, cancelled: 0, limited: 0, retried: 0, resumed: 0, prompt_tokens: 0,
  completion_tokens: tokens, replicas: [], failover: null,
});

test('rates are over what is in the window', () => {
  let samples: Traffic[] = [];
  for (let s = 0; s <= 30; s++) samples = withSample(samples, sample(s, s * 50, s * 2));
  assert.equal(samples.length, 11);
  assert.deepEqual(ratesOf(samples), { tokens: 50, requests: 2 });
});

test('one sample is no rate, and a server that started anew begins anew', () => {
  const samples = withSample(withSample([], sample(0, 500, 5)), sample(1, 600, 6));
  assert.equal(ratesOf(samples.slice(0, 1)), null);
  assert.deepEqual(ratesOf(samples), { tokens: 100, requests: 1 });
  assert.equal(withSample(samples, sample(2, 0, 0)).length, 1);
});

const moved: Failover = {
  began: '2026-11-28T10:00:00Z', model: 'm', stream: true, over: true, error: null, first_token_ms: 100, ended_ms: 900, completion_tokens: 40, attempt_count: 2,
  attempts: [
    { deployment: 'a', place: 'here', began_ms: 0, first_token_ms: 100, ended_ms: 400, from_token: 0, to_token: 15, error: 'upstream' },
    { deployment: 'b', place: 'here', began_ms: 401, first_token_ms: 500, ended_ms: 899, from_token: 15, to_token: 40, error: null },
  ],
};

test('a failover is told in the order of time', () => {
  assert.deepEqual(momentsOf(moved).map((m) => [m.kind, m.atMs, m.tokens]),
    [['asked', 0, 0], ['first', 100, 0], ['broke', 400, 15], ['again', 401, 15], ['first', 500, 15], ['whole', 900, 40]]);
  assert.equal(gapOf(moved), 100);
});

test('one that still runs has no end, and no gap until a token comes', () => {
  const [a, b] = moved.attempts;
  const f: Failover = { ...moved, over: false, ended_ms: null, attempts: [a!, { ...b!, first_token_ms: null, ended_ms: null, to_token: null }] };
  assert.deepEqual(momentsOf(f).map((m) => m.kind), ['asked', 'first', 'broke', 'again']);
  assert.equal(gapOf(f), null);
});
