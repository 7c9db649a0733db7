// The frame: the words on top, the state of the connection, notices, and one page.
import { useEffect, useRef } from 'preact/hooks';
import { session } from '../api/session.ts';
import { isResting } from '../api/types.ts';
import { left } from '../format.ts';
import { live, tryNow } from '../live.ts';
import { dismiss, notices } from '../notices.ts';
import { PAGES, route, routeHash, type Page } from '../route.ts';
import { useStore, useTick } from '../store.ts';
import { text } from '../text.ts';
import { nextTheme, theme } from '../theme.ts';
import { ChatPage } from './chat.tsx';
import { Icon } from './icons.tsx';
import { MachinesPage } from './machines.tsx';
import { ModelsPage } from './models.tsx';
import { RunningPage } from './running.tsx';
import { RunSheet } from './sheet.tsx';
import { SignIn } from './signin.tsx';

function Nav() {
  const at = useStore(route, (r) => r.page);
  const count = useStore(live, (l) => (l.deployments ?? []).filter((d) => !isResting(d.state)).length);
  return (
    <nav aria-label={text.nav.label}>
      {PAGES.map((page) => (
        <a key={page} href={routeHash(page)} aria-current={at === page ? 'page' : undefined}>
          {text.nav[page]}
          {page === 'running' && count > 0 && <span class="count">{count}</span>}
        </a>
      ))}
    </nav>
  );
}

function ThemeButton() {
  const value = useStore(theme, (t) => t.value);
  const icon = { auto: 'auto', light: 'sun', dark: 'moon' } as const;
  return (
    <button type="button" class="icon-button" onClick={nextTheme} title={text.theme[value]} aria-label={`${text.theme[value]}. ${text.theme.change}`}>
      <Icon name={icon[value]} />
    </button>
  );
}

function LinkState() {
  const link = useStore(live, (l) => l.link);
  return (
    <span class={`link-state ${link}`} title={link === 'away' ? text.link.away : text.link[link]}>
      <span class="dot" aria-hidden="true" />
      <span class="link-word">{link === 'away' ? text.link.away : text.link[link]}</span>
    </span>
  );
}

function Header({ signedIn }: { signedIn: boolean }) {
  return (
    <header class="top">
      <a class="brand" href={routeHash('models')} aria-label={text.product}>
        <span class="brand-mark"><Icon name="mark" size={20} /></span>
        <span class="brand-name" aria-hidden="true">{text.product}</span>
      </a>
      {signedIn && <Nav />}
      <span class="top-end">
        {signedIn && <LinkState />}
        <ThemeButton />
      </span>
    </header>
  );
}

function AwayBanner() {
  const link = useStore(live, (l) => l.link);
  const retryAt = useStore(live, (l) => l.retryAt);
  const now = useTick(500, link === 'away');
  if (link !== 'away') return null;
  const wait = retryAt - now;
  return (
    <div class="away-banner" role="alert">
      <p>
        <strong>{text.link.away}</strong> {text.link.awayHint}
      </p>
      <span class="away-retry" aria-live="off">{wait > 0 ? text.link.tryingIn(wait < 5_000 ? `${Math.ceil(wait / 1000)} s` : left(wait)) : text.link.trying}</span>
      <button type="button" class="button small" onClick={tryNow}>{text.link.tryNow}</button>
    </div>
  );
}

function Notices() {
  const list = useStore(notices, (n) => n.list);
  const heard = useStore(notices, (n) => n.heard);
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite">{heard}</div>
      <section class="notices" aria-label={text.common.notices}>
        {list.map((n) => (
          <div key={n.id} class={`notice ${n.bad ? 'bad' : ''}`}>
            <div>
              <p>{n.message}</p>
              {n.hint && <p class="muted">{n.hint}</p>}
            </div>
            {n.action && (
              <button type="button" class="button small" onClick={() => { n.action?.run(); dismiss(n.id); }}>{n.action.label}</button>
            )}
            <button type="button" class="icon-button" aria-label={text.common.dismiss} onClick={() => dismiss(n.id)}><Icon name="close" size={16} /></button>
          </div>
        ))}
      </section>
    </>
  );
}

function PageBody({ page }: { page: Page }) {
  if (page === 'running') return <RunningPage />;
  if (page === 'chat') return <ChatPage />;
  if (page === 'machines') return <MachinesPage />;
  return <ModelsPage />;
}

export function App() {
  const state = useStore(session, (s) => s.state);
  const page = useStore(route, (r) => r.page);
  const main = useRef<HTMLElement>(null);
  const signedIn = state === 'in';
  useEffect(() => {
    document.title = signedIn ? `${text.nav[page]} · ${text.product}` : text.product;
    if (page !== 'chat') scrollTo(0, 0); // a conversation opens at its end
  }, [page, signedIn]);
  const skip = (e: Event) => {
    e.preventDefault();
    main.current?.focus();
  };
  return (
    <div class={`app page-${signedIn ? page : 'out'}`}>
      <a class="skip" href="#main" onClick={skip}>{text.nav.skip}</a>
      <Header signedIn={signedIn} />
      {signedIn && <AwayBanner />}
      <main id="main" ref={main} tabIndex={-1}>{signedIn ? <PageBody page={page} /> : <SignIn state={state} />}</main>
      {signedIn && <RunSheet />}
      <Notices />
    </div>
  );
}
