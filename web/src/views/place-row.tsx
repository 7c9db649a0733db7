// One place of the run sheet: its price, speed, energy and time until it is ready, each with what it is known by.
import type { Plan } from '../api/types.ts';
import { energy, left, money, number } from '../format.ts';
import { against, type Goal, type Row } from '../plans.ts';
import { text } from '../text.ts';

const t = text.sheet;
const NUSD = 1e9;
const UJ_PER_WH = 3.6e9;

export function nameOf(row: Row): string {
  if (row.kind === 'own') return t.thisMachine;
  if (row.place === 'pool') return t.anyOfPool;
  if (row.kind === 'pool') return t.pool(row.place.replace('node/', ''));
  return row.place.replace('provider/', '');
}

/** "8 x H200 SXM 141 GB at my-runpod": an account has many. */
export function hostAndName(row: Row): string {
  return row.kind === 'rented' && row.plan?.host ? t.at(row.plan.host, nameOf(row)) : nameOf(row);
}

const some = (parts: (string | null | undefined | false)[]): string => parts.filter(Boolean).join(text.common.dot);

function about(row: Row): string {
  const p = row.plan;
  const host = row.kind === 'rented' || row.kind === 'listed' ? p?.host : null;
  const where = row.place === 'pool' ? t.wherePool : t.where[row.kind];
  const name = row.kind === 'rented' ? '' : p?.name; // an account's word for an offer is for machines
  return some([host, name, p?.region, where, p?.owned_by && t.ownedBy(p.owned_by), p?.spot && t.spot, row.kind === 'listed' && p?.source, precision(p)]);
}

/** The model's score belongs to one set of weights: another one is named. */
function precision(p: Plan | null): string {
  return p?.variant && p.scored === false ? t.notScored(p.variant) : '';
}

/** Who can read what is asked there. */
export function readersOf(row: Row): string {
  if (row.kind === 'own' || row.plan?.read_by === 'own') return t.readNobody;
  return row.plan?.owned_by && row.place !== 'pool' ? t.readBy(row.plan.owned_by) : t.readAnybody;
}

interface Said { value: string; more?: string; basis: string }

function priceOf(row: Row): Said {
  const p = row.plan;
  const listed = row.kind === 'pool' ? t.basis.asked : t.basis.listed;
  if (row.ask) return { value: row.ask.hour === 0 ? t.free : t.anHour(money(row.ask.hour, row.ask.currency)), basis: t.basis.asked ?? '' };
  if (!p) return { value: t.unknown, basis: '' };
  if (p.hour_nusd === 0) return { value: t.free, basis: row.kind === 'own' ? '' : (listed ?? '') };
  const million = p.nusd_per_million === null ? '' : t.million(money(p.nusd_per_million / NUSD));
  if (p.hour_nusd === null) return { value: million || t.unknown, basis: listed ?? '' };
  return { value: t.anHour(money(p.hour_nusd / NUSD)), more: million ? `${million}, ${t.basis.modelled}` : '', basis: listed ?? '' };
}

function speedOf(p: Plan | null): Said {
  if (!p?.tokens_per_second) return { value: t.unknown, basis: '' };
  const spread = p.measured_runs > 1 && p.tokens_per_second_low && p.tokens_per_second_high ? t.spread(number(p.tokens_per_second_low), number(p.tokens_per_second_high)) : '';
  return { value: t.tokensPerSecond(number(p.tokens_per_second)), more: spread, basis: p.measured_runs ? t.runs(p.measured_runs, number(p.measured_runs)) : (t.basis.modelled ?? '') };
}

function energyOf(p: Plan | null): Said {
  if (p?.uj_per_million === null || !p) return { value: t.unknown, basis: '' };
  return { value: t.million(energy(p.uj_per_million / UJ_PER_WH)), basis: t.basis.modelled ?? '' };
}

function readyOf(row: Row): Said {
  if (row.kind === 'hosted') return { value: t.atOnce, basis: '' };
  if (!row.plan) return { value: t.unknown, basis: '' };
  const cost = row.plan.start_nusd ? t.startCost(money(row.plan.start_nusd / NUSD)) : '';
  return { value: row.plan.ready_s ? left(row.plan.ready_s * 1000) : t.soon, more: cost, basis: t.basis.modelled ?? '' };
}

export function shortFigure(row: Row, goal: Goal): string {
  return (goal === 'price' ? priceOf(row) : goal === 'speed' ? speedOf(row.plan) : energyOf(row.plan)).value;
}

/** "2.1x the price · 0.6x the speed of the first"; '' for the first itself, and where nothing can be compared. */
export function comparison(row: Row, first: Row): string {
  if (row === first) return '';
  const parts = against(row, first).map(({ goal, times }) => t.times[goal]?.(number(goal === 'speed' ? 1 / times : times, 1)) ?? '');
  return parts.length ? t.ofFirst(some(parts)) : '';
}

function Cell({ name, said }: { name: string; said: Said }) {
  return (
    <span class="place-cell">
      <span class="place-name muted">{name}</span>
      <span>{said.value}</span>
      {said.basis && <small class="muted">{said.basis}</small>}
      {said.more && <small class="muted">{said.more}</small>}
    </span>
  );
}

export function PlaceRow({ row, first, chosen, choose }: { row: Row; first: Row; chosen: boolean; choose: () => void }) {
  const compared = comparison(row, first);
  return (
    <label class={`place-row ${chosen ? 'chosen' : ''}`} data-place={row.place} data-offer={row.plan?.name ?? ''}>
      <span class="place-what">
        <input type="radio" name="place" checked={chosen} onChange={choose} />
        <span>
          <strong>{nameOf(row)}</strong>
          <small class="muted">{about(row)}</small>
          {compared && <small class="muted">{compared}</small>}
        </span>
      </span>
      <Cell name={t.columns.price} said={priceOf(row)} />
      <Cell name={t.columns.speed} said={speedOf(row.plan)} />
      <Cell name={t.columns.energy} said={energyOf(row.plan)} />
      <Cell name={t.columns.ready} said={readyOf(row)} />
    </label>
  );
}

/** All that matters of one place, in a line. */
export function nowLine(row: Row): string {
  if (row.kind === 'own') return t.nowFree;
  const host = row.plan?.host && (row.kind === 'rented' || row.kind === 'listed') ? t.at(row.plan.host, nameOf(row)) : nameOf(row);
  const price = priceOf(row);
  const p = row.plan;
  const rest = [
    price.value, row.kind === 'hosted' ? '' : t.readyIn(readyOf(row).value), p?.tokens_per_second ? speedOf(p).value : '', p?.hour_nusd && p.nusd_per_million !== null ? t.million(money(p.nusd_per_million / NUSD)) : '', precision(p),
  ];
  return [host, ...rest].filter(Boolean).join(', ');
}
