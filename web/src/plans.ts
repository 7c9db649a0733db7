// Where a model can run: what the server's planner says, asked by each preference, put together and ranked anew as the slider moves.
import { json } from './api/http.ts';
import { kindClass, type Plan, type PoolNode, type Provider, type Ranking } from './api/types.ts';
import { presenceOf } from './places.ts';
import { createStore } from './store.ts';

export const GOALS = ['price', 'speed', 'energy'] as const;
export type Goal = (typeof GOALS)[number];

export interface Wishes {
  context_tok?: number;
  streams?: number;
  kv_type?: string; // what caches are kept as
  spot?: boolean;
  trust?: string; // who may read what is asked: classes and names, with commas
}

export interface Row { // one place, with what is known of it
  id: string;
  place: string;
  plan: Plan | null; // null: nothing is planned for it
  ask: { hour: number; currency: string } | null; // its price where that is not in dollars
  kind: 'own' | 'pool' | 'rented' | 'got' | 'hosted' | 'listed'; // got: of a cluster or a box; listed: a price alone, of which nothing can be had here
}

export interface Sheet {
  model: string; // '' while none is open
  ranking: Ranking | null; // by price: its words
  rows: Row[];
}

export const sheet = createStore<Sheet>({ model: '', ranking: null, rows: [] });

function kindOf(p: Plan): Row['kind'] {
  if (p.place === 'here') return 'own';
  if (p.place.startsWith('node/')) return 'pool';
  if (p.hour_nusd === null) return 'hosted';
  return p.place.startsWith('provider/') ? 'rented' : 'listed';
}

/** Whichever machine of the pool is the cheapest when it is wanted, and another one when that is lost. */
function poolRow(nodes: PoolNode[], rows: Row[]): Row[] {
  if (!nodes.some((n) => presenceOf(n) === 'here')) return [];
  const cheapest = ranked(rows.filter((r) => r.kind === 'pool'), 0)[0];
  return cheapest ? [{ ...cheapest, id: 'pool', place: 'pool' }] : [];
}

const NAMED = /^(own|rented|named|any|(node|provider|owner)\/[a-z0-9-]{1,63})$/;
const wordsOf = (trust: string): string[] => trust.split(',').map((w) => w.trim());

/** Is it a list of classes and names? Pure. */
export function isTrust(text: string): boolean {
  return wordsOf(text).every((w) => NAMED.test(w));
}

/** May whoever has a place that nothing is planned for read what is asked? Its like are the ones of others. Pure. */
export function mayRead(trust: string | undefined, place: string, owner: string | null): boolean {
  return trust === undefined || wordsOf(trust).some((w) => ['rented', 'named', 'any', place, `owner/${owner}`].includes(w));
}

/** The same offer in several rankings is one row. Places that cannot be planned for stand behind: they can still be run at. Pure. */
export function rowsOf(rankings: Ranking[], nodes: PoolNode[], providers: Provider[], trust?: string): Row[] {
  const rows = new Map<string, Row>();
  for (const plan of rankings.flatMap((r) => r.plans)) {
    const id = [plan.place, plan.name, plan.source, plan.region, plan.host, plan.hour_nusd, plan.spot].join('|');
    if (!rows.has(id)) rows.set(id, { id, place: plan.place, plan, ask: null, kind: kindOf(plan) });
  }
  const trusted = nodes.filter((n) => mayRead(trust, `node/${n.name}`, n.owned_by));
  for (const n of trusted) {
    const place = `node/${n.name}`;
    const planned = [...rows.values()].some((r) => r.place === place);
    if (!planned && presenceOf(n) === 'here') rows.set(place, { id: place, place, plan: null, ask: { hour: n.ask_micro_per_hour / 1e6, currency: n.ask_currency }, kind: 'pool' });
  }
  for (const p of providers) {
    const place = `provider/${p.name}`;
    if (kindClass(p.kind) === 'got' && mayRead(trust, place, null)) rows.set(place, { id: place, place, plan: null, ask: null, kind: 'got' });
  }
  return [...poolRow(trusted, [...rows.values()]), ...rows.values()];
}

