// Where the reader is, kept in the address after '#': '#/models', '#/running/NAME', '#/chat', '#/machines/NAME'. Server paths are never touched, so a reload works anywhere.
import { createStore } from './store.ts';

export const PAGES = ['models', 'running', 'chat', 'machines'] as const;
export type Page = (typeof PAGES)[number];
export interface Route {
  page: Page;
  name: string;
}

export function parseRoute(hash: string): Route {
  const [word = '', name = ''] = hash.replace(/^#\/?/, '').split('/');
  const page = PAGES.find((p) => p === word);
  if (!page || page === 'models') return { page: 'models', name: '' };
  try {
    return { page, name: decodeURIComponent(name) };
  } catch {
    return { page, name: '' };
  }
}

export function routeHash(page: Page, name = ''): string {
  return name ? `#/${page}/${encodeURIComponent(name)}` : `#/${page}`;
}

export const route = createStore<Route>({ page: 'models', name: '' });

export function go(page: Page, name = ''): void {
  location.hash = routeHash(page, name);
}

export function startRouting(): void {
  const read = () => route.set(parseRoute(location.hash));
  addEventListener('hashchange', read);
  read();
}
