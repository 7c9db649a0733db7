// Short messages at the edge of the page: what happened, and sometimes how to undo it. Screen readers hear them politely.
import { createStore } from './store.ts';
import { ApiError } from './api/http.ts';

export interface Notice {
  id: number;
  message: string;
  hint: string;
  bad: boolean;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 6_000;
const SHOWN_WITH_ACTION_MS = 10_000;
let last = 0;

export const notices = createStore<{ list: Notice[]; heard: string }>({ list: [], heard: '' });

export function dismiss(id: number): void {
  notices.set((now) => ({ list: now.list.filter((n) => n.id !== id) }));
}

function add(notice: Omit<Notice, 'id'>): void {
  const id = ++last;
  notices.set((now) => ({ list: [...now.list.slice(-2), { ...notice, id }], heard: `${notice.message} ${notice.hint}` }));
  if (!notice.bad) setTimeout(() => dismiss(id), notice.action ? SHOWN_WITH_ACTION_MS : SHOWN_MS);
}

export function say(message: string, action?: Notice['action']): void {
  add({ message, hint: '', bad: false, ...(action ? { action } : {}) });
}

/** Only for screen readers: progress that the page shows in its own place. */
export function announce(message: string): void {
  notices.set({ heard: message });
}

export function complain(e: unknown): void {
  if (e instanceof ApiError) add({ message: e.message, hint: e.hint, bad: true });
  else if (e instanceof Error && e.name !== 'AbortError') add({ message: e.message, hint: '', bad: true });
}
