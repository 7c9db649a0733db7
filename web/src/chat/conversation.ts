// The conversation of this tab: what was said, the answer being written, and its life across reloads (sessionStorage). Views draw it; only this file
// changes it. An answer is 'writing' while its stream runs and ends as exactly one of the others.
import { createStore } from '../store.ts';
import { ApiError, request } from '../api/http.ts';
import { readEvents } from '../api/sse.ts';
import { live } from '../live.ts';
import { announce, say } from '../notices.ts';
import { text } from '../text.ts';

export type AnswerState = 'writing' | 'done' | 'length' | 'stopped' | 'cut' | 'failed';

export interface Message {
  id: number;
  role: 'user' | 'assistant';
  text: string;
  state?: AnswerState; // answers only
  problem?: string;
  hint?: string;
  model?: string;
  place?: string;
  tokens?: number;
  tokensPerSecond?: number;
  firstMs?: number; // from sending to the first token
  fromRunMs?: number; // from pressing Run to the first token, for the first answer after Run
}

export interface Settings {
  system: string;
  temperature: string; // as typed; '' is the default
  longest: string;
}

export interface Conversation {
  model: string; // 'auto', 'deployment/NAME' or 'provider/NAME/MODEL'
  messages: Message[];
  draft: string;
  settings: Settings;
}

const KEY = 'freehold.chat';
const KEPT_CHARS_MAX = 2_000_000;
const SAVE_MS = 500;
// Small models wander at the usual 0.7 to 1; this keeps them on the question and does larger ones no harm.
const TEMPERATURE = 0.3;

const EMPTY: Conversation = { model: 'auto', messages: [], draft: '', settings: { system: '', temperature: '', longest: '' } };

export const chat = createStore<Conversation>(EMPTY);

let abort: AbortController | null = null;
let nextId = 1;
let leaving = false; // the page is going: what is kept now is what the next one finds
let saveTimer: ReturnType<typeof setTimeout> | undefined;

function save(): void {
  clearTimeout(saveTimer);
  saveTimer = undefined;
  if (leaving) return;
  const kept = JSON.stringify(chat.get());
  if (kept.length > KEPT_CHARS_MAX) return;
  try {
    sessionStorage.setItem(KEY, kept);
  } catch {
    // no room: the conversation goes on, but a reload will not find its newest part
  }
}

function saveSoon(): void {
  saveTimer ??= setTimeout(save, SAVE_MS);
}

function restored(m: Message): Message {
  return m.state === 'writing' ? { ...m, state: 'cut', problem: text.chat.reloaded } : m;
}

export function startConversation(): void {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Conversation | null;
    if (kept && Array.isArray(kept.messages)) {
      chat.set({ ...EMPTY, ...kept, messages: kept.messages.filter((m) => typeof m.text === 'string').map(restored) });
      nextId = Math.max(0, ...kept.messages.map((m) => m.id)) + 1;
    }
  } catch {
    sessionStorage.removeItem(KEY);
  }
  chat.watch(saveSoon);
  addEventListener('pagehide', () => {
    save();
    leaving = true;
  });
  addEventListener('pageshow', () => {
    leaving = false;
  });
}

export function isWriting(c: Conversation): boolean {
  return c.messages.at(-1)?.state === 'writing';
}

function patchAnswer(id: number, change: Partial<Message>): void {
  chat.set((now) => ({ messages: now.messages.map((m) => (m.id === id ? { ...m, ...change } : m)) }));
}

function clamp(typed: string, low: number, high: number): number | undefined {
  const n = Number(typed);
  return typed.trim() === '' || !Number.isFinite(n) ? undefined : Math.min(high, Math.max(low, n));
}

