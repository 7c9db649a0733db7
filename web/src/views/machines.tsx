// The machines that models run on: a map of their memory, then each with what it has, asks for and runs; and how to add one.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Machine, PoolNode, Standing } from '../api/types.ts';
import { bytes, day, number, since } from '../format.ts';
import { live, refreshDeployments, refreshMachine } from '../live.ts';
import { say } from '../notices.ts';
import { askOf, blocksOf, drainNode, lentOf, places, refreshNodes, removeNode, undrainNode, type Block } from '../places.ts';
import { providers, refreshProviders } from '../providers.ts';
import { route, routeHash } from '../route.ts';
import { useStore, useTick } from '../store.ts';
import { text } from '../text.ts';
import { JoinSection } from './join.tsx';
import { ActionButton, Bar, Consequence, Figure, Reveal } from './parts.tsx';
import { ProvidersSection } from './providers.tsx';

const t = text.machines;
const POLL_MS = 1_500;
const GIB = 2 ** 30;

/** The connection's own loop says that the server is away. */
function usePolling(): void {
  useEffect(() => {
    const ask = () => {
      if (!document.hidden) Promise.all([refreshNodes(), refreshMachine(), refreshProviders(), refreshDeployments()]).catch(() => undefined);
    };
    ask();
    const timer = setInterval(ask, POLL_MS);
    return () => clearInterval(timer);
  }, []);
}

const nameOf = (b: Block): string => b.name || t.thisMachine;
const shareOf = (b: Block): number => (b.usedBytes !== null && b.hasBytes ? b.usedBytes / b.hasBytes : 0);

function MapBlock({ block }: { block: Block }) {
  const known = block.usedBytes !== null;
  const models = block.hasBytes ? Math.min(1, block.modelBytes / block.hasBytes) : 0;
  return (
    <li class={`pool-block ${block.presence}`} style={{ flexGrow: Math.max(block.hasBytes, GIB) / GIB }}>
      <a href={routeHash('machines', block.name || 'here')}>
        <span class="pool-fill" style={{ height: `${shareOf(block) * 100}%` }} aria-hidden="true" />
        <span class="pool-fill models" style={{ height: `${models * 100}%` }} aria-hidden="true" />
        <span class="pool-name">{nameOf(block)}</span>
        <span class="pool-size">{known ? t.of(bytes(block.usedBytes ?? 0), bytes(block.hasBytes)) : t.states[block.presence]}</span>
      </a>
    </li>
  );
}

function PoolMap({ blocks }: { blocks: Block[] }) {
  const here = blocks.filter((b) => b.usedBytes !== null);
  const parts = [
    t.hereNow(here.length, number(here.length)), here.length < blocks.length ? t.away(number(blocks.length - here.length)) : '',
    t.memoryHas(bytes(here.reduce((sum, b) => sum + b.hasBytes, 0))),
  ];
  return (
    <div class="pool-map">
      <p class="muted">{parts.filter(Boolean).join(text.common.dot)}</p>
      <ul aria-label={t.map}>{blocks.map((b) => <MapBlock key={b.name} block={b} />)}</ul>
    </div>
  );
}

function Runs({ block }: { block: Block }) {
  if (!block.runs.length) return <>{t.nothing}</>;
  return <>{block.runs.map((d, i) => <>{i > 0 && ', '}<a href={routeHash('running', d.name)}>{d.name}</a></>)}</>;
}

