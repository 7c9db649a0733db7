// The way of one deployment from pressed to ready: each state with when, how long and why, bytes while they move.
import type { Change, Deployment, State } from '../api/types.ts';
import { WAY_UP } from '../api/types.ts';
import { bytes, clock, left, took, unbroken } from '../format.ts';
import { useTick } from '../store.ts';
import { text } from '../text.ts';
import { Bar } from './parts.tsx';

const t = text.running;

export interface Step {
  state: State;
  enteredMs: number | null; // null: not yet
  tookMs: number | null; // null: still in it, or not yet
  reason: string;
  now: boolean;
}

/** The newest attempt: from its last 'requested' on. When it heals, what lies ahead of its present state counts as not yet reached. Pure. */
export function stepsOf(d: Deployment, history: Change[]): Step[] {
  const start = Math.max(0, history.map((c) => c.to).lastIndexOf('requested'));
  const attempt = history.slice(start).filter((c) => c.from !== c.to || c.to === 'requested');
  const states: State[] = [...WAY_UP];
  if (!states.includes(d.state)) states.splice(lastReached(attempt) + 1, states.length, d.state);
  const ahead = WAY_UP.indexOf(d.state) < 0 ? states.length : WAY_UP.indexOf(d.state);
  return states.map((state, i) => {
    const at = i > ahead ? -1 : attempt.map((c) => c.to).lastIndexOf(state);
    const change = attempt[at];
    if (!change) return { state, enteredMs: null, tookMs: null, reason: '', now: state === d.state };
    const next = attempt[at + 1];
    const entered = Date.parse(change.time);
    const now = state === d.state;
    const slept = state === 'requested' && change.from === 'draining'; // its server was off: no step takes that long
    return { state, enteredMs: entered, tookMs: next && !now && !slept ? Date.parse(next.time) - entered : null, reason: now ? d.reason || change.reason : change.reason, now };
  });
}

function lastReached(attempt: Change[]): number {
  return Math.max(-1, ...attempt.map((c) => WAY_UP.indexOf(c.to)));
}

function Progress({ d, enteredMs }: { d: Deployment; enteredMs: number | null }) {
  if (!d.progress?.total) return null;
  const { done, total } = d.progress;
  const spent = enteredMs ? Date.now() - enteredMs : 0;
  const remains = done > 0 && spent > 2_000 ? (spent / done) * (total - done) : 0;
  return (
    <span class="step-progress">
      <Bar share={done / total} label={t.progress(bytes(done), bytes(total))} />
      <span class="muted">{t.progress(bytes(done), bytes(total))}{remains ? text.common.dot + t.left(left(remains)) : ''}</span>
    </span>
  );
}

function StepRow({ d, step }: { d: Deployment; step: Step }) {
  const resting = step.state === 'ready' || step.state === 'stopped' || step.state === 'failed';
  const mark = step.enteredMs === null && !step.now ? 'later' : step.now ? (step.state === 'failed' ? 'failed' : resting ? 'done' : 'now') : 'done';
  const running = step.now && !resting && step.enteredMs ? Date.now() - step.enteredMs : null;
  const time = step.tookMs ?? running;
  return (
    <li class={`step ${mark}`} aria-current={step.now ? 'step' : undefined}>
      <span class="step-mark" aria-hidden="true" />
      <span class="step-name">{t.states[step.state]}</span>
      <span class="step-time" title={step.enteredMs ? clock(step.enteredMs) : ''}>{time !== null ? took(time) : step.now && step.enteredMs ? clock(step.enteredMs) : ''}</span>
      <span class="step-why muted">{step.state === 'failed' ? '' : unbroken(step.reason) || (step.now ? t.about[step.state] : '')}</span>
      {step.now && !resting && <Progress d={d} enteredMs={step.enteredMs} />}
    </li>
  );
}

export function Timeline({ d, history }: { d: Deployment; history: Change[] }) {
  useTick(200, !['ready', 'stopped', 'failed'].includes(d.state));
  return (
    <ol class="timeline" aria-label={t.steps(d.name)}>
      {stepsOf(d, history).map((step) => <StepRow key={step.state} d={d} step={step} />)}
    </ol>
  );
}