export function requestBody(c: Conversation, upTo: number): Record<string, unknown> {
  const said = c.messages.filter((m) => m.id < upTo && (m.role === 'user' || m.text !== '')).map((m) => ({ role: m.role, content: m.text }));
  const longest = clamp(c.settings.longest, 1, 1_000_000);
  return {
    model: c.model,
    messages: c.settings.system.trim() ? [{ role: 'system', content: c.settings.system }, ...said] : said,
    temperature: clamp(c.settings.temperature, 0, 2) ?? TEMPERATURE,
    ...(longest ? { max_tokens: Math.round(longest) } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

interface Piece {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { completion_tokens?: number } | null;
  timings?: { predicted_per_second?: number };
  error?: { message?: string; hint?: string };
}

/** Reads one answer into message `id`; returns how it ended. */
async function readAnswer(id: number, response: Response, sentAt: number): Promise<AnswerState> {
  let said = '';
  let pieces = 0;
  let firstAt = 0;
  let lastAt = 0;
  let finish: AnswerState | null = null;
  const meta = { model: response.headers.get('x-freehold-model') ?? '', place: response.headers.get('x-freehold-place') ?? '' };
  patchAnswer(id, meta);
  if (!response.body) return 'cut';
  let drawn = 0;
  const draw = () => {
    drawn = 0;
    patchAnswer(id, { text: said, tokens: pieces, ...(lastAt > firstAt ? { tokensPerSecond: ((pieces - 1) * 1000) / (lastAt - firstAt) } : {}) });
  };
  try {
    for await (const e of readEvents(response.body)) {
      if (e.data === '[DONE]') return finish ?? 'done';
      const piece = JSON.parse(e.data) as Piece;
      if (piece.error) throw new ApiError(502, piece.error.message ?? text.chat.cut, piece.error.hint ?? '');
      const choice = piece.choices?.[0];
      const more = choice?.delta?.content ?? '';
      if (more) {
        lastAt = performance.now();
        pieces++;
        said += more;
        if (!firstAt) {
          firstAt = lastAt;
          patchAnswer(id, { text: said, firstMs: firstAt - sentAt, ...sinceRun(firstAt) });
        } else drawn ||= requestAnimationFrame(draw);
      }
      if (choice?.finish_reason) finish = choice.finish_reason === 'length' ? 'length' : 'done';
      if (piece.usage?.completion_tokens) pieces = piece.usage.completion_tokens;
    }
    return finish ?? 'cut';
  } finally {
    cancelAnimationFrame(drawn);
    draw();
  }
}

function sinceRun(now: number): Partial<Message> {
  const { pressedAt } = live.get();
  if (!pressedAt) return {};
  live.set({ pressedAt: 0 });
  return { fromRunMs: now - pressedAt };
}

async function answer(id: number): Promise<void> {
  abort = new AbortController();
  const sentAt = performance.now();
  try {
    const body = requestBody(chat.get(), id);
    const response = await request('/v1/chat/completions', { method: 'POST', body, signal: abort.signal, timeoutMs: 120_000 });
    const state = await readAnswer(id, response, sentAt);
    patchAnswer(id, state === 'cut' ? { state, problem: text.chat.cut } : { state });
    announce(text.chat.done);
  } catch (e) {
    if (abort.signal.aborted) patchAnswer(id, { state: 'stopped' });
    else if (e instanceof ApiError) patchAnswer(id, { state: 'failed', problem: e.message, hint: e.hint });
    else patchAnswer(id, { state: 'cut', problem: text.chat.cut });
  } finally {
    abort = null;
    save();
  }
}

function begin(messages: Message[]): void {
  const id = nextId++;
  chat.set({ messages: [...messages, { id, role: 'assistant', text: '', state: 'writing' }] });
  save();
  void answer(id);
}

export function send(words: string): void {
  if (!words.trim() || isWriting(chat.get())) return;
  chat.set({ draft: '' });
  begin([...chat.get().messages, { id: nextId++, role: 'user', text: words.trim() }]);
}

export function stopAnswer(): void {
  abort?.abort();
}

/** Asks the same again: the answer and what came after it are replaced. */
export function retry(id: number): void {
  if (isWriting(chat.get())) return;
  const at = chat.get().messages.findIndex((m) => m.id === id);
  if (at > 0) begin(chat.get().messages.slice(0, at));
}

/** Changes one of the reader's own messages and asks from there. */
export function resend(id: number, words: string): void {
  const at = chat.get().messages.findIndex((m) => m.id === id);
  if (at < 0 || !words.trim() || isWriting(chat.get())) return;
  begin([...chat.get().messages.slice(0, at), { id: nextId++, role: 'user', text: words.trim() }]);
}

export function newChat(): void {
  stopAnswer();
  const before = chat.get().messages.map((m): Message => (m.state === 'writing' ? { ...m, state: 'stopped' } : m));
  if (!before.length) return;
  chat.set({ messages: [] });
  say(text.chat.cleared, { label: text.common.undo, run: () => chat.set({ messages: before }) });
}