/** What is compared: less is better. Null: not known. */
export function costOf(row: Row, goal: Goal): number | null {
  const p = row.plan;
  if (!p) return null;
  if (goal === 'price') return p.hour_nusd === 0 ? 0 : (p.nusd_per_million ?? p.hour_nusd);
  if (goal === 'speed') return p.tokens_per_second ? 1 / p.tokens_per_second : null;
  return p.uj_per_million;
}

/** The slider: 0 is price alone, 1 speed, 2 energy, and between two of them both. */
export function weightsOf(slider: number): Record<Goal, number> {
  const near = (at: number) => Math.max(0, 1 - Math.abs(slider - at));
  return { price: near(0), speed: near(1), energy: near(2) };
}

const DOUBLINGS_FREE = -20; // nothing is this much better than the least that costs something

/** Doublings above the best that is known; what is not known stands behind all that is. */
function distances(rows: Row[], goal: Goal): number[] {
  const costs = rows.map((r) => costOf(r, goal));
  const least = Math.min(...costs.filter((c): c is number => c !== null && c > 0));
  const known = costs.map((c) => (c === null ? null : c > 0 ? Math.log2(c / least) : DOUBLINGS_FREE));
  const worst = Math.max(0, ...known.filter((d): d is number => d !== null));
  return known.map((d) => d ?? worst + 1);
}

/** Best first; equal ones as the server had them. Pure. */
export function ranked(rows: Row[], slider: number): Row[] {
  const weights = weightsOf(slider);
  const parts = GOALS.filter((g) => weights[g] > 0).map((g) => ({ weight: weights[g], far: distances(rows, g) }));
  const score = rows.map((_, i) => parts.reduce((sum, p) => sum + p.weight * (p.far[i] ?? 0), 0));
  return rows.map((row, i) => ({ row, i })).sort((a, b) => (score[a.i] ?? 0) - (score[b.i] ?? 0) || a.i - b.i).map((x) => x.row);
}

/** The best by one goal, if anything is known of it at all. Pure. */
export function bestOf(rows: Row[], goal: Goal): Row | null {
  const best = ranked(rows, GOALS.indexOf(goal))[0];
  return best && costOf(best, goal) !== null ? best : null;
}

/** How many times more than the other it is, by each goal where both are known and differ by a tenth. Pure. */
export function against(row: Row, best: Row): { goal: Goal; times: number }[] {
  return GOALS.flatMap((goal) => {
    const [a, b] = [costOf(row, goal), costOf(best, goal)];
    return a && b && (a / b > 1.1 || a / b < 1 / 1.1) ? [{ goal, times: a / b }] : [];
  });
}

function ask(model: string, wishes: Wishes, prefer: Goal): Promise<Ranking> {
  return json<Ranking>('/api/v1/plans', { method: 'POST', body: { model, prefer, ...wishes }, timeoutMs: 60_000 });
}

/** Fills the sheet, which stays as it was until the answer is there. */
export async function planFor(model: string, wishes: Wishes): Promise<void> {
  const providers = json<{ items: Provider[] }>('/api/v1/providers');
  const nodes = json<{ items: PoolNode[] }>('/api/v1/nodes');
  const rankings = await Promise.all(GOALS.map((goal) => ask(model, wishes, goal)));
  const rows = rowsOf(rankings, (await nodes).items, (await providers).items, wishes.trust);
  if (sheet.get().model === model) sheet.set({ ranking: rankings[0] ?? null, rows });
}

export function openSheet(model: string): void {
  sheet.set({ model, ranking: null, rows: [] });
}

export function closeSheet(): void {
  sheet.set({ model: '', ranking: null, rows: [] });
}

// ---- the limit of what is rented ----

export interface Limit {
  hour_micro: number;
  seconds: number;
  cost_micro: number;
  currency: string;
}

const HOURS = 8;
const cents = (nusd: number): number => Math.ceil(nusd / 1e7) / 100;

/** So many hours at that price, and its start. Dollars. Pure. */
export function costFor(p: Plan, hours: number, hour: number): number {
  return cents(Math.round(hour * hours * 1e9) + p.start_nusd);
}

/** What is filled in: eight hours at its price, and its start. Pure. */
export function usualLimit(p: Plan): { hours: number; hour: number; cost: number } {
  const hour = cents(p.hour_nusd ?? 0);
  return { hours: HOURS, hour, cost: costFor(p, HOURS, hour) };
}
