// The machines of the pool, asked for while somebody looks, and what may be done with them.
import { json, request } from './api/http.ts';
import type { Deployment, List, Machine, NodeToken, Owner, PoolNode } from './api/types.ts';
import { isResting } from './api/types.ts';
import { bytes, money, number } from './format.ts';
import { createStore } from './store.ts';
import { text } from './text.ts';

export const places = createStore<{ nodes: PoolNode[] | null }>({ nodes: null });

export async function refreshNodes(): Promise<void> {
  places.set({ nodes: (await json<List<PoolNode>>('/api/v1/nodes')).items });
}

export async function drainNode(name: string): Promise<void> {
  await json(`/api/v1/nodes/${encodeURIComponent(name)}/drain`, { method: 'POST', body: {} });
  await refreshNodes();
}

export async function undrainNode(name: string): Promise<void> {
  await json(`/api/v1/nodes/${encodeURIComponent(name)}/undrain`, { method: 'POST', body: {} });
  await refreshNodes();
}

export async function removeNode(name: string): Promise<void> {
  await request(`/api/v1/nodes/${encodeURIComponent(name)}`, { method: 'DELETE' });
  await refreshNodes();
}

/** A token, for one machine and one hour. The page keeps it nowhere. */
export function newToken(): Promise<NodeToken> {
  return json<NodeToken>('/api/v1/nodes/token', { method: 'POST', body: {} });
}

export type Presence = 'here' | 'closed' | 'away' | 'draining'; // closed: it is here, and its owner does not lend it now

export interface Block { // one machine, whoever owns it, as the page draws it
  name: string; // '' is this machine
  presence: Presence;
  hasBytes: number; // 0: not known
  usedBytes: number | null; // by everything on it; null: not known
  modelBytes: number; // of that, by engines
  runs: Deployment[];
}

function blockOf(name: string, place: string, presence: Presence, has: number, free: number | null, all: Deployment[]): Block {
  const runs = all.filter((d) => d.place === place && !isResting(d.state));
  return { name, presence, hasBytes: has, usedBytes: free === null ? null : Math.max(0, has - free), modelBytes: runs.reduce((sum, d) => sum + d.rss_bytes, 0), runs };
}

export function presenceOf(n: PoolNode): Presence {
  if (n.state === 'draining') return 'draining';
  if (!n.here) return 'away';
  return n.owner?.closed ? 'closed' : 'here';
}

/** This machine, where it is known, then the pool in the order of joining. Pure. */
export function blocksOf(machine: Machine | null, nodes: PoolNode[], deployments: Deployment[]): Block[] {
  const own = machine ? [blockOf('', 'here', 'here', machine.memory_bytes, machine.memory_free_bytes, deployments)] : [];
  const others = nodes.map((n) => {
    return blockOf(n.name, `node/${n.name}`, presenceOf(n), n.memory_bytes ?? n.facts.memory_bytes ?? 0, n.memory_free_bytes, deployments);
  });
  return [...own, ...others];
}

/** '' where it asks for nothing. */
export function askOf(n: PoolNode): string {
  return n.ask_micro_per_hour ? text.machines.anHour(money(n.ask_micro_per_hour / 1e6, n.ask_currency)) : '';
}

/** "Lent mon-fri 18:00-08:00 · only for smollm2 · with 2 GB of its memory"; '' where there is nothing to say. Pure. */
export function lentOf(o: Owner | null): string {
  const t = text.machines.lent;
  const parts = [
    o?.hours ? t.hours(o.hours) : '', o?.models?.length ? t.models(o.models.join(', ')) : '', o?.not_models?.length ? t.notModels(o.not_models.join(', ')) : '',
    o?.memory_bytes ? t.memory(bytes(o.memory_bytes)) : '', o?.disk_bytes ? t.disk(bytes(o.disk_bytes)) : '',
    o?.engines ? t.engines(o.engines, number(o.engines)) : '', o?.threads ? t.threads(o.threads, number(o.threads)) : '',
  ].filter(Boolean);
  return parts.length ? t.lead(parts.join(text.common.dot)) : '';
}

const ASK = /^\d{1,7}(\.\d{1,6})?([A-Z]{3})?$/;
const ADDRESS = /^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])$/;
export const isAsk = (text: string): boolean => text === '' || ASK.test(text);
export const isAddress = (text: string): boolean => ADDRESS.test(text);
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || host.startsWith('127.');

/** What to type on the machine that joins. The token goes through a pipe: what a program is started with, others on that machine can read. Pure. */
export function joinLine(token: string, address: string, port: number, ask: string): string {
  return `echo ${token} | freehold node join https://${address}:${port}${ask ? ` --ask ${ask}` : ''}`;
}
