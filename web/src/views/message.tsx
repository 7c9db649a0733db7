// One thing said: the reader's words, or an answer with its footnote and tools. Answers are drawn block by block, so that only the block which grows
// is drawn again while it streams.
import { memo } from './memo.ts';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { render } from 'preact';
import type { Token } from 'marked';
import { renderBlock, splitBlocks } from '../chat/markdown.ts';
import { resend, retry, type Message } from '../chat/conversation.ts';
import { number, took } from '../format.ts';
import { live } from '../live.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { CopyButton } from './parts.tsx';

const t = text.chat;

/** Each code block gets a bar with its language and a copy button; wide tables and code scroll on their own. */
function dressCode(root: HTMLElement): () => void {
  const bars: HTMLElement[] = [];
  for (const pre of root.querySelectorAll('pre')) {
    const code = pre.querySelector('code');
    const language = /language-(\S+)/.exec(code?.className ?? '')?.[1] ?? t.code;
    const bar = document.createElement('div');
    bar.className = 'code-bar';
    pre.before(bar);
    pre.tabIndex = 0;
    pre.setAttribute('aria-label', language);
    pre.setAttribute('role', 'group');
    render(<><span>{language}</span><CopyButton quiet value={() => code?.textContent ?? ''} /></>, bar);
    bars.push(bar);
  }
  for (const table of root.querySelectorAll('table')) {
    const wrap = document.createElement('div');
    wrap.className = 'table-wrap';
    table.replaceWith(wrap);
    wrap.append(table);
  }
  return () => bars.forEach((bar) => render(null, bar));
}

const Block = memo(
  ({ block }: { block: Token }) => {
    const box = useRef<HTMLDivElement>(null);
    useLayoutEffect(() => {
      const to = box.current;
      if (!to) return undefined;
      to.replaceChildren(renderBlock(block));
      return dressCode(to);
    }, [block.raw]);
    return <div class="block" ref={box} />;
  },
  (a, b) => a.block.raw === b.block.raw,
);

export function Markdown({ source }: { source: string }) {
  const blocks = useMemo(() => splitBlocks(source), [source]);
  return <div class="markdown">{blocks.map((block, i) => <Block key={i} block={block} />)}</div>;
}

function Footnote({ m }: { m: Message }) {
  const name = useStore(live, (l) => l.models?.find((x) => x.id === m.model)?.name);
  const parts = [
    m.tokens ? t.footnote.tokens(number(m.tokens)) : '',
    m.tokensPerSecond ? t.footnote.speed(number(m.tokensPerSecond, 1)) : '',
    m.firstMs !== undefined ? t.footnote.first(took(m.firstMs)) : '',
    name ?? m.model ?? '',
    m.place ? text.running.on(m.place) : '',
  ].filter(Boolean);
  return <p class="footnote">{parts.join(text.common.dot)}</p>;
}

function outcome(m: Message): string {
  if (m.state === 'stopped') return t.stopped;
  if (m.state === 'length') return t.lengthStop;
  return m.problem ?? '';
}

export function Answer({ m, busy }: { m: Message; busy: boolean }) {
  const writing = m.state === 'writing';
  const ended = outcome(m);
  return (
    <article class={`answer ${m.state}`} data-state={m.state} data-from-run-ms={m.fromRunMs}>
      {writing && !m.text ? <p class="thinking muted">{t.thinking}<span class="dots" aria-hidden="true"><i /><i /><i /></span></p> : <Markdown source={m.text} />}
      {ended && (
        <p class={m.state === 'failed' || m.state === 'cut' ? 'problem' : 'muted'}>
          {ended} {m.hint}
        </p>
      )}
      {(m.text || !writing) && (
        <div class="answer-end">
          <Footnote m={m} />
          {!writing && (
            <span class="tools">
              {m.text && <CopyButton quiet value={() => m.text} label={t.copy} />}
              <button type="button" class="tool" onClick={() => retry(m.id)} aria-disabled={busy}><Icon name="retry" size={16} />{t.retry}</button>
            </span>
          )}
        </div>
      )}
    </article>
  );
}

function Editor({ m, done }: { m: Message; done: () => void }) {
  const [words, setWords] = useState(m.text);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => box.current?.focus(), []);
  const save = () => {
    resend(m.id, words);
    done();
  };
  const keys = (e: KeyboardEvent) => {
    if (e.isComposing) return;
    if (e.key === 'Escape') done();
    if (e.key !== 'Enter' || e.shiftKey) return;
    e.preventDefault();
    save();
  };
  return (
    <div class="editor">
      <textarea ref={box} aria-label={t.editing} value={words} onInput={(e) => setWords(e.currentTarget.value)} onKeyDown={keys} rows={3} />
      <p class="muted">{t.editing}</p>
      <div class="actions">
        <button type="button" class="button primary small" onClick={save}>{t.save}</button>
        <button type="button" class="button small" onClick={done}>{text.common.cancel}</button>
      </div>
    </div>
  );
}

export function Question({ m, busy }: { m: Message; busy: boolean }) {
  const [editing, setEditing] = useState(false);
  if (editing) return <Editor m={m} done={() => setEditing(false)} />;
  return (
    <article class="question">
      <span class="visually-hidden">{t.you}: </span>
      <p>{m.text}</p>
      <span class="tools">
        <CopyButton quiet value={() => m.text} label={t.copy} />
        {!busy && <button type="button" class="tool" onClick={() => setEditing(true)}><Icon name="edit" size={16} />{t.edit}</button>}
      </span>
    </article>
  );
}
