// Providers: hosted endpoints, accounts that machines are rented of, and what machines are got of by a login.
import { json, request } from './api/http.ts';
import { kindClass, type List, type Provider } from './api/types.ts';
import { forgetBest } from './best.ts';
import { createStore } from './store.ts';

export const providers = createStore<{ list: Provider[] | null }>({ list: null });

export const PROVIDER_KINDS = ['openai', 'anthropic', 'runpod', 'vast', 'lambda', 'slurm', 'ssh'] as const;

export interface ProviderFields { // as they are typed
  kind: string;
  name: string;
  url: string;
  key: string;
  keyFile: string;
  priceIn: string;
  priceOut: string;
  settings: string; // KEY=VALUE, with spaces between them
}

export const newProvider = (): ProviderFields => ({ kind: 'openai', name: '', url: '', key: '', keyFile: '', priceIn: '', priceOut: '', settings: '' });

const nusd = (dollars: string): number => Math.round(Number(dollars) * 1e9);

/** What is sent: the fields of its kind, those that were filled in. Pure. */
export function bodyOf(f: ProviderFields): Record<string, unknown> {
  const body: Record<string, unknown> = { name: f.name, kind: f.kind };
  const kind = kindClass(f.kind);
  if (kind !== 'rented' && f.url) body.url = f.url;
  if (kind === 'hosted' && f.key) body.key = f.key;
  if (kind !== 'hosted' && f.keyFile) body.key_file = f.keyFile;
  if (kind === 'hosted' && f.priceIn && f.priceOut) body.prices = [{ input_nusd_per_million: nusd(f.priceIn), output_nusd_per_million: nusd(f.priceOut) }];
  if (kind !== 'hosted' && f.settings) body.settings = Object.fromEntries(f.settings.split(/\s+/).map((s) => [s.split('=')[0], s.slice(s.indexOf('=') + 1)]));
  return body;
}

/** What requests call the models of hosted endpoints. Pure. */
export function hostedModels(list: Provider[]): string[] {
  return list.filter((p) => kindClass(p.kind) === 'hosted').flatMap((p) => p.models.map((m) => `provider/${p.name}/${m}`));
}

export async function refreshProviders(): Promise<void> {
  providers.set({ list: (await json<List<Provider>>('/api/v1/providers')).items });
}

export async function addProvider(f: ProviderFields): Promise<void> {
  await json('/api/v1/providers', { method: 'POST', body: bodyOf(f), timeoutMs: 30_000 });
  forgetBest();
  await refreshProviders();
}

export async function checkProvider(name: string): Promise<Provider> {
  const now = await json<Provider>(`/api/v1/providers/${encodeURIComponent(name)}/check`, { method: 'POST', body: {}, timeoutMs: 30_000 });
  await refreshProviders();
  return now;
}

export async function removeProvider(name: string): Promise<void> {
  await request(`/api/v1/providers/${encodeURIComponent(name)}`, { method: 'DELETE' });
  forgetBest();
  await refreshProviders();
}
