// A value that views watch. One per concern (connection, deployments, conversation); whoever owns it exports functions that change it.
import { useEffect, useState } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(change: Partial<T> | ((now: T) => Partial<T>)): void;
  watch(fn: () => void): () => void;
}

export function createStore<T extends object>(initial: T): Store<T> {
  let value = initial;
  const watchers = new Set<() => void>();
  return {
    get: () => value,
    set(change) {
      value = { ...value, ...(typeof change === 'function' ? change(value) : change) };
      for (const fn of [...watchers]) fn();
    },
    watch(fn) {
      watchers.add(fn);
      return () => void watchers.delete(fn);
    },
  };
}

/** The part of a store that `pick` returns; the view is drawn again when it is another value (compared by identity). */
export function useStore<T extends object, S>(store: Store<T>, pick: (now: T) => S): S {
  const [, redraw] = useState(0);
  const picked = pick(store.get());
  useEffect(() => {
    let last = pick(store.get());
    if (!Object.is(last, picked)) redraw((n) => n + 1);
    return store.watch(() => {
      const next = pick(store.get());
      if (Object.is(next, last)) return;
      last = next;
      redraw((n) => n + 1);
    });
  }, [store]);
  return picked;
}

/** Draws again every `ms` while `on`, for clocks that count. */
export function useTick(ms: number, on: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms, on]);
  return on ? Date.now() : now;
}
