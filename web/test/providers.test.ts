import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Provider } from '../src/api/types.ts';
import { bodyOf, hostedModels, newProvider } from '../src/providers.ts';

const all = { ...newProvider(), name: 'x', url: 'u', key: 'k', keyFile: '/f', priceIn: '0.1', priceOut: '0.4', settings: 'partition=gpu gres=gpu:1' };

test('of each kind only its own fields are sent, and only those that were filled in', () => {
  assert.deepEqual(bodyOf({ ...newProvider(), name: 'x', url: 'u' }), { name: 'x', kind: 'openai', url: 'u' });
  assert.deepEqual(bodyOf(all), { name: 'x', kind: 'openai', url: 'u', key: 'k', prices: [{ input_nusd_per_million: 100_000_000, output_nusd_per_million: 400_000_000 }] });
  assert.deepEqual(bodyOf({ ...all, kind: 'runpod' }), { name: 'x', kind: 'runpod', key_file: '/f', settings: { partition: 'gpu', gres: 'gpu:1' } });
  assert.deepEqual(bodyOf({ ...all, kind: 'slurm' }), { name: 'x', kind: 'slurm', url: 'u', key_file: '/f', settings: { partition: 'gpu', gres: 'gpu:1' } });
});

test('models of hosted endpoints are asked by the endpoint and their name', () => {
  const list = [{ name: 'lab', kind: 'openai', models: ['a', 'b/c'] }, { name: 'hpc', kind: 'slurm', models: [] }, { name: 'maker', kind: 'anthropic', models: ['d'] }] as unknown as Provider[];
  assert.deepEqual(hostedModels(list), ['provider/lab/a', 'provider/lab/b/c', 'provider/maker/d']);
});
