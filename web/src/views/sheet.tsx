// The run sheet: three recommendations, what matters, every place with its figures and where they come from, the limit, and Run.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/http.ts';
import type { Model, Ranking } from '../api/types.ts';
import { bytes, context, left, money, number } from '../format.ts';
import { live, run } from '../live.ts';
import { bestOf, closeSheet, costFor, GOALS, isTrust, planFor, ranked, sheet, usualLimit, weightsOf, type Goal, type Row, type Wishes } from '../plans.ts';
import { routeHash } from '../route.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { ActionButton, Command, Field, Reveal } from './parts.tsx';
import { comparison, hostAndName, nameOf, PlaceRow, readersOf, shortFigure } from './place-row.tsx';

const t = text.sheet;
const SHOWN = 12; // beside those, what is nobody else's or not for anybody
const NEAR = new Set<Row['kind']>(['own', 'pool', 'got']);
const CONTEXTS = [0, 4096, 8192, 32_768, 131_072];
const STREAMS = [0, 1, 4, 16, 64];

function Recommended({ rows, chosen, choose }: { rows: Row[]; chosen: string; choose: (row: Row, goal: Goal) => void }) {
  return (
    <div class="best" role="group" aria-label={t.bestLabel}>
      {GOALS.map((goal) => {
        const row = bestOf(rows, goal);
        if (!row) return <div key={goal} class="best-card none"><span class="best-word">{t.best[goal]}</span><span class="muted">{t.noBest[goal]}</span></div>;
        return (
          <button key={goal} type="button" class="best-card" data-goal={goal} aria-pressed={row.id === chosen} onClick={() => choose(row, goal)}>
            <span class="best-word">{t.best[goal]}</span>
            <span class="best-figure">{shortFigure(row, goal)}</span>
            <span class="best-place">{hostAndName(row)}</span>
          </button>
        );
      })}
    </div>
  );
}

function sliderWords(slider: number): string {
  const w = weightsOf(slider);
  const [a, b] = GOALS.filter((g) => w[g] > 0.01).sort((x, y) => w[y] - w[x]).map((g) => t.goals[g] ?? g);
  if (!b) return t.mostly(a ?? '');
  return Math.abs((slider % 1) - 0.5) < 0.01 ? t.both(a ?? '', b) : t.between(a ?? '', b);
}

function Slider({ value, change }: { value: number; change: (v: number) => void }) {
  return (
    <div class="matters">
      <label for="matters">{t.matters}</label>
      <input id="matters" type="range" min={0} max={2} step={0.1} value={value} aria-valuetext={sliderWords(value)} onInput={(e) => change(Number(e.currentTarget.value))} />
      <div class="matters-words">
        {GOALS.map((goal, i) => <button key={goal} type="button" class="tool" aria-pressed={value === i} onClick={() => change(i)}>{t.goals[goal]}</button>)}
      </div>
    </div>
  );
}

function WhyNot({ ranking }: { ranking: Ranking }) {
  const silent = ranking.providers.filter((p) => p.error);
  if (!ranking.refused.length && !ranking.unpriced.length && !silent.length && !ranking.break_even) return null;
  return (
    <Reveal summary={t.whyNot}>
      <ul class="why-not">
        {ranking.refused.map((r) => <li key={r.reason}>{r.why}</li>)}
        {ranking.unpriced.length > 0 && <li>{t.unpriced(ranking.unpriced.join(', '))}</li>}
        {silent.map((p) => <li key={p.name}>{t.accountSilent(p.name, p.error ?? '')}</li>)}
        {ranking.break_even && <li>{ranking.break_even.why}</li>}
      </ul>
    </Reveal>
  );
}

type Readers = 'anybody' | 'own' | 'names';

