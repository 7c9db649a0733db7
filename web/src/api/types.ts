// What the control plane says, as the page uses it. Only fields that the page shows; absent ones are null, so that an older server still gives a page.
export type State = 'requested' | 'planning' | 'provisioning' | 'fetching' | 'loading' | 'proving' | 'ready' | 'draining' | 'stopped' | 'failed';

export interface Model {
  id: string;
  name: string;
  maker: string;
  rank: number | null;
  top_ten: boolean;
  starter: boolean;
  license: { name: string; class: string; summary: string };
  frontier: {
    percent: number; benchmark: string; harness: string; date: string; source: string; variant: string; best_model?: string;
  } | null;
  context_tok: number | null;
  params_total_b: number | null;
  params_active_b: number | null;
  needs_bytes: number | null;
  weights_bytes: number | null;
  here: {
    fits: boolean;
    runnable: boolean; // it fits, our engine knows it, and the weights are here
    blocked_by: 'memory' | 'weights' | 'engine' | 'unknown' | null;
    has_bytes: number;
    missing_bytes: number;
    why: string;
    nearest: string | null;
  };
  weights: { present: boolean; bytes: number };
  deployments: string[];
}

export interface Deployment {
  name: string;
  model: string;
  variant: string;
  place: string;
  state: State;
  reason: string;
  hint: string;
  created: string; // RFC 3339, UTC
  changed: string;
  progress: { done: number; total: number };
  context_tok: number;
  streams: number;
  pid: number;
  rss_bytes: number;
  sandbox: string;
  restarts: number;
  tokens_per_s?: number | null;
}

export interface Change {
  id: number;
  time: string;
  from: State;
  to: State;
  reason: string;
  hint: string;
}

export interface FeedEvent {
  serial: number;
  time: string;
  deployment: string;
  from: State;
  to: State;
  reason: string;
  hint: string;
  progress?: { done: number; total: number };
}

export interface Machine {
  name: string;
  cpu: string;
  cores: number;
  memory_bytes: number;
  memory_available_bytes: number;
  isa: string;
}

export interface List<T> {
  items: T[];
}

export const RESTING: readonly State[] = ['stopped', 'failed'];
export const isResting = (s: State): boolean => RESTING.includes(s);
/** The way up, in order; the timeline shows these. */
export const WAY_UP: readonly State[] = ['requested', 'planning', 'provisioning', 'fetching', 'loading', 'proving', 'ready'];
