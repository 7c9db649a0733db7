// What runs: each deployment with its progress, then its figures, its log, and Stop with what stopping loses.
import { useEffect, useRef, useState } from 'preact/hooks';
import { request } from '../api/http.ts';
import { isResting, type Deployment, type EngineLoad, type PoolNode } from '../api/types.ts';
import { chat } from '../chat/conversation.ts';
import { bytes, clock, money, number, percent, since } from '../format.ts';
import { live, refreshHistory, run, stop } from '../live.ts';
import { announce, complain } from '../notices.ts';
import { askOf, places, refreshNodes } from '../places.ts';
import { route, routeHash } from '../route.ts';
import { useStore, useTick } from '../store.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { ActionButton, Figure } from './parts.tsx';
import { Timeline } from './timeline.tsx';
import { TrafficSection } from './traffic.tsx';

const t = text.running;
const LOG_POLL_MS = 2_000;

// What the engine says of itself; what it does not say is not shown.
function Load({ l }: { l: EngineLoad }) {
  const requests = [l.running !== null && t.loadRunning(number(l.running)), l.waiting !== null && t.loadWaiting(number(l.waiting))].filter(Boolean).join(', ');
  return (
    <>
      {requests && <Figure name={t.load} value={requests} note={l.tokens_per_second === null ? undefined : t.tokensPerSecond(number(l.tokens_per_second, 1))} />}
      {l.kv_used !== null && <Figure name={t.cache} value={percent(l.kv_used * 100)} />}
    </>
  );
}

const readersOf = (d: Deployment): string => (d.read_by === 'own' ? t.readNobody : d.owned_by ? t.readBy(d.owned_by) : t.readAnybody);

function Figures({ d }: { d: Deployment }) {
  const seen = useStore(chat, (c) => c.messages.findLast((m) => m.tokensPerSecond && (m.model === d.model || !m.model))?.tokensPerSecond);
  useTick(1_000, true);
  return (
    <dl class="figures">
      <Figure name={t.speed} value={seen ? t.tokensPerSecond(number(seen, 1)) : '–'} note={seen ? t.speedHere : t.noSpeed} />
      <Figure name={t.memory} value={d.rss_bytes ? bytes(d.rss_bytes) : text.common.unknown} />
      {d.load && <Load l={d.load} />}
      <Figure name={t.context} value={d.context_tok ? t.tokens(number(d.context_tok)) : text.common.unknown} />
      {d.kv_type && <Figure name={t.cacheType} value={d.kv_type.toUpperCase()} />}
      <Figure name={t.since} value={since(Date.now() - Date.parse(d.changed))} />
      {d.read_by && <Figure name={t.readers} value={readersOf(d)} note={d.trust ? t.trusts(d.trust) : undefined} />}
      <Figure name={t.sandbox} value={d.sandbox || text.common.unknown} />
      <Figure name={t.restarts} value={number(d.restarts)} />
    </dl>
  );
}

/** What its place costs: a machine that was got for it by what that says, one of the pool by what its owner asks for. */
function priceOf(d: Deployment, nodes: PoolNode[]): string {
  if (d.machine) return d.machine.hour_micro && d.machine.currency ? t.anHour(money(d.machine.hour_micro / 1e6, d.machine.currency)) : '';
  if (d.place === 'here') return t.free;
  const node = nodes.find((n) => d.place === `node/${n.name}`);
  return node ? askOf(node) || t.asksNothing : '';
}

function limitOf(d: Deployment): string {
  const l = d.limit;
  if (!l) return '';
  const amount = (micro: number, say: (a: string) => string) => (micro && l.currency ? say(money(micro / 1e6, l.currency)) : '');
  return t.limit([l.seconds ? t.limitHours(number(l.seconds / 3600, l.seconds % 3600 ? 1 : 0)) : '', amount(l.hour_micro, t.limitHour), amount(l.cost_micro, t.limitAll)].filter(Boolean).join(', '));
}

/** "$9.52 an hour · $1.20 so far, at most · until 18:40:00 · limit 8 h, $9.52 an hour, $87.55 in all" */
function Price({ d }: { d: Deployment }) {
  const nodes = useStore(places, (p) => p.nodes);
  const m = d.machine;
  const pooled = d.place.startsWith('node/') && !m;
  useEffect(() => {
    if (pooled) refreshNodes().catch(() => undefined);
  }, [pooled, d.place]);
  const parts = [
    priceOf(d, nodes ?? []), m?.spent_micro && m.currency ? t.soFar(money(m.spent_micro / 1e6, m.currency)) : '', m?.ends ? t.endsAt(clock(Date.parse(m.ends))) : '', m?.leaving ? t.leaving : '', limitOf(d),
  ].filter(Boolean);
  return parts.length ? <p class="muted price" data-test="price">{t.price}: {parts.join(text.common.dot)}</p> : null;
}