/** Who may read what is asked. Until somebody is named, nobody else may. */
function ReadersField({ wishes, change }: { wishes: Wishes; change: (w: Wishes) => void }) {
  const said = wishes.trust;
  const [who, setWho] = useState<Readers>(said === undefined ? 'anybody' : said === 'own' ? 'own' : 'names');
  const [names, setNames] = useState(who === 'names' ? (said ?? '') : '');
  const rows = useStore(sheet, (s) => s.rows);
  const known = [...new Set(rows.flatMap((r) => (r.plan?.owned_by ? [`owner/${r.plan.owned_by}`] : r.kind === 'pool' && r.place !== 'pool' ? [r.place] : [])))].slice(0, 8);
  const take = (next: Readers, words: string) => {
    const { trust: _, ...rest } = wishes;
    setWho(next);
    setNames(words);
    if (next === 'anybody') change(rest);
    else if (next === 'own' || !words) change({ ...rest, trust: 'own' });
    else if (isTrust(words)) change({ ...rest, trust: words });
  };
  return (
    <>
      <div class="field">
        <label for="sheet-readers">{t.readers}</label>
        <select id="sheet-readers" value={who} onChange={(e) => take(e.currentTarget.value as Readers, names)}>
          {(['anybody', 'own', 'names'] as const).map((w) => <option key={w} value={w}>{t.readersAre[w]}</option>)}
        </select>
      </div>
      {who === 'names' && <Field label={t.readersNamed} value={names} change={(v) => take('names', v)} hint={t.readersHint} bad={names && !isTrust(names) ? t.readersBad : ''} options={known} />}
    </>
  );
}

function Options({ wishes, change }: { wishes: Wishes; change: (w: Wishes) => void }) {
  const pick = (name: 'context_tok' | 'streams') => (e: { currentTarget: HTMLSelectElement }) => {
    const { [name]: _, ...rest } = wishes;
    const n = Number(e.currentTarget.value);
    change(n ? { ...rest, [name]: n } : rest);
  };
  const keep = (kv_type: string) => {
    const { kv_type: _, ...rest } = wishes;
    change(kv_type ? { ...rest, kv_type } : rest);
  };
  return (
    <Reveal summary={t.options}>
      <div class="fields">
        <div class="field">
          <label for="sheet-context">{t.context}</label>
          <select id="sheet-context" value={wishes.context_tok ?? 0} onChange={pick('context_tok')}>{CONTEXTS.map((n) => <option key={n} value={n}>{n ? context(n) : t.usual}</option>)}</select>
        </div>
        <div class="field">
          <label for="sheet-streams">{t.streams}</label>
          <select id="sheet-streams" value={wishes.streams ?? 0} onChange={pick('streams')}>{STREAMS.map((n) => <option key={n} value={n}>{n || t.usual}</option>)}</select>
        </div>
        <div class="field">
          <label for="sheet-cache">{t.cache}</label>
          <select id="sheet-cache" value={wishes.kv_type ?? ''} onChange={(e) => keep(e.currentTarget.value)}>{['', ...Object.keys(t.caches)].map((k) => <option key={k} value={k}>{t.caches[k] ?? t.usual}</option>)}</select>
        </div>
        <ReadersField wishes={wishes} change={change} />
        <label class="tick">
          <input type="checkbox" checked={!!wishes.spot} onChange={(e) => change({ ...wishes, spot: e.currentTarget.checked })} /> {t.spotWanted}
        </label>
      </div>
    </Reveal>
  );
}

interface Money { hours: string; hour: string; cost: string }
const isPositive = (s: string): boolean => /^\d+(\.\d+)?$/.test(s) && Number(s) > 0;

/** What it may cost in all follows the hours and their price, until somebody puts in something else. */
function follow(row: Row, before: Money, now: Money): Money {
  const all = (m: Money) => (isPositive(m.hours) && isPositive(m.hour) && row.plan ? costFor(row.plan, Number(m.hours), Number(m.hour)).toFixed(2) : '');
  return before.cost && before.cost === all(before) && now.cost === before.cost && all(now) ? { ...now, cost: all(now) } : now;
}

/** That it would end before it is ready; '' where it would not, or that is not known. */
function tooShort(row: Row, hours: string): string {
  return row.plan?.ready_s && isPositive(hours) && Number(hours) * 3600 <= row.plan.ready_s ? t.startAlone(left(row.plan.ready_s * 1000)) : '';
}

