// What the server is doing, kept fresh: a feed of changes (server-sent events), and the lists that the feed makes stale. One loop owns the connection;
// when it breaks the loop says so, waits a little longer each time, and tries until the page is closed.
//
//   connecting → online ⇄ away        'back' is said once after each 'away'
import { createStore } from './store.ts';
import { json, request, ApiError } from './api/http.ts';
import { readEvents } from './api/sse.ts';
import { session } from './api/session.ts';
import { isResting, type Change, type Deployment, type Engine, type FeedEvent, type List, type Machine, type Model } from './api/types.ts';
import { go, route } from './route.ts';
import { say } from './notices.ts';
import { text } from './text.ts';

const RETRY_FIRST_MS = 400;
const RETRY_LAST_MS = 10_000;
const QUIET_MS = 12_000; // without a byte: ask whether the server is there
const HEALTH_TIMEOUT_MS = 5_000;
const POLL_MS = 2_000; // figures such as memory, while somebody looks

export interface Live {
  link: 'connecting' | 'online' | 'away';
  retryAt: number; // when 'away': 0 while a try is under way
  models: Model[] | null;
  modelsError: ApiError | null;
  machine: Machine | null;
  engines: Engine[];
  deployments: Deployment[] | null;
  history: Record<string, Change[]>;
  launching: string; // the deployment whose chat opens when it is ready
  pressedAt: number; // when Run was pressed for it
}

export const live = createStore<Live>({
  link: 'connecting', retryAt: 0, models: null, modelsError: null, machine: null, engines: [], deployments: null, history: {}, launching: '', pressedAt: 0,
});

let wake: () => void = () => undefined;

export function tryNow(): void {
  wake();
}

/** Sleeps, unless tryNow() or the network's return ends it. */
function pause(ms: number): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    wake = () => {
      clearTimeout(timer);
      done();
    };
  });
}

async function quietly(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch {
    // the connection's own loop reports that the server is away
  }
}

/** A list may have been written before the event that came first: what is later stays. */
function notBefore(d: Deployment): Deployment {
  const shown = live.get().deployments?.find((x) => x.name === d.name && x.created === d.created);
  return shown && shown.changed > d.changed ? { ...d, state: shown.state, reason: shown.reason, hint: shown.hint, changed: shown.changed, progress: shown.progress } : d;
}

export async function refreshDeployments(): Promise<void> {
  const list = await json<List<Deployment>>('/api/v1/deployments');
  const newest = new Map<string, Deployment>();
  for (const d of list.items) if (!newest.has(d.name)) newest.set(d.name, notBefore(d));
  live.set({ deployments: [...newest.values()] });
  for (const d of newest.values()) if (d.state === 'ready') openWhenReady(d.name);
}

export async function refreshModels(): Promise<void> {
  try {
    const list = await json<List<Model>>('/api/v1/models');
    live.set({ models: list.items, modelsError: null });
  } catch (e) {
    if (e instanceof ApiError) live.set({ modelsError: e });
  }
}

export async function refreshMachine(): Promise<void> {
  live.set({ machine: await json<Machine>('/api/v1/machine'), engines: (await json<List<Engine>>('/api/v1/engines')).items });
}

export async function refreshHistory(name: string): Promise<void> {
  const list = await json<List<Change>>(`/api/v1/deployments/${encodeURIComponent(name)}/events`);
  live.set((now) => ({ history: { ...now.history, [name]: list.items } }));
}

function refreshAll(): void {
  void quietly(refreshDeployments());
  void quietly(refreshModels());
  void quietly(refreshMachine());
  for (const name of Object.keys(live.get().history)) void quietly(refreshHistory(name));
}

let stale: ReturnType<typeof setTimeout> | undefined;
function refreshSoon(): void {
  stale ??= setTimeout(() => {
    stale = undefined;
    void quietly(refreshDeployments());
    if (route.get().page === 'models') void quietly(refreshModels());
  }, 120);
}

function openWhenReady(name: string): void {
  if (live.get().launching !== name) return;
  live.set({ launching: '' });
  const at = route.get();
  if (at.page === 'running' && at.name === name) go('chat', name);
}

