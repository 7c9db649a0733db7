// Where the reader is, kept in the address after '#': '#/models', '#/running/NAME', '#/chat'. Server paths are never touched, so a reload works anywhere.
import { createStore } from './store.ts';

export type Page = 'models' | 'running' | 'chat';
export interface Route {
  page: Page;
  name: string;
}

export function parseRoute(hash: string): Route {
  const [page = '', name = ''] = hash.replace(/^#\/?/, '').split('/');
  if (page !== 'running' && page !== 'chat') return { page: 'models', name: '' };
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
