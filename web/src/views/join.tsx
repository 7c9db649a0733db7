// "Add a machine": one button, one line to copy, and the wait until the machine is there.
import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api/http.ts';
import type { NodeToken, PoolNode } from '../api/types.ts';
import { took } from '../format.ts';
import { say } from '../notices.ts';
import { isAddress, isAsk, isLoopback, joinLine, newToken } from '../places.ts';
import { useTick } from '../store.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { ActionButton, Command, Field } from './parts.tsx';

const t = text.join;

/** The address that the browser has, unless that is good on this machine alone and the server knows a better one. */
function likelyAddress(token: NodeToken): string {
  const host = location.hostname;
  return isLoopback(host) && token.addresses[0] ? token.addresses[0] : host;
}

function Line({ token, again }: { token: NodeToken; again: () => Promise<void> }) {
  const [ask, setAsk] = useState('');
  const [address, setAddress] = useState(likelyAddress(token));
  const left = Date.parse(token.expires) - useTick(1_000, true);
  if (left <= 0) return (
    <div class="actions">
      <p>{t.expired}</p>
      <ActionButton class="button" run={again} busy={t.making}>{t.again}</ActionButton>
    </div>
  );
  const good = isAsk(ask) && isAddress(address);
  return (
    <>
      <div class="fields">
        <Field label={t.address} hint={isLoopback(address) ? t.loopback : ''} bad={isAddress(address) ? '' : t.addressBad} value={address} change={setAddress} options={token.addresses} />
        <Field label={t.ask} hint={t.askHint} bad={isAsk(ask) ? '' : t.askBad} value={ask} change={setAsk} />
      </div>
      {good && (
        <div role="group" aria-label={t.line} data-test="join-line">
          <p>{t.paste}</p>
          <Command line={joinLine(token.token, address, token.port, ask)} />
        </div>
      )}
      <p class="muted join-wait"><span class="pulse" aria-hidden="true" /> {t.waiting} {t.left(took(left))}</p>
    </>
  );
}

export function JoinSection({ nodes }: { nodes: PoolNode[] }) {
  const [token, setToken] = useState<NodeToken | null>(null);
  const [known, setKnown] = useState<string[]>([]);
  const [noPool, setNoPool] = useState(false);
  const make = async () => {
    try {
      const made = await newToken();
      setKnown(nodes.map((n) => n.name));
      setToken(made);
      setNoPool(false);
    } catch (e) {
      if (!(e instanceof ApiError) || e.status !== 409) throw e;
      setNoPool(true);
    }
  };
  const came = token ? nodes.find((n) => n.here && !known.includes(n.name)) : undefined;
  useEffect(() => {
    if (!came) return;
    setToken(null);
    say(t.joined(came.name));
  }, [came]);
  return (
    <section class="panel join" aria-labelledby="join">
      <div class="join-head">
        <div>
          <h2 id="join">{t.title}</h2>
          <p class="muted">{t.lead}</p>
        </div>
        {!token && <ActionButton class="button primary" run={make} busy={t.making}><Icon name="plus" size={16} /> {t.make}</ActionButton>}
      </div>
      {noPool && <div role="status">{t.noPool} <Command line={t.noPoolLine} /></div>}
      {token && <Line key={token.expires} token={token} again={make} />}
    </section>
  );
}
