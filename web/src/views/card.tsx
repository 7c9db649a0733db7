// One model: how strong it is and who says so, under what terms, what it needs, and the nearest way to run it.
import type { Machine, Model } from '../api/types.ts';
import { best } from '../best.ts';
import { bytes, context, day, number, params, percent } from '../format.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { Bar, Command, Reveal } from './parts.tsx';
import { nowLine } from './place-row.tsx';
import { PlacesButton, RunButton } from './run.tsx';

const t = text.models;

/** Elo is a scale of differences: a percent of it would say less than it seems to, so the gap is said instead. */
function eloGap(f: NonNullable<Model['frontier']>): string {
  return number(Math.max(0, Math.round((f.score * 100) / f.percent - f.score)));
}

function Strength({ model }: { model: Model }) {
  const f = model.frontier;
  if (!f) return <p class="strength muted">{t.notMeasured}</p>;
  const elo = /\belo\b/i.test(f.harness);
  return (
    <div class="strength" title={f.harness}>
      {elo ? <p><strong>{t.elo(number(f.score))}</strong>, {t.eloGap(eloGap(f), f.best_model)}</p> : <p><strong>{t.frontier(percent(f.percent))}</strong></p>}
      {!elo && <Bar share={f.percent / 100} />}
      <p class="muted">{t.measured(f.benchmark, day(f.date))}</p>
    </div>
  );
}

function Details({ model }: { model: Model }) {
  const f = model.frontier;
  const rows: [string, string][] = [];
  if (f) {
    rows.push([t.benchmark, f.benchmark], [t.harness, f.harness], [t.date, day(f.date)], [t.best, f.best_model], [t.variantMeasured, f.variant], [t.source, f.source]);
  }
  rows.push([t.licenseTitle, [model.license.name, model.license.summary].filter(Boolean).join('. ')]);
  return (
    <dl class="facts">
      {rows.filter(([, value]) => value).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** "8 x H200 at lambda, $28.90 an hour, ready in about 12 min, 46 tokens/s, $1.20 a million", once it was asked for. */
function BestNow({ model }: { model: Model }) {
  const row = useStore(best, (b) => b.rows[model.id]);
  const others = useStore(best, (b) => Object.values(b.rows).some(Boolean)); // else the page says it once
  if (!row) return row === null && others ? <p class="muted">{text.sheet.nowNowhere}</p> : null;
  return <p class="best-now"><span class="muted">{text.sheet.now}:</span> {nowLine(row)}</p>;
}

function NearestWay({ model, machine, instead }: { model: Model; machine: Machine | null; instead: Model | null }) {
  const has = model.here.has_bytes || machine?.memory_bytes || 0;
  if (model.here.runnable) return (
    <div class="way">
      <p>{t.fits(bytes(model.needs_bytes ?? 0), bytes(has))}</p>
      <BestNow model={model} />
      <div class="actions"><RunButton model={model} /><PlacesButton model={model} /></div>
    </div>
  );
  return (
    <div class="way">
      <p>{model.needs_bytes ? t.needs(bytes(model.needs_bytes), bytes(has)) : t.needsUnknown}</p>
      {model.needs_bytes && !model.here.fits ? <Bar share={has / model.needs_bytes} tone="quiet" label={t.memoryBar} /> : null}
      {model.here.fits && model.here.blocked_by === 'weights' && <div class="muted">{t.fitsNoWeights} <Command line={t.importCommand(model.id)} /></div>}
      {model.here.fits && model.here.blocked_by === 'engine' && <p class="muted">{t.fitsNoEngine}</p>}
      {instead && <p class="muted">{t.wouldFitInstead(instead.name)}</p>}
      <BestNow model={model} />
      <RunButton model={model} />
    </div>
  );
}

/** instead: the nearest that would run here, where the page does not say it for all cards. */
export function ModelCard({ model, machine, instead }: { model: Model; machine: Machine | null; instead: Model | null }) {
  const cls = model.license.class;
  const facts = [
    model.maker, model.params_total_b ? t.params(params(model.params_total_b)) : '', model.context_tok ? t.context(context(model.context_tok)) : '',
  ].filter(Boolean);
  return (
    <li class="card">
      <div class="card-head">
        <span class="rank" aria-label={t.rank(String(model.rank))}>{model.rank}</span>
        <div class="card-name">
          <h3>{model.name}</h3>
          <p class="muted">{facts.join(text.common.dot)}</p>
        </div>
        <span class={`chip license-${cls}`} title={t.licenseHelp[cls]}>{t.licenseWord[cls] ?? cls}</span>
      </div>
      <Strength model={model} />
      <NearestWay model={model} machine={machine} instead={instead} />
      <Reveal summary={t.details}><Details model={model} /></Reveal>
    </li>
  );
}
