// The one button of a model: what is free and local just starts, beside it the engines that could where there are several; else the sheet of places opens.
import { useState } from 'preact/hooks';
import { isResting, type Deployment, type Engine, type Model } from '../api/types.ts';
import { live, run } from '../live.ts';
import { openSheet } from '../plans.ts';
import { routeHash } from '../route.ts';
import { useStore } from '../store.ts';
import { text } from '../text.ts';
import { Icon } from './icons.tsx';
import { ActionButton } from './parts.tsx';

const t = text.models;

export function deploymentOf(model: Model, list: Deployment[] | null): Deployment | undefined {
  return (list ?? []).find((d) => !isResting(d.state) && (d.model === model.id || model.deployments.includes(d.name)));
}

function EngineChoice({ model, engines, chosen, choose }: { model: Model; engines: Engine[]; chosen: string; choose: (id: string) => void }) {
  return (
    <select aria-label={t.engineOf(model.name)} value={chosen} onChange={(e) => choose(e.currentTarget.value)}>
      {engines.map((e) => <option key={e.id} value={e.id}>{e.id}</option>)}
    </select>
  );
}

/** Run, or the way to where it runs already. */
export function RunButton({ model, big = false, label }: { model: Model; big?: boolean; label?: string }) {
  const list = useStore(live, (l) => l.deployments);
  const all = useStore(live, (l) => l.engines);
  const [chosen, choose] = useState('');
  const { format, architecture } = model.weights;
  const computes = (e: Engine) => !architecture || !e.architectures.length || e.architectures.includes(architecture);
  const engines = all.filter((e) => e.installed && e.formats.includes(format ?? '') && computes(e));
  const engine = engines.some((e) => e.id === chosen) ? chosen : (engines[0]?.id ?? '');
  const at = deploymentOf(model, list);
  const look = `button primary${big ? ' big' : ''}`;
  if (at?.state === 'ready') return <a class={look} href={routeHash('chat', at.name)}>{t.openChat}</a>;
  if (at) return <a class={look} href={routeHash('running', at.name)}>{t.starting}</a>;
  if (!model.here.runnable) return (
    <button type="button" class={look} aria-haspopup="dialog" aria-label={t.runNamed(model.name)} onClick={() => openSheet(model.id)}><Icon name="play" size={16} /> {text.common.run}</button>
  );
  return (
    <>
      {engines.length > 1 && <EngineChoice model={model} engines={engines} chosen={engine} choose={choose} />}
      <ActionButton class={look} run={() => run(model.id, engines.length > 1 ? { engine } : {})} busy={t.startingNow} label={t.runNamed(model.name)}>
        <Icon name="play" size={big ? 20 : 16} /> {label ?? text.common.run}
      </ActionButton>
    </>
  );
}

/** The sheet, also where a model would just start. */
export function PlacesButton({ model, word = text.sheet.otherPlaces, label = text.sheet.otherPlacesFor(model.name) }: { model: Model; word?: string; label?: string }) {
  return <button type="button" class="button small" aria-haspopup="dialog" aria-label={label} onClick={() => openSheet(model.id)}>{word}</button>;
}