/** A change shows at once, before the lists are asked for again. */
export function applyEvent(e: FeedEvent): void {
  const now = live.get();
  const known = now.deployments?.find((d) => d.name === e.deployment);
  if (known) {
    const changed: Deployment = {
      ...known, state: e.to, reason: e.reason, hint: e.hint, changed: e.time, progress: e.progress ?? null,
    };
    live.set({ deployments: (now.deployments ?? []).map((d) => (d === known ? changed : d)) });
  }
  if (e.from !== e.to && now.history[e.deployment]) void quietly(refreshHistory(e.deployment));
  if (e.to === 'ready') openWhenReady(e.deployment);
  refreshSoon();
}

async function healthy(): Promise<boolean> {
  try {
    await request('/healthz', { timeoutMs: HEALTH_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}

/** Reads the feed until it ends. `connected` is called once it is open. */
async function follow(connected: () => void): Promise<void> {
  const stop = new AbortController();
  let heard = Date.now();
  const guard = setInterval(() => {
    if (Date.now() - heard < QUIET_MS) return;
    heard = Date.now();
    void healthy().then((ok) => {
      if (!ok) stop.abort();
    });
  }, 1_000);
  try {
    const response = await request('/api/v1/events', { signal: stop.signal, timeoutMs: HEALTH_TIMEOUT_MS });
    if (!response.body) return;
    connected();
    for await (const e of readEvents(response.body, () => void (heard = Date.now()))) {
      const data = JSON.parse(e.data) as Partial<FeedEvent>;
      if (data.deployment) applyEvent(data as FeedEvent);
    }
  } finally {
    clearInterval(guard);
    stop.abort();
  }
}

function connected(): void {
  if (live.get().link === 'away') say(text.link.back);
  live.set({ link: 'online', retryAt: 0 });
  refreshAll();
}

async function keepConnected(): Promise<void> {
  let failures = 0;
  while (session.get().state === 'in') {
    try {
      await follow(() => {
        failures = 0;
        connected();
      });
    } catch (e) {
      if (e instanceof ApiError && e.status === 401) return;
    }
    failures++;
    if (failures === 1) {
      await pause(50); // a feed may end for its own reasons: look once before saying anything
      continue;
    }
    const wait = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** (failures - 2)) * (0.8 + 0.4 * Math.random());
    live.set({ link: 'away', retryAt: Date.now() + wait });
    await pause(wait);
    live.set({ retryAt: 0 });
  }
}

export function startLive(): void {
  addEventListener('online', tryNow);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) tryNow();
  });
  setInterval(() => {
    if (document.hidden || live.get().link !== 'online') return;
    if (route.get().page === 'running' || live.get().launching) void quietly(refreshDeployments());
  }, POLL_MS);
  let running = false;
  const begin = () => {
    if (running || session.get().state !== 'in') return;
    running = true;
    void keepConnected().finally(() => {
      running = false;
    });
  };
  session.watch(begin);
  begin();
}

export interface RunAt { // beside the model; left out: on this machine, by the engine that takes it
  engine?: string;
  place?: string;
  context_tok?: number;
  streams?: number;
  kv_type?: string;
  trust?: string;
  offer?: string; // of those that the place has: a plan's name
  limit?: { hour_micro: number; seconds: number; cost_micro: number; currency: string };
}

/** Run was pressed: starts it there, shows its progress, opens the chat when it is ready. What runs already is asked for again. */
export async function run(modelId: string, at: RunAt = {}): Promise<void> {
  const pressedAt = performance.now();
  const running = at.place ? undefined : live.get().deployments?.find((d) => d.model === modelId && !isResting(d.state));
  if (running?.state === 'ready') {
    go('chat', running.name);
    return;
  }
  const made = running ?? (await json<Deployment>('/api/v1/deployments', { method: 'POST', body: { model: modelId, reuse: true, ...at } }));
  const others = (live.get().deployments ?? []).filter((d) => d.name !== made.name);
  live.set({ deployments: [made, ...others], launching: made.name, pressedAt });
  go('running', made.name);
  if (made.state === 'ready') queueMicrotask(() => openWhenReady(made.name));
}

export async function stop(name: string): Promise<void> {
  await request(`/api/v1/deployments/${encodeURIComponent(name)}`, { method: 'DELETE' });
  refreshSoon();
}
