// Plain talk with a model: what was said, a box to say more, and which model answers.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { isResting, type Deployment } from '../api/types.ts';
import { chat, isWriting, newChat, send, stopAnswer, type Settings } from '../chat/conversation.ts';
import { live, run } from '../live.ts';
import { hostedModels, providers, refreshProviders } from '../providers.ts';
import { route, routeHash } from '../route.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { Answer, Question } from './message.tsx';
import { ActionButton } from './parts.tsx';

const t = text.chat;
const NEAR_END_PX = 80;
const AUTO = 'auto';

function nameOf(d: Deployment): string {
  const model = live.get().models?.find((m) => m.id === d.model)?.name ?? d.model;
  return d.name === d.model ? model : `${model} (${d.name})`;
}

function Picker({ active, hosted }: { active: Deployment[]; hosted: string[] }) {
  const chosen = useStore(chat, (c) => c.model);
  const gone = chosen !== AUTO && !hosted.includes(chosen) && !active.some((d) => `deployment/${d.name}` === chosen);
  return (
    <label class="picker">
      <span class="muted">{t.model}</span>
      <select value={chosen} onChange={(e) => chat.set({ model: e.currentTarget.value })}>
        <option value={AUTO}>{t.auto}</option>
        {active.map((d) => (
          <option key={d.name} value={`deployment/${d.name}`}>{d.state === 'ready' ? nameOf(d) : t.notReady(nameOf(d))}</option>
        ))}
        {hosted.length > 0 && (
          <optgroup label={t.hosted}>
            {hosted.map((m) => <option key={m} value={m}>{m.replace('provider/', '')}</option>)}
          </optgroup>
        )}
        {gone && <option value={chosen}>{t.notReady(chosen.replace('deployment/', ''))}</option>}
      </select>
    </label>
  );
}

function Options() {
  const settings = useStore(chat, (c) => c.settings);
  const change = (part: Partial<Settings>) => chat.set({ settings: { ...settings, ...part } });
  return (
    <fieldset class="options">
      <legend class="visually-hidden">{t.options}</legend>
      <label class="option wide">
        <span>{t.system}</span>
        <textarea rows={2} value={settings.system} onInput={(e) => change({ system: e.currentTarget.value })} />
        <small class="muted">{t.systemHint}</small>
      </label>
      <label class="option">
        <span>{t.temperature}</span>
        <input type="number" min="0" max="2" step="0.1" placeholder="0.3" value={settings.temperature} onInput={(e) => change({ temperature: e.currentTarget.value })} />
        <small class="muted">{t.temperatureHint}</small>
      </label>
      <label class="option">
        <span>{t.longest}</span>
        <input type="number" min="1" step="1" value={settings.longest} onInput={(e) => change({ longest: e.currentTarget.value })} />
        <small class="muted">{t.longestHint}</small>
      </label>
    </fieldset>
  );
}

function ChatHead({ active, hosted }: { active: Deployment[]; hosted: string[] }) {
  const [options, setOptions] = useState(false);
  const some = useStore(chat, (c) => c.messages.length > 0);
  return (
    <div class="chat-head">
      <div class="chat-bar">
        <Picker active={active} hosted={hosted} />
        <span class="chat-tools">
          <button type="button" class="button small" aria-expanded={options} onClick={() => setOptions(!options)}><Icon name="sliders" size={16} /><span class="word">{t.options}</span></button>
          {some && <button type="button" class="button small" onClick={newChat}><Icon name="plus" size={16} /><span class="word">{t.newChat}</span></button>}
        </span>
      </div>
      {options && <Options />}
    </div>
  );
}

/** What the composer may do now: a word on why not, or ''. */
function hindrance(link: string, active: Deployment[], hosted: string[], chosen: string): string {
  if (link === 'away') return t.away;
  if (hosted.includes(chosen)) return '';
  const wanted = chosen === AUTO ? active[0] : active.find((d) => `deployment/${d.name}` === chosen);
  if (active.some((d) => d.state === 'ready') && (chosen === AUTO || !wanted || wanted.state === 'ready')) return '';
  return wanted ? t.starting(nameOf(wanted), text.running.states[wanted.state] ?? wanted.state) : t.noModel;
}

