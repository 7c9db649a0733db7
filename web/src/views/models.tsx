// The first screen: what can be tried at once, then the ten strongest open models, then all others.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Machine, Model } from '../api/types.ts';
import { best, refreshBest } from '../best.ts';
import { bytes, context, number, params, percent } from '../format.ts';
import { live, refreshModels } from '../live.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { ModelCard } from './card.tsx';
import { Icon } from './icons.tsx';
import { ActionButton, Command } from './parts.tsx';
import { deploymentOf, PlacesButton, RunButton } from './run.tsx';

const t = text.models;

function MachineLine({ machine }: { machine: Machine }) {
  const parts = [machine.cpu, t.cores(number(machine.cores)), t.memory(bytes(machine.memory_bytes))].filter(Boolean);
  return (
    <p class="machine-line">
      <span class="muted">{t.thisMachine}</span> {parts.join(text.common.dot)}
    </p>
  );
}

/** What the machine runs at a press, and the nearest that it would run: said once for all that are too large for it. */
function RunsHere({ now, fits }: { now: Model | null; fits: Model | null }) {
  const would = fits && fits !== now ? t.wouldFit(fits.name) : '';
  return (
    <div class="machine-line">
      <span class="muted">{t.runsNow}</span> {[now ? now.name : t.nothingYet, would].filter(Boolean).join('; ')}
      {now && !now.starter && <span class="quiet-run"><RunButton model={now} /></span>}
    </div>
  );
}

/** The answer that most of them give. */
function commonNearest(models: Model[]): string | null {
  const votes = new Map<string, number>();
  for (const m of models) if (!m.here.runnable && m.here.nearest) votes.set(m.here.nearest, (votes.get(m.here.nearest) ?? 0) + 1);
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function TryNow({ model }: { model: Model }) {
  const size = bytes(model.weights.bytes || model.weights_bytes || 0);
  const facts = [
    model.weights.present ? t.onDisk(size) : t.notOnDisk(size),
    model.params_total_b ? t.params(params(model.params_total_b)) : '',
    model.context_tok ? t.context(context(model.context_tok)) : '',
    model.license.name,
  ].filter(Boolean);
  const missing = model.here.blocked_by === 'weights';
  return (
    <section class="try-now" aria-labelledby="try-now">
      <div>
        <h2 id="try-now">{t.tryNow}</h2>
        <p class="try-name">{model.name}</p>
        <p>{t.starterLead}</p>
        <p class="muted">{facts.join(text.common.dot)}</p>
        {missing && <div>{t.starterMissing} <Command line={t.starterCommand} /></div>}
      </div>
      {!missing && <div class="actions try-actions"><RunButton model={model} big /><PlacesButton model={model} /></div>}
    </section>
  );
}

function here(model: Model, running: boolean): string {
  if (running) return t.here.running;
  if (model.here.runnable) return t.here.runs;
  if (model.needs_bytes === null) return t.here.unknown;
  if (!model.here.fits) return t.here.large;
  return model.here.blocked_by === 'engine' ? t.here.engine : t.here.fits;
}

function OtherRow({ model, running }: { model: Model; running: boolean }) {
  const word = here(model, running);
  return (
    <tr>
      <th scope="row">
        {model.name} <span class="muted">{model.maker}</span>
      </th>
      <td class="figure">{model.frontier ? percent(model.frontier.percent) : <span class="muted">–</span>}</td>
      <td class="figure">{model.needs_bytes ? bytes(model.needs_bytes) : <span class="muted">–</span>}</td>
      <td title={model.here.why}>
        {model.here.runnable || running ? <RunButton model={model} /> : <><span class="muted">{word}</span> <PlacesButton model={model} word={text.sheet.places} label={text.sheet.placesFor(model.name)} /></>}
      </td>
      <td class="wide-only">{t.licenseWord[model.license.class] ?? model.license.class}</td>
    </tr>
  );
}

function Others({ models }: { models: Model[] }) {
  const [open, setOpen] = useState(false);
  const [find, setFind] = useState('');
  const list = useStore(live, (l) => l.deployments);
  const shown = models.filter((m) => `${m.name} ${m.maker} ${m.id}`.toLowerCase().includes(find.trim().toLowerCase()));
  return (
    <section class="others" aria-labelledby="others">
      <div class="section-head">
        <h2 id="others">{t.others}</h2>
        <p class="muted">{t.othersLead(number(models.length))}</p>
        <button type="button" class="button" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? t.hideOthers : t.showOthers}</button>
      </div>
      {open && (
        <>
          <label class="find">
            <Icon name="search" />
            <span class="visually-hidden">{t.filter}</span>
            <input type="search" placeholder={t.filter} value={find} onInput={(e) => setFind(e.currentTarget.value)} />
          </label>
          <div class="table-wrap">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t.columns.model}</th>
                  <th scope="col" class="figure">{t.columns.frontier}</th>
                  <th scope="col" class="figure">{t.columns.needs}</th>
                  <th scope="col">{t.columns.here}</th>
                  <th scope="col" class="wide-only">{t.columns.license}</th>
                </tr>
              </thead>
              <tbody>{shown.map((m) => <OtherRow key={m.id} model={m} running={!!deploymentOf(m, list)} />)}</tbody>
            </table>
            {!shown.length && <p class="muted nothing">{t.noMatch}</p>}
          </div>
        </>
      )}
    </section>
  );
}

