// Who we are: the console's link carries a one-time code after '#', which is swapped for a key. The key lives in this tab's sessionStorage only.
import { createStore } from '../store.ts';
import { ApiError, json } from './http.ts';

const KEY = 'freehold.key';

export type SessionState = 'out' | 'checking' | 'in' | 'refused' | 'expired' | 'away';
export const session = createStore<{ state: SessionState }>({ state: 'out' });

export function key(): string {
  return sessionStorage.getItem(KEY) ?? '';
}

export function endSession(): void {
  sessionStorage.removeItem(KEY);
  session.set({ state: 'expired' });
}

/** Takes the code out of the address at once, so that it is in no history and no screenshot. */
function takeCode(): string {
  const found = /^#code=([A-Za-z0-9_-]{1,256})$/.exec(location.hash);
  if (!found) return '';
  history.replaceState(null, '', location.pathname);
  return found[1] ?? '';
}

async function swap(code: string): Promise<void> {
  session.set({ state: 'checking' });
  try {
    const reply = await json<{ key: string }>('/api/v1/session', { method: 'POST', body: { code } });
    sessionStorage.setItem(KEY, reply.key);
    session.set({ state: 'in' });
  } catch (e) {
    session.set({ state: key() ? 'in' : e instanceof ApiError && e.away ? 'away' : 'refused' });
  }
}

export async function startSession(): Promise<void> {
  const code = takeCode();
  if (code) await swap(code);
  else session.set({ state: key() ? 'in' : 'out' });
  addEventListener('hashchange', () => {
    const late = takeCode();
    if (late) void swap(late);
  });
}
