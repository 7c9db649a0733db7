// A pool on the page, with machines that have networks, processes and names of their own: they join by the lines that it shows, Run on the pool, a chat that
// goes on when its machine loses power, drain, remove. Started by pool.py. Prints TAP. FREEHOLD_SCREENSHOTS=FOLDER keeps pictures.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort, lacking, PROGRAM, reads, Server, startBrowser, Tap, until, Watched } from './harness.mjs';

const why = lacking();
if (why) {
  console.log(`1..0 # SKIP ${why}`);
  process.exit(0);
}

const REFUSED = 4;
const PICTURES = process.env.FREEHOLD_SCREENSHOTS;
const HOSTS = JSON.parse(process.env.FREEHOLD_HOSTS);
const tap = new Tap();
const port = await freePort();
const server = await Server.create(['--pool', `${process.env.FREEHOLD_POOL}:${port}`]);
const browser = await startBrowser();
const w = await Watched.open(browser, server);
const { page } = w;
const homes = {};
let used = '';

async function picture(name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

/** A line in a shell of that machine. */
function type(name, line) {
  homes[name] ??= join(server.folder, name);
  mkdirSync(homes[name], { recursive: true });
  const log = openSync(join(homes[name], 'log'), 'a');
  const [first, ...rest] = [...HOSTS[name], 'bash', '-c', line];
  const shell = spawn(first, rest, { stdio: ['ignore', log, log], env: { HOME: homes[name], PATH: `${dirname(PROGRAM)}:${process.env.PATH}` } });
  return new Promise((done) => shell.once('exit', done));
}

/** All that runs there ends in the same moment. */
function cutPower(name) {
  const [first, ...rest] = [...HOSTS[name], 'bash', '-c', 'kill -9 -1'];
  spawnSync(first, rest);
}

const machine = (name, state) => page.locator(`[data-node="${name}"]${state ? `[data-state="${state}"]` : ''}`);
const go = (name) => page.getByRole('link', { name, exact: true }).first().click();
const line = () => page.locator('[data-test="join-line"] code');

async function joins(name, ask) {
  await page.getByRole('button', { name: 'Show the line' }).click();
  await line().waitFor();
  await page.getByRole('textbox', { name: 'What it asks for, an hour' }).fill(ask);
  used = await reads(line(), new RegExp(`^echo \\S+ \\| freehold node join https://10\\.99\\.0\\.1:${port} --ask ${ask}$`));
  void type(name, used);
  await machine(name, 'here').waitFor();
}

/** Whatever it is called by then: a successor has a name of its own. */
async function runsAt(place) {
  await until(`the model to run at ${place}`, async () => {
    const all = (await server.api('/api/v1/deployments')).items;
    return all.some((d) => d.name.startsWith('smollm2-135m') && d.state === 'ready' && d.place === place);
  });
}

await tap.check('two machines join, each by the line that the page shows', async () => {
  await page.goto(server.link());
  await page.locator('.cards').waitFor();
  await go('Machines');
  await joins('dear', '0.90');
  await joins('cheap', '0.10');
  await picture('pool-two');
});

await tap.check('the line opens once', async () => {
  homes.second = join(server.folder, 'second');
  mkdirSync(homes.second);
  const code = await type('cheap', `HOME=${homes.second} && ${used} --name second`);
  assert.equal(code, REFUSED);
  assert.match(readFileSync(join(homes.cheap, 'log'), 'utf8'), /used already/);
});

await tap.check('Run offers the pool with what its machines ask, the cheaper first, and starts there', async () => {
  await go('Models');
  await page.getByRole('button', { name: /^Other places for SmolLM2/ }).first().click();
  await page.locator('[data-place="node/cheap"]').waitFor();
  const places = await page.locator('[data-place]').evaluateAll((all) => all.map((e) => e.dataset.place));
  assert.deepEqual(places.filter((p) => p.startsWith('node/')), ['node/cheap', 'node/dear']);
  await reads(page.locator('[data-place="node/cheap"]'), /0\.10 an hour/);
  await page.locator('[data-place="pool"] input').check();
  await picture('pool-run');
  assert.deepEqual(await w.accessibility(), []);
  await page.getByRole('button', { name: /^Run at the pool/i }).click();
  await runsAt('node/cheap');
  const done = server.cli('run', 'smollm2', 'Hello.', '--on', 'node/dear', '--name', 'second');
  assert.equal(done.status, 0, done.stderr);
});

await tap.check('a chat goes on when the machine that answers loses power, and the page sees which', async () => {
  await page.goto(`${server.url}/#/chat`);
  await page.locator('.composer textarea').waitFor();
  await page.locator('.chat select, select').first().selectOption('auto');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('Longest answer').fill('200');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.locator('.composer textarea').fill('Tell me a long story about a lighthouse.');
  await page.locator('.composer textarea').press('Enter');
  await until('the first words', async () => ((await page.locator('.answer .markdown').last().textContent().catch(() => '')) ?? '').length > 40);
  const busy = (await server.api('/api/v1/deployments')).items.filter((d) => d.state === 'ready');
  assert.equal(busy.length, 2);
  cutPower('cheap');
  const begun = Date.now();
  await until('its loss to be noticed', async () => !(await server.api('/api/v1/nodes/cheap')).here);
  const noticed = Date.now() - begun;
  await until('an answer that has ended', async () => ['done', 'length'].includes(await page.locator('.answer').last().getAttribute('data-state').catch(() => '')));
  await go('Machines');
  await machine('cheap', 'away').waitFor();
  await picture('pool-lost');
  return `noticed after ${noticed} ms`;
});

await tap.check('what ran there gets another place', () => runsAt('node/dear'));

await tap.check('the machine comes back with no token', async () => {
  void type('cheap', `exec freehold node join https://10.99.0.1:${port}`);
  await machine('cheap', 'here').waitFor();
});

await tap.check('drained on the page, a machine is left', async () => {
  await machine('dear').getByRole('button', { name: 'Drain dear' }).click();
  await machine('dear').getByRole('button', { name: 'Drain dear now' }).click();
  await machine('dear', 'draining').waitFor();
  await runsAt('node/cheap');
});

await tap.check('removed on the page, a machine is out, and its certificate is refused', async () => {
  await machine('dear').getByRole('button', { name: 'Remove dear' }).click();
  await machine('dear').getByRole('button', { name: 'Remove dear now' }).click();
  await until('the machine to be gone', async () => (await machine('dear').count()) === 0);
  assert.equal(await type('dear', `exec freehold node join https://10.99.0.1:${port}`), REFUSED);
  assert.match(readFileSync(join(homes.dear, 'log'), 'utf8'), /removed from the pool/);
});

await tap.check('nothing on the page went wrong', async () => assert.deepEqual(w.wrong, []));

await browser.close();
for (const name of Object.keys(HOSTS)) cutPower(name);
await server.end();
process.exit(tap.end());
