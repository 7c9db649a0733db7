// What the control plane says (GET /api/openapi.json has all of it): the fields that the page uses.
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
    percent: number; score: number; benchmark: string; harness: string; date: string; source: string; variant: string; best_model: string;
  } | null;
  context_tok: number | null;
  params_total_b: number | null;
  params_active_b: number | null;
  needs_bytes: number | null;
  weights_bytes: number | null;
  here: {
    fits: boolean;
    runnable: boolean; // it fits, our engine knows it, and the weights are here
    blocked_by: 'memory' | 'weights' | 'engine' | null;
    has_bytes: number;
    missing_bytes: number;
    why: string;
    nearest: string | null;
  };
  weights: { present: boolean; bytes: number; format: string | null; architecture: string | null };
  deployments: string[];
}

export interface Engine {
  id: string;
  name: string;
  formats: string[];
  architectures: string[]; // none: whatever they are
  installed: boolean;
}

export interface Deployment {
  name: string;
  model: string;
  variant: string;
  place: string;
  engine: string;
  state: State;
  reason: string;
  hint: string | null;
  created: string; // RFC 3339, UTC
  changed: string;
  progress: Progress | null; // bytes, while fetching and loading
  context_tok: number;
  streams: number;
  kv_type: string | null; // what its cache is kept as; null: as its engine does by itself
  pid: number | null;
  rss_bytes: number;
  load: EngineLoad | null; // by the engine's own metrics; null: not ready, or not read yet
  sandbox: string;
  restarts: number;
  trust: string | null; // who may read what it is asked: it runs nowhere else
  read_by: Trust | null; // and who can, where it is now
  owned_by: string | null;
  machine: { // that was got for it alone
    provider: string; hour_micro: number; spent_micro: number; currency: string | null; ends: string | null; leaving: boolean; note: string | null;
  } | null;
  limit: { hour_micro: number; seconds: number; cost_micro: number; currency: string | null } | null;
}

export interface EngineLoad { // null: the engine does not say
  running: number | null;
  waiting: number | null;
  kv_used: number | null; // 0 to 1
  tokens_per_second: number | null;
  prompt_tokens_per_second: number | null;
  measured: string;
}

export interface Progress {
  done: number;
  total: number; // 0: not known
}

export interface Change {
  id: number;
  time: string;
  from: State | null; // null: it was made
  to: State;
  reason: string;
  hint: string | null;
}

export interface FeedEvent {
  serial: number;
  time: string;
  deployment: string;
  from: State | null;
  to: State;
  reason: string;
  hint: string | null;
  progress: Progress | null;
}

export interface Traffic { // counts since the server started
  time: string;
  in_flight: number;
  finished: number;
  failed: number;
  cancelled: number;
  limited: number;
  retried: number;
  resumed: number;
  prompt_tokens: number;
  completion_tokens: number;
  replicas: { deployment: string; requests: number; failures: number; in_flight: number; tokens_per_second: number | null }[];
  failover: Failover | null;
}

export interface Attempt { // times in milliseconds from the request's beginning
  deployment: string;
  place: string;
  began_ms: number;
  first_token_ms: number | null;
  ended_ms: number | null;
  from_token: number;
  to_token: number | null;
  error: string | null;
}

export interface Failover {
  began: string;
  model: string;
  stream: boolean;
  over: boolean;
  error: string | null;
  first_token_ms: number | null;
  ended_ms: number | null;
  completion_tokens: number;
  attempt_count: number;
  attempts: Attempt[];
}

export interface PoolNode { // a machine of the pool
  name: string;
  state: 'joined' | 'draining';
  here: boolean;
  owned_by: string | null;
  ask_micro_per_hour: number; // millionths of the currency
  ask_currency: string;
  joined: string;
  seen: string | null;
  certificate_expires: string | null;
  memory_bytes: number | null; // that its engines may use; null: it is not here
  memory_free_bytes: number | null;
  sandbox: string | null;
  engines: string[];
  owner: Owner | null; // null: it is not here
  standing: Standing;
  facts: Facts;
}

export interface Owner { // what its owner allows; what is not said has no limit
  closed?: string; // why it is not lent now
  hours?: string;
  models?: string[]; // those alone
  not_models?: string[];
  memory_bytes?: number;
  disk_bytes?: number;
  engines?: number;
  threads?: number;
  alone_s?: number; // that engines go on without the server
}

export interface Standing { // what was measured of a place
  standing: number; // 0 to 100
  honesty: string;
  reason: string | null;
}

export interface Facts { // what it says of itself, as far as it has
  version?: string;
  cpu?: string;
  cores?: number;
  threads?: number;
  memory_bytes?: number;
  disk_free_bytes?: number;
  memory_read_bytes_per_s?: number;
  gpus?: { name: string; memory_bytes: number }[];
}

export interface NodeToken {
  token: string;
  expires: string;
  port: number;
  addresses: string[];
}

export interface Provider {
  name: string;
  url: string;
  kind: string;
  trust: string;
  region: string | null;
  has_key: boolean;
  key_file: string | null;
  offers: number | null;
  models: string[];
  prices: { model: string | null; input_nusd_per_million: number; output_nusd_per_million: number }[];
  standing: Standing;
}

const HOSTED = new Set(['openai', 'anthropic']);
const RENTED = new Set(['runpod', 'vast', 'lambda', 'skypilot']);
/** Hosted endpoints; accounts that machines are rented of by the hour; others that machines are got of, as a cluster or a box with a login. */
export const kindClass = (kind: string): 'hosted' | 'rented' | 'got' => (HOSTED.has(kind) ? 'hosted' : RENTED.has(kind) ? 'rented' : 'got');

export interface PlanHost {
  host: string | null; // null: an endpoint
  variant: string | null;
  scored: boolean | null; // null: the model has no score
  needs_bytes: number | null;
  streams_max: number | null;
  tokens_per_second: number | null; // of one stream
  first_token_ms: number | null;
  uj_per_million: number | null;
}

export type Trust = 'own' | 'rented' | 'named' | 'any';

export interface Plan extends PlanHost { // money in billionths of a dollar
  place: string;
  name: string | null;
  source: string | null;
  region: string | null;
  read_by: Trust; // who can read what is asked there
  owned_by: string | null;
  spot: boolean;
  measured_runs: number;
  tokens_per_second_low: number | null;
  tokens_per_second_high: number | null;
  ul_per_million: number | null;
  hour_nusd: number | null; // null: by the token
  nusd_per_million: number | null;
  ready_s: number;
  start_nusd: number;
}

export interface Ranking {
  model: string;
  context_tok: number;
  streams: number;
  fit: number;
  why: string;
  plans: Plan[];
  providers: { name: string; kind: string; offers: number | null; error: string | null; note: string | null }[];
  refused: { reason: string; count: number; nearest: string; why: string }[];
  unpriced: string[];
  break_even: { why: string } | null;
  smallest: PlanHost | null;
}

export interface Machine {
  name: string;
  cpu: string;
  cores: number;
  memory_bytes: number;
  memory_free_bytes: number;
}

export interface List<T> {
  items: T[];
}

export const RESTING: readonly State[] = ['stopped', 'failed'];
export const isResting = (s: State): boolean => RESTING.includes(s);
/** The way up, in order; the timeline shows these. */
export const WAY_UP: readonly State[] = ['requested', 'planning', 'provisioning', 'fetching', 'loading', 'proving', 'ready'];
