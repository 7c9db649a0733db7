import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as f from '../src/format.ts';

const plain = (s: string) => s.replaceAll('\u00a0', ' ').replaceAll('\u202f', ' ');

test('sizes count in powers of ten with at most three digits that matter', () => {
  assert.equal(plain(f.bytes(999)), '999 B');
  assert.equal(plain(f.bytes(98_362_432)), '98.4 MB');
  assert.equal(plain(f.bytes(1_679_353_633_638)), '1,680 GB');
  assert.equal(plain(f.bytes(210_000_000)), '210 MB');
  assert.equal(plain(f.bytes(999_600)), '1 MB');
});

test('parameters are said in millions, billions and trillions', () => {
  assert.deepEqual([0.135, 3, 1.7, 27, 2800, 2000].map((n) => plain(f.params(n))), ['135 M', '3 B', '1.7 B', '27 B', '2.8 T', '2 T']);
});

test('contexts are said in binary thousands', () => {
  assert.deepEqual([512, 8192, 262144, 1048576].map(f.context), ['512', '8K', '256K', '1M']);
});

test('what took long is said in longer units', () => {
  assert.deepEqual([0.2, 41, 999, 1300, 59_960, 250_000, 7_500_000].map((n) => plain(f.took(n))), ['< 1 ms', '41 ms', '1.0 s', '1.3 s', '1 min', '4 min 10 s', '2 h 5 min']);
});

test('what remains is said no more exactly than it is known', () => {
  assert.deepEqual([3000, 12_000, 240_000, 6_840_000, 50_400_000].map(f.left), ['a few seconds', 'about 15 s', 'about 4 min', 'about 1.9 h', 'about 14 h']);
});

test('dates of the catalogue may lack a day', () => {
  assert.match(f.day('2026-10-20'), /20/);
  assert.match(f.day('2026-07'), /2026/);
  assert.equal(f.day('autumn 2026'), 'autumn 2026');
});

test('money keeps the digits of a small amount, energy its unit', () => {
  assert.deepEqual([28.9, 0.35, 0.0042, 0].map((n) => f.money(n)), ['$28.90', '$0.35', '$0.0042', '$0.00']);
  assert.equal(f.money(0.35, 'EUR'), '€0.35');
  assert.deepEqual([56.04, 7068].map((n) => plain(f.energy(n))), ['56 Wh', '7.07 kWh']);
});
