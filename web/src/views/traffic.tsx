// What goes through now, and the last failover as it went: times and counts, no text.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Attempt, Failover } from '../api/types.ts';
import { clock, number, took } from '../format.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { gapOf, momentsOf, ratesOf, refreshTraffic, traffic, type Moment } from '../traffic.ts';
import { Icon } from './icons.tsx';
import { Figure } from './parts.tsx';

const t = text.traffic;
const POLL_MS = 1_000;
const REPLAY_MOST_MS = 8_000;

function usePolling(): void {
  useEffect(() => {
    const ask = () => {
      if (!document.hidden) refreshTraffic().catch(() => undefined); // the connection's own loop says that the server is away
    };
    ask();
    const timer = setInterval(ask, POLL_MS);
    return () => clearInterval(timer);
  }, []);
}

/** Where the replay is, in milliseconds of the request; null: all of it is shown. */
function useReplay(lengthMs: number): [number | null, () => void] {
  const [at, setAt] = useState<number | null>(null);
  const frame = useRef(0);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  const play = () => {
    const speed = Math.max(1, lengthMs / REPLAY_MOST_MS);
    const begun = performance.now();
    const step = () => {
      const now = (performance.now() - begun) * speed;
      setAt(now < lengthMs ? now : null);
      if (now < lengthMs) frame.current = requestAnimationFrame(step);
    };
    cancelAnimationFrame(frame.current);
    step();
  };
  return [at, play];
}

function Lane({ a, lengthMs, atMs }: { a: Attempt; lengthMs: number; atMs: number }) {
  const share = (ms: number) => `${Math.max(0, Math.min(100, (ms / lengthMs) * 100))}%`;
  const end = Math.min(a.ended_ms ?? lengthMs, atMs);
  const first = a.first_token_ms ?? a.ended_ms ?? lengthMs;
  const broken = a.error && a.ended_ms !== null && a.ended_ms <= atMs;
  return (
    <div class="lane">
      <span class="lane-name">{a.deployment}</span>
      <span class="lane-track" aria-hidden="true">
        {atMs >= a.began_ms && <i class="lane-wait" style={{ left: share(a.began_ms), width: share(Math.max(0, Math.min(first, end) - a.began_ms)) }} />}
        {atMs >= first && <i class="lane-talk" style={{ left: share(first), width: share(Math.max(0, end - first)) }} />}
        {broken && <i class="lane-break" style={{ left: share(a.ended_ms ?? 0) }} />}
      </span>
    </div>
  );
}

function says(m: Moment): string {
  const tokens = t.tokens(m.tokens, number(m.tokens));
  if (m.kind === 'asked') return t.asked(m.deployment);
  if (m.kind === 'again') return m.tokens ? t.goesOn(m.deployment, number(m.tokens)) : t.askedAgain(m.deployment);
  if (m.kind === 'first') return m.tokens ? t.nextToken : t.firstToken;
  if (m.kind === 'broke') return t.broke(m.deployment, tokens, t.errors[m.error] ?? m.error);
  if (m.kind === 'whole') return t.whole(tokens);
  return t.failed(tokens, t.errors[m.error] ?? m.error);
}

function LastFailover({ f }: { f: Failover }) {
  const moments = momentsOf(f);
  const lengthMs = Math.max(1, f.ended_ms ?? 0, ...moments.map((m) => m.atMs));
  const [at, play] = useReplay(lengthMs);
  const gap = gapOf(f);
  return (
    <section class="panel failover" aria-labelledby="failover" data-over={f.over} data-attempts={f.attempt_count}>
      <div class="panel-head">
        <div>
          <h2 id="failover">{t.failover}</h2>
          <p class="muted">{[f.model, clock(Date.parse(f.began)), gap === null ? '' : t.gap(took(gap))].filter(Boolean).join(text.common.dot)}</p>
        </div>
        <button type="button" class="button replay" onClick={play} aria-disabled={at !== null}><Icon name="play" size={16} /> {t.replay}</button>
      </div>
      <div class="lanes">{f.attempts.map((a, i) => <Lane key={i} a={a} lengthMs={lengthMs} atMs={at ?? lengthMs} />)}</div>
      <ol class="moments" aria-label={t.steps}>
        {moments.map((m, i) => (
          <li key={i} class={`moment ${m.kind} ${at !== null && m.atMs > at ? 'later' : ''}`}>
            <span class="moment-time">{took(m.atMs)}</span>
            <span>{says(m)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function TrafficSection() {
  usePolling();
  const samples = useStore(traffic, (s) => s.samples);
  const now = samples.at(-1);
  if (!now) return null;
  const rates = ratesOf(samples);
  const all = now.finished + now.failed + now.cancelled;
  return (
    <>
      <section aria-labelledby="traffic" class="traffic">
        <h2 id="traffic" class="earlier">{t.title}</h2>
        <dl class="figures">
          <Figure name={t.live} value={number(now.in_flight)} />
          <Figure name={t.throughput} value={rates ? t.tokensPerSecond(number(rates.tokens, 1)) : '–'} note={t.window} />
          <Figure name={t.requests} value={rates ? t.perSecond(number(rates.requests, 1)) : '–'} note={t.window} />
          <Figure name={t.errorCount} value={number(now.failed)} note={t.ofAll(number(all))} />
        </dl>
      </section>
      {now.failover && <LastFailover key={now.failover.began} f={now.failover} />}
    </>
  );
}