function Composer({ blocked }: { blocked: string }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const draft = useStore(chat, (c) => c.draft);
  const writing = useStore(chat, isWriting);
  useEffect(() => box.current?.focus(), []);
  useLayoutEffect(() => {
    const e = box.current;
    if (!e) return;
    e.style.height = 'auto';
    e.style.height = `${e.scrollHeight + 2}px`;
  }, [draft]);
  const submit = () => {
    if (!blocked && !writing) send(draft);
    box.current?.focus();
  };
  const keys = (e: KeyboardEvent) => {
    if (e.isComposing) return;
    if (e.key !== 'Enter' || e.shiftKey || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    submit();
  };
  return (
    <form class="composer" onSubmit={(e) => { e.preventDefault(); submit(); }}>
      {blocked && <p class="blocked muted" id="blocked">{blocked}</p>}
      <div class="composer-box">
        <textarea ref={box} rows={1} value={draft} placeholder={t.placeholder} aria-label={t.input} aria-describedby="keys" enterkeyhint="send"
          onInput={(e) => chat.set({ draft: e.currentTarget.value })} onKeyDown={keys} />
        {writing
          ? <button type="button" class="send" onClick={stopAnswer} aria-label={t.stop} title={t.stop}><Icon name="stop" /></button>
          : <button type="submit" class="send" aria-label={t.send} title={t.send} aria-disabled={!!blocked || !draft.trim()}><Icon name="send" /></button>}
      </div>
      <p class="keys muted" id="keys">{t.keys}</p>
    </form>
  );
}

function Empty({ active }: { active: Deployment[] }) {
  const starter = useStore(live, (l) => l.models?.find((m) => m.starter));
  const ready = active.find((d) => d.state === 'ready');
  if (ready) return (
    <section class="chat-empty">
      <h1>{t.emptyTitle}</h1>
      <p class="muted">{t.emptyLead(nameOf(ready))}</p>
      <ul class="suggestions">
        {t.suggestions.map((s) => <li key={s}><button type="button" class="suggestion" onClick={() => send(s)}>{s}</button></li>)}
      </ul>
    </section>
  );
  return (
    <section class="chat-empty">
      <h1>{t.noModel}</h1>
      <p class="muted">{t.noModelLead}</p>
      <p class="actions">
        {starter?.here.runnable && !active.length && (
          <ActionButton class="button primary" run={() => run(starter.id)}><Icon name="play" size={16} /> {text.models.runNearest(starter.name)}</ActionButton>
        )}
        <a class="button" href={routeHash(active.length ? 'running' : 'models')}>{active.length ? text.nav.running : text.running.goModels}</a>
      </p>
    </section>
  );
}

/** Keeps the end in view while it grows, unless the reader has scrolled up. Returns whether they have. */
function useFollow(mark: unknown): [boolean, () => void] {
  const [away, setAway] = useState(false);
  const follow = useRef(true);
  const down = () => scrollTo({ top: document.documentElement.scrollHeight });
  useEffect(() => {
    const look = () => {
      const root = document.documentElement;
      follow.current = root.scrollTop + root.clientHeight >= root.scrollHeight - NEAR_END_PX;
      setAway(!follow.current);
    };
    addEventListener('scroll', look, { passive: true });
    return () => removeEventListener('scroll', look);
  }, []);
  useLayoutEffect(() => {
    if (follow.current) down();
  }, [mark]);
  return [away, () => { follow.current = true; down(); }];
}

function Talk() {
  const messages = useStore(chat, (c) => c.messages);
  const busy = useStore(chat, isWriting);
  const [away, down] = useFollow(messages);
  return (
    <section class="talk" aria-label={t.conversation} aria-busy={busy}>
      <h1 class="visually-hidden">{t.title}</h1>
      {messages.map((m) => (m.role === 'user' ? <Question key={m.id} m={m} busy={busy} /> : <Answer key={m.id} m={m} busy={busy} />))}
      {away && <button type="button" class="button small latest" onClick={down}><Icon name="down" size={16} />{t.latest}</button>}
    </section>
  );
}

export function ChatPage() {
  const list = useStore(live, (l) => l.deployments);
  const link = useStore(live, (l) => l.link);
  const chosen = useStore(chat, (c) => c.model);
  const some = useStore(chat, (c) => c.messages.length > 0);
  const name = useStore(route, (r) => r.name);
  const active = (list ?? []).filter((d) => !isResting(d.state));
  const hosted = hostedModels(useStore(providers, (p) => p.list) ?? []);
  useEffect(() => void refreshProviders().catch(() => undefined), []); // without them there is what runs here
  useEffect(() => {
    if (name) chat.set({ model: `deployment/${name}` });
  }, [name]);
  useEffect(() => {
    const keys = (e: KeyboardEvent) => {
      if (e.key === 'Escape' && isWriting(chat.get())) stopAnswer();
    };
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  }, []);
  return (
    <div class="chat">
      <ChatHead active={active} hosted={hosted} />
      {some ? <Talk /> : list ? <Empty active={active} /> : <div class="waiting" role="status"><span class="visually-hidden">{text.common.loading}</span><i /></div>}
      <Composer blocked={list || link === 'away' ? hindrance(link, active, hosted, chosen) : ''} />
    </div>
  );
}