function Facts({ rows, note }: { rows: [string, string][]; note: string }) {
  return (
    <Reveal summary={t.facts}>
      <dl class="facts">
        {rows.filter(([, value]) => value).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {note && <p class="muted facts-note">{note}</p>}
    </Reveal>
  );
}

function nodeFacts(n: PoolNode): [string, string][] {
  const f = n.facts;
  return [
    [t.processor, [f.cpu, f.cores ? t.cores(number(f.cores)) : ''].filter(Boolean).join(text.common.dot)],
    [t.memory, f.memory_bytes ? bytes(f.memory_bytes) : ''],
    [t.speed, f.memory_read_bytes_per_s ? t.bySecond(bytes(f.memory_read_bytes_per_s)) : ''],
    [t.gpus, (f.gpus ?? []).map((g) => `${g.name} ${bytes(g.memory_bytes)}`).join(', ')],
    [t.disk, f.disk_free_bytes ? bytes(f.disk_free_bytes) : ''],
    [t.installed, n.engines.join(', ')], [t.sandbox, n.sandbox ?? ''], [t.version, f.version ?? ''],
    [t.alone, n.owner?.alone_s ? t.goesOn(since(n.owner.alone_s * 1000)) : ''],
    [t.certificate, n.certificate_expires ? day(n.certificate_expires.slice(0, 10)) : ''],
  ];
}

function NodeActions({ node, block }: { node: PoolNode; block: Block }) {
  const [asked, ask] = useState<'' | 'drain' | 'remove'>('');
  const { name } = node;
  const cancel = () => ask('');
  const then = (message: string) => () => { cancel(); say(message); };
  const ends = block.runs.length ? t.removeEnds(block.runs.length, block.runs.map((d) => d.name).join(', ')) : '';
  if (asked === 'drain') return <Consequence what={t.drainSays(name)} now={t.drainNow(name)} run={() => drainNode(name).then(then(t.drained(name)))} cancel={cancel} />;
  if (asked === 'remove') return <Consequence what={t.removeSays(name, ends)} now={t.removeNow(name)} run={() => removeNode(name).then(then(t.removed(name)))} cancel={cancel} />;
  return (
    <div class="actions">
      {node.state === 'draining' && <ActionButton class="button" label={t.undrainNamed(name)} run={() => undrainNode(name).then(() => say(t.undrained(name)))}>{t.undrain}</ActionButton>}
      {node.state === 'joined' && <button type="button" class="button" aria-label={t.drainNamed(name)} onClick={() => ask('drain')}>{t.drain}</button>}
      <button type="button" class="button danger" aria-label={t.removeNamed(name)} onClick={() => ask('remove')}>{t.remove}</button>
    </div>
  );
}

interface PanelProps { block: Block; about: string; asks: string; owner?: string | null; standing?: Standing; children?: ComponentChildren }

function MachinePanel({ block, about, asks, owner, standing, children }: PanelProps) {
  const wanted = useStore(route, (r) => r.name === (block.name || 'here'));
  const [box, setBox] = useState<HTMLElement | null>(null);
  useEffect(() => {
    if (wanted) box?.scrollIntoView({ block: 'nearest' });
  }, [wanted, box]);
  return (
    <article class="panel" ref={setBox} aria-label={nameOf(block)} data-node={block.name || 'here'} data-state={block.presence}>
      <div class="panel-head">
        <div>
          <h2>{nameOf(block)}</h2>
          <p class="muted">{about}</p>
        </div>
        <span class={`chip presence-${block.presence}`} title={t.about[block.presence]}>{t.states[block.presence]}</span>
      </div>
      <dl class="figures">
        <div class="figure-tile wide">
          <dt>{t.memory}</dt>
          <dd>
            {block.usedBytes === null ? (block.hasBytes ? bytes(block.hasBytes) : text.common.unknown) : t.of(bytes(block.usedBytes), bytes(block.hasBytes))}
            {block.usedBytes !== null && <Bar share={shareOf(block)} />}
            <small class="muted">{t.byModels(bytes(block.modelBytes))}</small>
          </dd>
        </div>
        <div class="figure-tile">
          <dt>{t.engines}</dt>
          <dd><Runs block={block} /></dd>
        </div>
        <Figure name={t.asks} value={asks} />
        {owner && <Figure name={t.owner} value={owner} />}
        {standing && <Figure name={t.standing} value={text.providers.points(number(standing.standing))} note={text.providers.honesty[standing.honesty] ?? standing.honesty} />}
        <Figure name={t.power} value={t.notMeasured} />
      </dl>
      {children}
    </article>
  );
}

function NodePanel({ node, block }: { node: PoolNode; block: Block }) {
  useTick(1_000, !node.here);
  const closed = node.owner?.closed;
  const lent = lentOf(node.owner);
  const seen = node.here ? '' : `${t.seen} ${node.seen ? t.ago(since(Date.now() - Date.parse(node.seen))) : t.never}. `;
  return (
    <MachinePanel block={block} about={block.presence === 'closed' && closed ? t.closedNow(closed) : `${seen}${t.about[block.presence]}`} asks={askOf(node) || t.free} owner={node.owned_by} standing={node.standing}>
      {lent && <p class="muted" data-test="lent">{lent}</p>}
      <Facts rows={nodeFacts(node)} note={t.saysSo} />
      <NodeActions node={node} block={block} />
    </MachinePanel>
  );
}

function OwnPanel({ machine, block }: { machine: Machine; block: Block }) {
  return (
    <MachinePanel block={block} about={[machine.name, machine.cpu, t.cores(number(machine.cores))].filter(Boolean).join(text.common.dot)} asks={t.own} />
  );
}

export function MachinesPage() {
  usePolling();
  const nodes = useStore(places, (p) => p.nodes);
  const named = useStore(providers, (p) => p.list);
  const machine = useStore(live, (l) => l.machine);
  const deployments = useStore(live, (l) => l.deployments);
  if (!nodes) return <div class="waiting" role="status"><span class="visually-hidden">{text.common.loading}</span><i /><i /></div>;
  const blocks = blocksOf(machine, nodes, deployments ?? []);
  const own = blocks.find((b) => !b.name);
  return (
    <div class="machines running">
      <div class="section-head">
        <h1>{t.title}</h1>
        <p class="muted">{t.lead}</p>
      </div>
      <PoolMap blocks={blocks} />
      <JoinSection nodes={nodes} />
      {machine && own && <OwnPanel machine={machine} block={own} />}
      {nodes.map((n) => {
        const block = blocks.find((b) => b.name === n.name);
        return block && <NodePanel key={n.name} node={n} block={block} />;
      })}
      {named && <ProvidersSection list={named} />}
    </div>
  );
}
