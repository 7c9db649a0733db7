import { test } from 'node:test';
import assert from 'node:assert/strict';
import { against, bestOf, isTrust, mayRead, ranked, rowsOf, usualLimit, weightsOf } from '../src/plans.ts';
import type { Plan, PoolNode, Provider, Ranking } from '../src/api/types.ts';

const plan = (place: string, more: Partial<Plan>): Plan => ({
  place, name: null, source: null, region: null, read_by: 'rented', owned_by: null, spot: false, host: '8 x H200', variant: null, scored: true, needs_bytes: null, streams_max: null, tokens_per_second: null, first_token_ms: null,
  uj_per_million: null, measured_runs: 0, tokens_per_second_low: null, tokens_per_second_high: null, ul_per_million: null, hour_nusd: 1e9, nusd_per_million: 1e9, ready_s: 0, start_nusd: 0, ...more,
});
const ranking = (plans: Plan[], unpriced: string[] = []): Ranking => ({
  model: 'm', context_tok: 1, streams: 1, fit: plans.length, why: '', plans, providers: [], refused: [], unpriced, break_even: null, smallest: null,
});
const node = (name: string, owner: string | null = null) => ({ name, owned_by: owner, here: true, state: 'joined', ask_micro_per_hour: 350_000, ask_currency: 'EUR' }) as PoolNode;
const places = (rows: { place: string }[]) => rows.map((r) => r.place);

test('the same offer in several rankings is one row, and what cannot be planned for stands behind', () => {
  const a = plan('provider/a', {});
  const rows = rowsOf([ranking([a, plan('here', { hour_nusd: 0 })], ['node/den']), ranking([a])], [node('den')], [{ name: 'lab', kind: 'slurm' }, { name: 'full', kind: 'vast' }] as Provider[]);
  assert.deepEqual(places(rows), ['pool', 'provider/a', 'here', 'node/den', 'provider/lab']);
  assert.deepEqual(rows.map((r) => r.kind), ['pool', 'rented', 'own', 'pool', 'got']);
  assert.deepEqual(rows[3]?.ask, { hour: 0.35, currency: 'EUR' });
  assert.deepEqual(places(ranked(rows, 0)).slice(0, 2), ['here', 'provider/a']);
});

test('who may not read is no place, planned for or not', () => {
  const all = [[ranking([plan('here', { read_by: 'own' })])], [node('den', 'alice'), node('lab', 'bob')], [{ name: 'box', kind: 'ssh' }] as Provider[]] as const;
  const under = (trust?: string) => places(rowsOf([...all[0]], [...all[1]], all[2], trust));
  assert.deepEqual(under(), ['pool', 'here', 'node/den', 'node/lab', 'provider/box']);
  assert.deepEqual(under('own'), ['here']);
  assert.deepEqual(under('owner/alice, provider/box'), ['pool', 'here', 'node/den', 'provider/box']);
  assert.equal(mayRead('node/de', 'node/den', null), false);
  assert.ok(isTrust('own, node/den,owner/a-1') && !isTrust('node/') && !isTrust('den') && !isTrust('own,') && !isTrust('Owner/a'));
});

test('the pool as a whole costs what its cheapest machine does', () => {
  const rows = rowsOf([ranking([plan('node/dear', { hour_nusd: 9e9, nusd_per_million: 9e9 }), plan('node/cheap', {})])], [node('dear'), node('cheap')], []);
  assert.equal(rows[0]?.place, 'pool');
  assert.equal(rows[0]?.plan?.hour_nusd, 1e9);
});

const rows = rowsOf([ranking([
  plan('a', { nusd_per_million: 1e9, tokens_per_second: 10, uj_per_million: 8e9 }), plan('b', { nusd_per_million: 4e9, tokens_per_second: 80, uj_per_million: 4e9 }),
  plan('c', { nusd_per_million: 2e9, tokens_per_second: 40, uj_per_million: 1e9 }), plan('d', { nusd_per_million: null, hour_nusd: null }),
])], [], []);

test('each end of the slider is one goal, and between two of them what is good at both comes first', () => {
  assert.deepEqual(places(ranked(rows, 0)), ['a', 'c', 'b', 'd']);
  assert.deepEqual(places(ranked(rows, 1)), ['b', 'c', 'a', 'd']);
  assert.deepEqual(places(ranked(rows, 2)), ['c', 'b', 'a', 'd']);
  assert.equal(ranked(rows, 1.5)[0]?.place, 'c');
  assert.deepEqual(weightsOf(0.5), { price: 0.5, speed: 0.5, energy: 0 });
});

test('nothing is recommended for what nobody knows', () => {
  const unknown = rowsOf([ranking([plan('here', { hour_nusd: 0, nusd_per_million: 0 })])], [], []);
  assert.equal(bestOf(unknown, 'price')?.place, 'here');
  assert.equal(bestOf(unknown, 'speed'), null);
});

test('another is compared with the first where both are known', () => {
  const [a, b] = [rows[0], rows[1]];
  assert.ok(a && b);
  assert.deepEqual(against(b, a), [{ goal: 'price', times: 4 }, { goal: 'speed', times: 0.125 }, { goal: 'energy', times: 0.5 }]);
});

test('the limit that is filled in is eight hours and the start, never rounded down', () => {
  assert.deepEqual(usualLimit(plan('x', { hour_nusd: 28_901_000_000, start_nusd: 1_000_000_000 })), { hours: 8, hour: 28.91, cost: 232.28 });
});
