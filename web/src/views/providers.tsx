// Where machines or tokens can be had of others: what was named, whether it answers, how it stands, and naming one more.
import { useState } from 'preact/hooks';
import { ApiError } from '../api/http.ts';
import { kindClass, type Provider } from '../api/types.ts';
import { money, number } from '../format.ts';
import { say } from '../notices.ts';
import { addProvider, checkProvider, newProvider, PROVIDER_KINDS, removeProvider, type ProviderFields } from '../providers.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { ActionButton, Consequence, Field } from './parts.tsx';

const t = text.providers;

function offersOf(p: Provider): string {
  if (kindClass(p.kind) === 'hosted') return p.models.length ? t.serves(number(p.models.length), p.models.slice(0, 3).join(', ')) : t.servesNothing;
  if (kindClass(p.kind) === 'got') return t.onRequest;
  return p.offers === null ? t.notAsked : t.offers(number(p.offers));
}

function pricesOf(p: Provider): string {
  const first = p.prices[0];
  return first ? t.prices(money(first.input_nusd_per_million / 1e9), money(first.output_nusd_per_million / 1e9)) : '';
}

function ProviderRow({ p }: { p: Provider }) {
  const [asked, ask] = useState(false);
  const facts = [t.kinds[p.kind] ?? p.kind, p.region ?? '', offersOf(p), pricesOf(p)].filter(Boolean).join(text.common.dot);
  const remove = () => removeProvider(p.name).then(() => say(t.removed(p.name)));
  const check = () => checkProvider(p.name).then((now) => say(t.answers(p.name, offersOf(now))));
  return (
    <li class="provider" data-provider={p.name}>
      <div class="provider-what">
        <h3>{p.name}</h3>
        <p>{facts}</p>
        <p class="muted">{[p.url, p.key_file ? t.keyFile(p.key_file) : '', t.trust(p.trust)].filter(Boolean).join(text.common.dot)}</p>
        <p class="muted" title={p.standing.reason ?? ''}>{t.standing(number(p.standing.standing), t.honesty[p.standing.honesty] ?? p.standing.honesty)}</p>
      </div>
      {asked ? <Consequence what={t.removeSays(p.name)} now={t.removeNow(p.name)} run={remove} cancel={() => ask(false)} /> : (
        <div class="actions">
          <ActionButton class="button small" run={check} busy={t.checking} label={t.checkNamed(p.name)}>{t.check}</ActionButton>
          <button type="button" class="button small danger" aria-label={t.removeNamed(p.name)} onClick={() => ask(true)}>{t.remove}</button>
        </div>
      )}
    </li>
  );
}

type Change = (name: keyof ProviderFields) => (value: string) => void;

function Fields({ f, change }: { f: ProviderFields; change: Change }) {
  const kind = kindClass(f.kind);
  const field = (name: keyof ProviderFields, hint = '', secret = false) => <Field label={t.fields[name] ?? name} hint={hint} bad="" value={f[name]} change={change(name)} secret={secret} />;
  return (
    <div class="fields">
      {field('name', t.hints.name)}
      {kind !== 'rented' && field('url', kind === 'hosted' ? t.hints.url : f.kind === 'slurm' ? t.hints.loginHere : t.hints.login)}
      {kind === 'hosted' ? field('key', t.hints.key, true) : field('keyFile', kind === 'got' ? t.hints.loginKey : t.hints.keyFile)}
      {kind === 'hosted' && field('priceIn', t.hints.price)}
      {kind === 'hosted' && field('priceOut', t.hints.price)}
      {kind !== 'hosted' && field('settings', t.hints.settings)}
    </div>
  );
}

function AddForm({ done }: { done: () => void }) {
  const [f, set] = useState<ProviderFields>(newProvider());
  const [problem, setProblem] = useState<ApiError | null>(null);
  const change: Change = (name) => (value) => set((now) => ({ ...now, [name]: value }));
  const add = async () => {
    try {
      await addProvider(f);
      say(t.added(f.name));
      done();
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      setProblem(e);
    }
  };
  return (
    <div class="provider-add" role="group" aria-label={t.add}>
      <div class="field">
        <label for="provider-kind">{t.kind}</label>
        <select id="provider-kind" value={f.kind} onChange={(e) => change('kind')(e.currentTarget.value)}>
          {PROVIDER_KINDS.map((k) => <option key={k} value={k}>{t.kinds[k]}</option>)}
        </select>
      </div>
      <Fields f={f} change={change} />
      {problem && <div class="problem" role="alert"><p>{problem.message}</p>{problem.hint && <p>{problem.hint}</p>}</div>}
      <div class="actions">
        <ActionButton class="button primary" run={add} busy={t.asking}>{t.addNow}</ActionButton>
        <button type="button" class="button" onClick={done}>{text.common.cancel}</button>
      </div>
    </div>
  );
}

export function ProvidersSection({ list }: { list: Provider[] }) {
  const [adding, setAdding] = useState(false);
  return (
    <section class="panel providers" aria-labelledby="providers">
      <div class="join-head">
        <div>
          <h2 id="providers">{t.title}</h2>
          <p class="muted">{t.lead}</p>
        </div>
        {!adding && <button type="button" class="button" onClick={() => setAdding(true)}><Icon name="plus" size={16} /> {t.add}</button>}
      </div>
      {adding && <AddForm done={() => setAdding(false)} />}
      {list.length > 0 && <ul>{list.map((p) => <ProviderRow key={p.name} p={p} />)}</ul>}
    </section>
  );
}