function Waiting() {
  const problem = useStore(live, (l) => l.modelsError);
  if (!problem) return <div class="waiting" role="status"><span class="visually-hidden">{text.common.loading}</span><i /><i /><i /></div>;
  return (
    <section class="empty">
      <h1>{t.none}</h1>
      <p>{problem.message} {problem.hint}</p>
      <ActionButton class="button" run={refreshModels}>{text.common.retry}</ActionButton>
    </section>
  );
}

export function ModelsPage() {
  const models = useStore(live, (l) => l.models);
  const machine = useStore(live, (l) => l.machine);
  const byId = useMemo(() => new Map((models ?? []).map((m) => [m.id, m])), [models]);
  const known = useStore(best, (b) => b.rows);
  useEffect(() => {
    if (models) void refreshBest(models.filter((m) => m.top_ten).map((m) => m.id));
  }, [models]);
  if (!models) return <Waiting />;
  const starter = models.find((m) => m.starter);
  const topTen = models.filter((m) => m.top_ten).sort((a, b) => (a.rank ?? 99) - (b.rank ?? 99));
  const now = models.filter((m) => m.here.runnable).sort((a, b) => (b.params_total_b ?? 0) - (a.params_total_b ?? 0))[0] ?? null;
  const nearest = commonNearest(topTen);
  const named = (id: string | null) => (id ? byId.get(id) ?? null : null);
  const others = models.filter((m) => !m.top_ten && !m.starter);
  return (
    <div class="models">
      <h1 class="visually-hidden">{t.title}</h1>
      {starter && <TryNow model={starter} />}
      <section aria-labelledby="top-ten">
        <div class="section-head">
          <h2 id="top-ten">{t.topTen}</h2>
          <p class="muted">{t.topTenLead}</p>
          {machine && <MachineLine machine={machine} />}
          {topTen.length > 0 && topTen.every((m) => known[m.id] === null) && <p class="muted machine-line">{text.sheet.nowNone}</p>}
          {topTen.some((m) => !m.here.runnable) && <RunsHere now={now} fits={named(nearest)} />}
        </div>
        <ol class="cards">
          {topTen.map((m) => <ModelCard key={m.id} model={m} machine={machine} instead={m.here.nearest === nearest ? null : named(m.here.nearest)} />)}
        </ol>
      </section>
      {others.length > 0 && <Others models={others} />}
    </div>
  );
}