function LimitFields({ row, money, set, free }: { row: Row; money: Money; set: (m: Money) => void; free: boolean }) {
  const field = (name: keyof Money, label: string, optional: boolean, hint = '') => (
    <Field label={label} value={money[name]} change={(v) => set({ ...money, [name]: v })} hint={hint || (optional ? t.noLimit : '')}
      bad={isPositive(money[name]) || (optional && !money[name]) ? '' : optional ? t.badOptional : t.badNumber} />
  );
  return (
    <fieldset class="limit">
      <legend>{t.limit}</legend>
      <p class="muted">{t.limitLead}</p>
      <div class="fields">
        {field('hours', t.hours, false, tooShort(row, money.hours))}
        {field('hour', t.mostHour, free)}
        {field('cost', t.mostAll, free)}
      </div>
    </fieldset>
  );
}

/** Null: a field is wrong. */
function limitOf(m: Money, free: boolean) {
  const good = isPositive(m.hours) && [m.hour, m.cost].every((v) => isPositive(v) || (free && !v));
  const micro = (v: string) => Math.round(Number(v) * 1e6);
  return good ? { hour_micro: micro(m.hour), seconds: Math.round(Number(m.hours) * 3600), cost_micro: micro(m.cost), currency: 'USD' } : null;
}

function filledIn(row: Row): Money {
  const u = row.plan ? usualLimit(row.plan) : { hours: 8, hour: 0, cost: 0 };
  const say = (n: number) => (n ? n.toFixed(2) : '');
  return { hours: String(u.hours), hour: say(u.hour), cost: say(u.cost) };
}

/** Why it cannot be started from here, and what to do. */
function Instead({ model, row }: { model: Model; row: Row }) {
  if (row.kind === 'hosted') return <p>{t.hosted('named')}</p>;
  if (row.kind === 'listed') return <p>{t.listed} <a href={routeHash('machines')} onClick={closeSheet}>{t.addPlace}</a></p>;
  return <div>{text.models.starterMissing} <Command line={text.models.importCommand(model.id)} /></div>;
}

const canStart = (model: Model, row: Row): boolean =>
  row.kind === 'rented' || row.kind === 'got' || (model.weights.present && (row.kind === 'own' || row.kind === 'pool'));

function sumUp(limit: ReturnType<typeof limitOf> | undefined): string {
  if (!limit) return '';
  const most = (micro: number, say: (amount: string) => string) => (micro ? say(money(micro / 1e6, limit.currency)) : '');
  return t.atMost([t.hoursMost(number(limit.seconds / 3600, limit.seconds % 3600 ? 1 : 0)), most(limit.hour_micro, t.anHour), most(limit.cost_micro, t.inAll)].filter(Boolean).join(', '));
}

/** What is chosen, what it may cost, and Run. */
function Foot({ model, row, wishes, note }: { model: Model; row: Row; wishes: Wishes; note: string }) {
  const [limits, setLimits] = useState(filledIn(row));
  const [problem, setProblem] = useState<ApiError | null>(null);
  const costs = row.kind === 'rented' || row.kind === 'got';
  const limit = costs ? limitOf(limits, row.kind === 'got') : undefined;
  const { context_tok, streams, kv_type, trust } = wishes;
  const start = async () => {
    try {
      const offer = row.kind === 'rented' ? row.plan?.name : null;
      await run(model.id, { place: row.place, ...(offer ? { offer } : {}), ...(context_tok ? { context_tok } : {}), ...(streams ? { streams } : {}), ...(kv_type ? { kv_type } : {}), ...(trust ? { trust } : {}), ...(limit ? { limit } : {}) });
      closeSheet();
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      setProblem(e);
    }
  };
  const can = canStart(model, row);
  return (
    <>
      {costs && <LimitFields row={row} money={limits} set={(m) => setLimits(follow(row, limits, m))} free={row.kind === 'got'} />}
      {note && <p class="sheet-note">{note}</p>}
      <div class="sheet-foot">
        {problem && <div class="problem" role="alert"><p>{problem.message}</p>{problem.hint && <p>{problem.hint}</p>}</div>}
        {!can && <Instead model={model} row={row} />}
        {can && (
          <div class="sheet-run">
            <p>{t.chosen(hostAndName(row))} <span class="muted">{[readersOf(row), sumUp(limit ?? undefined)].filter(Boolean).join(' ')}</span></p>
            {limit !== null && <ActionButton class="button primary" run={start} busy={t.starting}><Icon name="play" size={16} /> {t.runAt(nameOf(row))}</ActionButton>}
          </div>
        )}
      </div>
    </>
  );
}

