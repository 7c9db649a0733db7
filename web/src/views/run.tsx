// The one button of a model that can run; beside it the engines that could, where there are several.
import { useState } from 'preact/hooks';
import { isResting, type Deployment, type Engine, type Model } from '../api/types.ts';
import { live, run } from '../live.ts';
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
  const engines = all.filter((e) => e.installed && e.formats.includes(model.weights.format ?? ''));
  const engine = engines.some((e) => e.id === chosen) ? chosen : (engines[0]?.id ?? '');
  const at = deploymentOf(model, list);
  const look = `button primary${big ? ' big' : ''}`;
  if (at?.state === 'ready') return <a class={look} href={routeHash('chat', at.name)}>{t.openChat}</a>;
  if (at) return <a class={look} href={routeHash('running', at.name)}>{t.starting}</a>;
  return (
    <>
      {engines.length > 1 && <EngineChoice model={model} engines={engines} chosen={engine} choose={choose} />}
      <ActionButton class={look} run={() => run(model.id, engines.length > 1 ? engine : undefined)} busy={t.startingNow} label={t.runNamed(model.name)}>
        <Icon name="play" size={big ? 20 : 16} /> {label ?? text.common.run}
      </ActionButton>
    </>
  );
}
