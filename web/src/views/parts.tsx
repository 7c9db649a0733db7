// Small pieces that several views share.
import type { ComponentChildren } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import { complain } from '../notices.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';

const COPIED_MS = 1_800;

/** A button that copies, and says so for a moment. */
export function CopyButton({ value, label = text.common.copy, quiet = false }: { value: () => string; label?: string; quiet?: boolean }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    navigator.clipboard.writeText(value()).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), COPIED_MS);
    }, complain);
  };
  return (
    <button type="button" class={quiet ? 'tool' : 'button small'} onClick={copy}>
      <Icon name={copied ? 'check' : 'copy'} size={16} />
      <span aria-live="polite">{copied ? text.common.copied : label}</span>
    </button>
  );
}

/** One line to type in a terminal, with its copy button. */
export function Command({ line }: { line: string }) {
  return (
    <span class="command">
      <code>{line}</code>
      <CopyButton value={() => line} quiet />
    </span>
  );
}

/** A bar whose length is a share. Without `label` it only repeats a number that stands beside it. */
export function Bar({ share, label, tone = 'accent' }: { share: number; label?: string; tone?: 'accent' | 'quiet' | 'bad' }) {
  const width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  const named = label ? { role: 'meter' as const, 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(share * 100) } : { 'aria-hidden': true as const };
  return (
    <span class={`bar ${tone}`} {...named}>
      <span style={{ width }} />
    </span>
  );
}

/** A button that runs something which takes a while: not twice at once, and what fails is said. */
export function ActionButton(props: { run: () => Promise<unknown>; class: string; busy?: string; label?: string; children: ComponentChildren }) {
  const [busy, setBusy] = useState(false);
  const gone = useRef(false);
  const press = () => {
    if (busy) return;
    setBusy(true);
    props.run().catch(complain).finally(() => gone.current || setBusy(false));
  };
  return (
    <button type="button" class={props.class} onClick={press} aria-disabled={busy} {...(props.label ? { 'aria-label': props.label } : {})}>
      {busy && props.busy ? props.busy : props.children}
    </button>
  );
}

/** A word that opens to more. */
export function Reveal({ summary, children }: { summary: ComponentChildren; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  return (
    <div class="reveal">
      <button type="button" class="reveal-button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {summary}
      </button>
      <div id={id} hidden={!open}>
        {children}
      </div>
    </div>
  );
}

/** One of a row of figures. */
export function Figure({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div class="figure-tile">
      <dt>{name}</dt>
      <dd>{value}{note && <small class="muted">{note}</small>}</dd>
    </div>
  );
}

interface FieldProps { label: string; hint: string; bad: string; value: string; change: (v: string) => void; options?: string[]; secret?: boolean }

/** A line of text with its name, a hint, and what is wrong with it. options: values that are put in by a press. */
export function Field({ label, hint, bad, value, change, options = [], secret = false }: FieldProps) {
  const id = useId();
  const rest = {
    id, value, onInput: (e: { currentTarget: HTMLInputElement }) => change(e.currentTarget.value.trim()), autocomplete: 'off', spellcheck: false, 'aria-invalid': !!bad, 'aria-describedby': `${id}-hint`,
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {secret ? <input type="password" {...rest} /> : <input type="text" {...rest} />}
      <small id={`${id}-hint`} class={bad ? 'field-bad' : 'muted'}>{bad || hint}</small>
      {options.length > 1 && (
        <span class="actions">
          {options.map((o) => <button key={o} type="button" class="button small" aria-pressed={o === value} onClick={() => change(o)}>{o}</button>)}
        </span>
      )}
    </div>
  );
}

/** A step that loses something says what, before it is taken. */
export function Consequence({ what, now, run, cancel }: { what: string; now: string; run: () => Promise<unknown>; cancel: () => void }) {
  return (
    <div class="consequence" role="group" aria-label={now}>
      <p>{what}</p>
      <div class="actions">
        <ActionButton class="button danger" run={run}>{now}</ActionButton>
        <button type="button" class="button" onClick={cancel}>{text.common.cancel}</button>
      </div>
    </div>
  );
}
