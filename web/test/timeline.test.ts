import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stepsOf } from '../src/views/timeline.tsx';
import { parseRoute, routeHash } from '../src/route.ts';
import type { Change, Deployment, State } from '../src/api/types.ts';

const at = (s: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, s)).toISOString();
const change = (id: number, from: State | null, to: State, s: number, reason = ''): Change => ({ id, from, to, time: at(s), reason, hint: null });
const deployment = (state: State, reason = ''): Deployment => ({
  name: 'd', model: 'm', variant: '', place: 'here', state, reason, hint: null, created: at(0), changed: at(0), progress: null, context_tok: 1, streams: 1, pid: null, rss_bytes: 0, load: null,
  sandbox: '', restarts: 0,
});

test('each state that was passed has its time, those ahead have none', () => {
  const steps = stepsOf(deployment('loading'), [change(1, 'requested', 'requested', 0), change(2, 'requested', 'planning', 1), change(3, 'planning', 'provisioning', 3), change(4, 'provisioning', 'loading', 4)]);
  const by = (s: State) => steps.find((x) => x.state === s);
  assert.equal(by('planning')?.tookMs, 2000);
  assert.equal(by('loading')?.now, true);
  assert.equal(by('loading')?.tookMs, null);
  assert.equal(by('ready')?.enteredMs, null);
  assert.equal(by('fetching')?.enteredMs, null);
});

test('a failure stands where it happened and ends the way', () => {
  const steps = stepsOf(deployment('failed', 'no memory'), [change(1, 'requested', 'requested', 0), change(2, 'requested', 'planning', 1), change(3, 'planning', 'failed', 2, 'no memory')]);
  assert.deepEqual(steps.map((s) => s.state), ['requested', 'planning', 'failed']);
  assert.equal(steps.at(-1)?.reason, 'no memory');
});

test('a deployment that heals has its way ahead of it again', () => {
  const steps = stepsOf(deployment('loading', 'the engine ended'), [
    change(1, null, 'requested', 0), change(2, 'requested', 'loading', 1), change(3, 'loading', 'proving', 2), change(4, 'proving', 'ready', 3), change(5, 'ready', 'loading', 60),
  ]);
  assert.deepEqual(steps.filter((s) => s.enteredMs !== null).map((s) => s.state), ['requested', 'loading']);
  assert.equal(steps.find((s) => s.now)?.enteredMs, Date.parse(at(60)));
});

test('only the newest attempt is shown', () => {
  const steps = stepsOf(deployment('planning'), [
    change(1, 'requested', 'requested', 0), change(2, 'requested', 'ready', 5), change(3, 'ready', 'requested', 60), change(4, 'requested', 'planning', 61),
  ]);
  assert.equal(steps.find((s) => s.state === 'ready')?.enteredMs, null);
  assert.equal(steps.find((s) => s.state === 'requested')?.tookMs, 1000);
});

test('the time that its server was off is no time of a step', () => {
  const steps = stepsOf(deployment('planning'), [
    change(1, null, 'requested', 0), change(2, 'requested', 'ready', 5), change(3, 'ready', 'draining', 60), change(4, 'draining', 'requested', 61), change(5, 'requested', 'planning', 4000),
  ]);
  assert.equal(steps.find((s) => s.state === 'requested')?.tookMs, null);
  assert.equal(steps.find((s) => s.state === 'requested')?.enteredMs, Date.parse(at(61)));
});

test('an address that is not ours leads to Models', () => {
  assert.deepEqual(parseRoute(''), { page: 'models', name: '' });
  assert.deepEqual(parseRoute('#/nope/x'), { page: 'models', name: '' });
  assert.deepEqual(parseRoute('#/chat/%E0%A4%A'), { page: 'chat', name: '' });
  assert.deepEqual(parseRoute(routeHash('running', 'a b/c')), { page: 'running', name: 'a b/c' });
});
