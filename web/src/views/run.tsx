// The one button of a model that can run.
import { isResting, type Deployment, type Model } from '../api/types.ts';
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

/** Run, or the way to where it runs already. */
export function RunButton({ model, big = false, label }: { model: Model; big?: boolean; label?: string }) {
  const list = useStore(live, (l) => l.deployments);
  const at = deploymentOf(model, list);
  const look = `button primary${big ? ' big' : ''}`;
  if (at?.state === 'ready') return <a class={look} href={routeHash('chat', at.name)}>{t.openChat}</a>;
  if (at) return <a class={look} href={routeHash('running', at.name)}>{t.starting}</a>;
  return (
    <ActionButton class={look} run={() => run(model.id)} busy={t.startingNow} label={t.runNamed(model.name)}>
      <Icon name="play" size={big ? 20 : 16} /> {label ?? text.common.run}
    </ActionButton>
  );
}
