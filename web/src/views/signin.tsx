// What somebody sees who came without the one-time link.
import type { SessionState } from '../api/session.ts';
import { text } from '../text.ts';
import { Command } from './parts.tsx';

export function SignIn({ state }: { state: SessionState }) {
  const t = text.signIn;
  const problem = state === 'refused' ? t.refused : state === 'expired' ? t.expired : state === 'away' ? t.away : '';
  return (
    <section class="sign-in" aria-busy={state === 'checking'}>
      <h1>{t.title}</h1>
      {problem && <p class="problem" role="alert">{problem}</p>}
      {state === 'checking' ? <p class="muted">{t.checking}…</p> : (
        <>
          <p>{t.lead}</p>
          <p>{t.steps}</p>
          <Command line={t.command} />
          <p class="muted">{t.why}</p>
        </>
      )}
    </section>
  );
}