function Nothing({ ranking }: { ranking: Ranking }) {
  const s = ranking.smallest;
  return (
    <div class="sheet-none">
      <p><strong>{t.none}</strong></p>
      {s?.host && <p>{t.smallest(s.host, bytes(s.needs_bytes ?? 0))}</p>}
      <a class="button" href={routeHash('machines')} onClick={closeSheet}>{t.addPlace}</a>
    </div>
  );
}

interface PlacesProps { model: Model; ranking: Ranking; rows: Row[]; wishes: Wishes; options: ComponentChildren }

function Places({ model, ranking, rows, wishes, options }: PlacesProps) {
  const [slider, setSlider] = useState(0);
  const [picked, pick] = useState('');
  const [all, setAll] = useState(false);
  const list = useMemo(() => ranked(rows, slider), [rows, slider]);
  const first = list[0];
  const chosen = list.find((r) => r.id === picked) ?? first;
  if (!first || !chosen) return <>{options}<WhyNot ranking={ranking} /><Nothing ranking={ranking} /></>;
  const shown = all ? list : list.filter((r, i) => i < SHOWN || r === chosen || NEAR.has(r.kind));
  const note = ranking.providers.find((p) => chosen.place === `provider/${p.name}`)?.note ?? '';
  const words = [chosen === first && slider === 0 ? ranking.why : chosen === first ? t.first : '', comparison(chosen, first)].filter(Boolean).join(text.common.dot);
  return (
    <>
      <Recommended rows={rows} chosen={chosen.id} choose={(row, goal) => { pick(row.id); setSlider(GOALS.indexOf(goal)); }} />
      <Slider value={slider} change={(v) => { setSlider(v); pick(''); }} />
      <fieldset class="places" data-test="places">
        <legend>{t.list} <span class="muted">{t.counted(number(list.length))}</span></legend>
        <div class="place-row place-heads" aria-hidden="true">
          <span /><span>{t.columns.price}</span><span>{t.columns.speed}</span><span>{t.columns.energy}</span><span>{t.columns.ready}</span>
        </div>
        {shown.map((row) => <PlaceRow key={row.id} row={row} first={first} chosen={row === chosen} choose={() => pick(row.id)} />)}
        {shown.length < list.length && <button type="button" class="button" onClick={() => setAll(true)}>{t.showAll(number(list.length))}</button>}
      </fieldset>
      {words && <p><strong>{t.why}:</strong> {words}</p>}
      <WhyNot ranking={ranking} />
      {options}
      <Foot key={chosen.id} model={model} row={chosen} wishes={wishes} note={note} />
    </>
  );
}

function Body({ model }: { model: Model }) {
  const ranking = useStore(sheet, (s) => s.ranking);
  const rows = useStore(sheet, (s) => s.rows);
  const [wishes, setWishes] = useState<Wishes>({});
  const [problem, setProblem] = useState<ApiError | null>(null);
  useEffect(() => {
    setProblem(null);
    planFor(model.id, wishes).catch((e: unknown) => setProblem(e instanceof ApiError ? e : new ApiError(0, t.failed)));
  }, [model.id, wishes]);
  return (
    <>
      {problem && <div class="problem" role="alert"><p>{problem.message}</p>{problem.hint && <p>{problem.hint}</p>}</div>}
      {!ranking && !problem && <div class="waiting" role="status"><span class="visually-hidden">{t.asking}</span><i /><i /></div>}
      {ranking && <Places model={model} ranking={ranking} rows={rows} wishes={wishes} options={<Options wishes={wishes} change={setWishes} />} />}
    </>
  );
}

export function RunSheet() {
  const id = useStore(sheet, (s) => s.model);
  const model = useStore(live, (l) => l.models?.find((m) => m.id === id));
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (model && !box.current?.open) box.current?.showModal();
    if (!model) box.current?.close();
  }, [model?.id]);
  return (
    <dialog class="sheet" ref={box} onClose={closeSheet} aria-labelledby="sheet-title">
      {model && (
        <>
          <div class="sheet-head">
            <h2 id="sheet-title">{t.title(model.name)}</h2>
            <button type="button" class="icon-button" aria-label={t.close} onClick={closeSheet}><Icon name="close" /></button>
          </div>
          <div class="sheet-body"><Body key={model.id} model={model} /></div>
        </>
      )}
    </dialog>
  );
}