function Log({ name }: { name: string }) {
  const [lines, setLines] = useState<string | null>(null);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    let gone = false;
    const read = () =>
      request(`/api/v1/deployments/${encodeURIComponent(name)}/logs`).then((r) => r.text()).then((body) => {
        const atEnd = !box.current || box.current.scrollTop + box.current.clientHeight >= box.current.scrollHeight - 8;
        if (!gone) setLines(body);
        if (atEnd) requestAnimationFrame(() => box.current?.scrollTo(0, box.current.scrollHeight));
      });
    read().catch(complain);
    const timer = setInterval(() => read().catch(() => undefined), LOG_POLL_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [name]);
  return <pre class="log" ref={box} tabIndex={0} aria-label={t.logLabel(name)}>{lines === null ? `${text.common.loading}…` : lines.trim() || t.logEmpty}</pre>;
}

function Actions({ d, logOpen, onLog }: { d: Deployment; logOpen: boolean; onLog: () => void }) {
  const resting = isResting(d.state);
  return (
    <div class="actions">
      {d.state === 'ready' && <a class="button primary" href={routeHash('chat', d.name)}>{t.chat}</a>}
      {resting && (
        <ActionButton class="button primary" run={() => run(d.model)}><Icon name="play" size={16} /> {t.again}</ActionButton>
      )}
      <button type="button" class="button" aria-expanded={logOpen} onClick={onLog}>{logOpen ? t.hideLogs : t.logs}</button>
      {!resting && d.state !== 'draining' && (
        <>
          <ActionButton class="button danger" run={() => stop(d.name)} busy={t.stopping} label={`${t.stop} ${d.name}`}><Icon name="stop" size={16} /> {t.stop}</ActionButton>
          <p class="muted stop-loses">{d.machine ? t.stopGivesBack : t.stopLoses(d.rss_bytes ? bytes(d.rss_bytes) : t.memory.toLowerCase())}</p>
        </>
      )}
    </div>
  );
}

function Panel({ d, wanted }: { d: Deployment; wanted: boolean }) {
  const history = useStore(live, (l) => l.history[d.name]);
  const launching = useStore(live, (l) => l.launching === d.name);
  const model = useStore(live, (l) => l.models?.find((m) => m.id === d.model));
  const [log, setLog] = useState(false);
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    refreshHistory(d.name).catch(() => undefined);
  }, [d.name, d.state]);
  useEffect(() => announce(t.announce(d.name, t.states[d.state] ?? d.state)), [d.state]);
  useEffect(() => {
    if (wanted) box.current?.scrollIntoView({ block: 'nearest' });
  }, [wanted]);
  return (
    <article class={`panel ${wanted ? 'wanted' : ''}`} ref={box} aria-label={d.name} data-deployment={d.name} data-state={d.state} data-pid={d.pid}>
      <div class="panel-head">
        <div>
          <h2>{model?.name ?? d.model}</h2>
          <p class="muted">{[d.name, d.variant, t.on(d.place), d.machine && d.machine.provider !== d.place ? t.got(d.machine.provider) : ''].filter(Boolean).join(text.common.dot)}</p>
          {!isResting(d.state) && <Price d={d} />}
          {!isResting(d.state) && d.machine?.note && <p class="muted" data-test="note">{t.note(d.machine.note)}</p>}
        </div>
        <span class={`chip state-${d.state}`}>{t.states[d.state] ?? d.state}</span>
      </div>
      {d.state === 'failed' && (
        <div class="problem" role="alert">
          <p>{d.reason}</p>
          {d.hint && <p><strong>{t.what}:</strong> {d.hint}</p>}
        </div>
      )}
      <Timeline d={d} history={history ?? []} />
      {launching && d.state !== 'ready' && <p class="muted">{t.opensChat}</p>}
      {d.state === 'ready' && <Figures d={d} />}
      <Actions d={d} logOpen={log} onLog={() => setLog(!log)} />
      {log && <Log name={d.name} />}
    </article>
  );
}

export function RunningPage() {
  const list = useStore(live, (l) => l.deployments);
  const wanted = useStore(route, (r) => r.name);
  if (!list) return <div class="waiting" role="status"><span class="visually-hidden">{text.common.loading}</span><i /><i /></div>;
  const active = list.filter((d) => !isResting(d.state));
  const earlier = list.filter((d) => isResting(d.state));
  return (
    <div class="running">
      <h1>{t.title}</h1>
      {!active.length && (
        <section class="empty">
          <h2>{t.none}</h2>
          <p class="muted">{t.noneLead}</p>
          <a class="button primary" href={routeHash('models')}>{t.goModels}</a>
        </section>
      )}
      <TrafficSection />
      {active.map((d) => <Panel key={d.name} d={d} wanted={d.name === wanted} />)}
      {earlier.length > 0 && (
        <section aria-labelledby="earlier">
          <h2 id="earlier" class="earlier">{t.earlier}</h2>
          {earlier.map((d) => <Panel key={d.name} d={d} wanted={d.name === wanted} />)}
        </section>
      )}
    </div>
  );
}
