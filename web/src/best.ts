// The best price now of the models that stand first: planned one after the other while somebody looks at them, and kept for a while.
import { json } from './api/http.ts';
import type { Ranking } from './api/types.ts';
import { ranked, rowsOf, type Row } from './plans.ts';
import { createStore } from './store.ts';

const FRESH_MS = 300_000;
const CONTEXT = 8192;

/** By the model's id; null: no place with a price would do. */
export const best = createStore<{ rows: Record<string, Row | null>; askedAt: number }>({ rows: {}, askedAt: 0 });

export async function refreshBest(models: string[]): Promise<void> {
  if (Date.now() - best.get().askedAt < FRESH_MS) return;
  best.set({ askedAt: Date.now() });
  try {
    for (const model of models) {
      const ranking = await json<Ranking>('/api/v1/plans', { method: 'POST', body: { model, context_tok: CONTEXT, streams: 1 }, timeoutMs: 60_000 });
      best.set((now) => ({ rows: { ...now.rows, [model]: ranked(rowsOf([ranking], [], []), 0)[0] ?? null } }));
    }
  } catch {
    best.set({ askedAt: 0 }); // the connection's own loop says that the server is away
  }
}

/** Other places are known now. */
export function forgetBest(): void {
  best.set({ askedAt: 0 });
}
