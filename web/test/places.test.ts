import { test } from 'node:test';
import assert from 'node:assert/strict';
import { blocksOf, isAddress, isAsk, isLoopback, joinLine, lentOf, presenceOf } from '../src/places.ts';
import type { Deployment, Machine, PoolNode } from '../src/api/types.ts';

const machine: Machine = { name: 'desk', cpu: '', cores: 4, memory_bytes: 32, memory_free_bytes: 20 };
const node = (name: string, more: Partial<PoolNode>): PoolNode => ({
  name, state: 'joined', here: true, ask_micro_per_hour: 0, ask_currency: 'USD', joined: '', seen: null, certificate_expires: null, memory_bytes: 64, memory_free_bytes: 60, sandbox: null, owner: null,
  engines: [], standing: { standing: 42, honesty: 'unknown', reason: null }, facts: {}, ...more,
});
const at = (place: string, state: Deployment['state'], rss: number) => ({ name: `${place}-${rss}`, place, state, rss_bytes: rss }) as Deployment;

test('a machine is as full as it says, and what models have of that is theirs alone', () => {
  const [own, den] = blocksOf(machine, [node('den', {})], [at('here', 'ready', 5), at('node/den', 'loading', 3), at('node/den', 'stopped', 9)]);
  assert.deepEqual([own?.usedBytes, own?.modelBytes, own?.runs.length], [12, 5, 1]);
  assert.deepEqual([den?.usedBytes, den?.modelBytes, den?.runs.length], [4, 3, 1]);
});

test('of a machine that is away the memory is known, and not what is used of it', () => {
  const [den] = blocksOf(null, [node('den', { here: false, memory_bytes: null, memory_free_bytes: null, facts: { memory_bytes: 64 } })], []);
  assert.deepEqual([den?.presence, den?.hasBytes, den?.usedBytes], ['away', 64, null]);
});

test('a machine that its owner does not lend now is here and no place, one that drains stays that', () => {
  const owner = { closed: 'its owner takes it back' };
  assert.deepEqual([presenceOf(node('a', { owner })), presenceOf(node('b', { owner: {} })), presenceOf(node('c', { owner, state: 'draining' }))], ['closed', 'here', 'draining']);
});

test('what an owner allows is one sentence, and nothing where all is allowed', () => {
  assert.equal(lentOf(null), '');
  assert.equal(lentOf({ alone_s: 600 }), '');
  assert.equal(lentOf({ hours: 'sat-sun 00:00-24:00', models: ['a', 'b'], engines: 1, threads: 4 }),
    'Its owner lends it at sat-sun 00:00-24:00, its own time · only for a, b · for 1 engine at once · with 4 threads.');
});

test('the line carries the token through a pipe, and the ask only where there is one', () => {
  assert.equal(joinLine('T', '10.0.0.1', 8471, ''), 'echo T | freehold node join https://10.0.0.1:8471');
  assert.equal(joinLine('T', '[fd00::1]', 8471, '0.35EUR'), 'echo T | freehold node join https://[fd00::1]:8471 --ask 0.35EUR');
});

test('nothing gets into the line that a shell would take for something else', () => {
  for (const good of ['', '1', '0.35', '12.5EUR']) assert.ok(isAsk(good), good);
  for (const bad of ['a', '1;ls', '0.35 eur', '$(ls)', '.5', '1e3', '1eur']) assert.ok(!isAsk(bad), bad);
  for (const good of ['10.0.0.1', 'den.example.com', '[::1]']) assert.ok(isAddress(good), good);
  for (const bad of ['', 'a b', 'x;ls', '`ls`', 'https://x', '$(ls)', '[x]']) assert.ok(!isAddress(bad), bad);
  assert.ok(isLoopback('127.0.0.1') && isLoopback('localhost') && !isLoopback('10.0.0.1'));
});
