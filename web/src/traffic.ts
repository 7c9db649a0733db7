// What goes through the gateway, asked for while somebody looks: counts since the server started, from which rates are made here.
import { json } from './api/http.ts';
import type { Failover, Traffic } from './api/types.ts';
import { createStore } from './store.ts';

const WINDOW_MS = 10_000;

export const traffic = createStore<{ samples: Traffic[] }>({ samples: [] });

export async function refreshTraffic(): Promise<void> {
  const now = await json<Traffic>('/api/v1/traffic');
  traffic.set(({ samples }) => ({ samples: withSample(samples, now) }));
}

const ended = (t: Traffic): number => t.finished + t.failed + t.cancelled;

/** What is needed for rates over the window, the newest last. Counts that fall are those of a server that started anew. Pure. */
export function withSample(samples: Traffic[], now: Traffic): Traffic[] {
  const last = samples.at(-1);
  if (last && (ended(now) < ended(last) || now.completion_tokens < last.completion_tokens)) return [now];
  const from = Date.parse(now.time) - WINDOW_MS;
  const first = samples.findLastIndex((s) => Date.parse(s.time) <= from);
  return [...samples.slice(Math.max(0, first)), now];
}

export interface Rates {
  tokens: number; // a second
  requests: number;
}

/** Null until there are two samples. Pure. */
export function ratesOf(samples: Traffic[]): Rates | null {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || first === last) return null;
  const seconds = (Date.parse(last.time) - Date.parse(first.time)) / 1000;
  if (seconds <= 0) return null;
  return { tokens: (last.completion_tokens - first.completion_tokens) / seconds, requests: (ended(last) - ended(first)) / seconds };
}

export type MomentKind = 'asked' | 'again' | 'first' | 'broke' | 'whole' | 'failed';
export interface Moment {
  kind: MomentKind;
  atMs: number;
  deployment: string;
  tokens: number; // that the client had
  error: string;
}

/** What happened, in the order of time. Pure. */
export function momentsOf(f: Failover): Moment[] {
  const out: Moment[] = [];
  f.attempts.forEach((a, i) => {
    const add = (kind: MomentKind, atMs: number | null, tokens: number, error = '') => {
      if (atMs !== null) out.push({ kind, atMs, deployment: a.deployment, tokens, error });
    };
    add(i ? 'again' : 'asked', a.began_ms, a.from_token);
    add('first', a.first_token_ms, a.from_token);
    if (a.error) add('broke', a.ended_ms, a.to_token ?? a.from_token, a.error);
  });
  if (f.over && f.ended_ms !== null) {
    const last = f.attempts.at(-1);
    out.push({ kind: f.error ? 'failed' : 'whole', atMs: f.ended_ms, deployment: last?.deployment ?? '', tokens: f.completion_tokens, error: f.error ?? '' });
  }
  return out;
}

/** How long nothing came: from the first break to the next token; null when none has come since. Pure. */
export function gapOf(f: Failover): number | null {
  const broke = f.attempts.findIndex((a) => a.error && a.ended_ms !== null);
  const next = f.attempts.slice(broke + 1).find((a) => a.first_token_ms !== null);
  return broke >= 0 && next ? (next.first_token_ms ?? 0) - (f.attempts[broke]?.ended_ms ?? 0) : null;
}
