// Light or dark: the system's choice until the reader chooses; the choice is kept in this browser.
import { createStore } from './store.ts';

export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'freehold.theme';
const ORDER: Theme[] = ['auto', 'light', 'dark'];

export const theme = createStore<{ value: Theme }>({ value: 'auto' });

function apply(value: Theme): void {
  if (value === 'auto') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.setAttribute('data-theme', value);
  theme.set({ value });
}

export function startTheme(): void {
  const kept = localStorage.getItem(KEY) as Theme | null;
  apply(kept && ORDER.includes(kept) ? kept : 'auto');
}

export function nextTheme(): void {
  const value = ORDER[(ORDER.indexOf(theme.get().value) + 1) % ORDER.length] as Theme;
  localStorage.setItem(KEY, value);
  apply(value);
}
