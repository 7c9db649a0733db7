// The page's places as a person uses them: a real second machine (a `freehold node join` process with a folder of its own) joins by the line that the page
// shows, appears, gets a model from the sheet of places, is drained and removed; a model that nothing here can run has its places ranked, with an account
// that machines are rented of (a fake made from its provider's documents). Prints TAP. FREEHOLD_SCREENSHOTS=FOLDER keeps pictures.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort, lacking, PROGRAM, reads, Server, startBrowser, Tap, until, Watched } from './harness.mjs';

const why = lacking();
if (why) {
  console.log(`1..0 # SKIP ${why}`);
  process.exit(0);
}

const PICTURES = process.env.FREEHOLD_SCREENSHOTS;
const tap = new Tap();
const upstream = await Server.create();
const server = await Server.create(['--pool', `127.0.0.1:${await freePort()}`]);
const browser = await startBrowser();
const w = await Watched.open(browser, server);
const { page } = w;
const joined = [];
let den;
let cloud; // tells the fake account how to behave

async function picture(name, fullPage = true) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}-${width}.png`), fullPage });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
}

/** The line in a shell of "another machine", which has a home of its own. */
function type(line, name) {
  const home = join(server.folder, name);
  mkdirSync(home);
  const log = openSync(join(home, 'log'), 'a');
  const shell = spawn('bash', ['-c', line], {
    stdio: ['ignore', log, log], detached: true, env: { HOME: home, PATH: `${dirname(PROGRAM)}:${process.env.PATH}` },
  });
  joined.push(shell);
  return shell;
}

/** Of each day, those that are hours away. */
function hoursElsewhen() {
  const from = (new Date().getHours() + 6) % 24;
  const clock = (hour) => `${String(hour % 24).padStart(2, '0')}:00`;
  return `mon-sun ${clock(from)}-${clock(from + 2)}`;
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function finish() {
  await browser.close();
  for (const shell of joined) {
    try {
      process.kill(-shell.pid, 'SIGTERM');
    } catch {
      // it has ended
    }
  }
  await server.end();
  await upstream.end();
  process.exit(tap.end());
}

/** Each step stands on the one before. */
async function step(name, fn) {
  if (!(await tap.check(name, fn))) await finish();
}

const machine = (name) => page.locator(`[data-node="${name}"]`);
const open = (name) => page.getByRole('link', { name, exact: false }).first().click();
const line = () => page.locator('[data-test="join-line"] code');
const field = (name) => page.getByRole('textbox', { name });

const sheet = () => page.getByRole('dialog');
const chosen = () => sheet().locator('.place-row.chosen');

const LAG_S = 3;

/** An account of a provider that machines are rented of: each that is rented is a real process that runs freehold's node. */
async function startAccount() {
  const folder = join(server.folder, 'cloud');
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(PROGRAM, join(bin, 'freehold'));
  const fake = spawn('python3', [join(dirname(fileURLToPath(import.meta.url)), '../rent/fakes/runpod.py'), '--machines', join(folder, 'machines'), '--path', `${bin}:${process.env.PATH}`], {
    stdio: ['ignore', 'pipe', 'ignore'], detached: true,
  });
  joined.push(fake);
  const url = `http://127.0.0.1:${await new Promise((done) => createInterface(fake.stdout).once('line', done))}`;
  cloud = (path, body) => fetch(url + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  await cloud('/_set', { lag: LAG_S - 1, boot: 0.5 });
  const key = join(server.folder, 'runpod.key');
  writeFileSync(key, 'rentkey-4f1c9a7be2\n', { mode: 0o600 });
  return { name: 'my-runpod', kind: 'runpod', url, key_file: key, settings: { lag: String(LAG_S), settle: '2' } };
}

/** What is known of prices beside that. */
async function addOffers() {
  await server.api('/api/v1/providers', { method: 'POST', body: await startAccount() });
  const offers = [['lambda', 'b200', 8, 39.92], ['digitalocean', 'mi300x', 8, 15.92], ['lambda', 'h200', 8, 28.9]].map(([place, device, devices, hour]) => ({ place, device, devices, hour_nusd: Math.round(hour * 1e9), start_s: 300, fetch_mb_s: 1000 }));
  await server.api('/api/v1/price-lists', { method: 'POST', body: { name: 'seen', offers } });
}

async function looksRight() {
  assert.deepEqual(await w.accessibility(), []);
  for (const width of [360, 1600]) {
    await page.setViewportSize({ width, height: 900 });
    assert.ok((await w.sidewaysPixels()) <= 0, `wider than the page at ${width}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

await step('Machines shows this machine, with its memory and that it is yours', async () => {
  await addOffers();
  await page.goto(server.link());
  await page.locator('.cards').waitFor();
  await open('Machines');
  await machine('here').waitFor();
  await reads(machine('here'), /[\d.,]+\s?[kMG]B of [\d.,]+\s?GB.*yours.*not measured/s);
  await picture('machines-alone');
  await looksRight();
});

await step('the ten strongest each have a Run, which opens the places, three of them recommended', async () => {
  await open('Models');
  await page.locator('.best-now').first().waitFor();
  await until('the best price of all', async () => (await page.locator('.card .best-now').count()) >= 4);
  assert.match((await page.locator('.card .best-now').allTextContents()).join('\n'), /8 x \S.* at \S+, \$[\d.,]+ an hour, ready in about \d+ min, [\d,]+ tokens\/s, \$[\d.]+ a million/);
  await picture('models-prices');
  await page.locator('.card').getByRole('button', { name: 'Run GLM-5.3', exact: true }).click();
  await sheet().locator('.place-row[data-place]').first().waitFor();
  await until('three recommendations', async () => (await sheet().locator('button.best-card').count()) === 3);
  for (const goal of ['price', 'speed', 'energy']) assert.equal(await sheet().locator(`button.best-card[data-goal="${goal}"]`).count(), 1);
  await picture('sheet', false);
  await looksRight();
});

await step('the slider ranks the list anew, by keyboard too', async () => {
  const slider = sheet().getByRole('slider', { name: 'What matters' });
  const first = () => sheet().locator('.place-row[data-place]').first().textContent();
  const cheapest = await first();
  assert.equal(await slider.getAttribute('aria-valuetext'), 'Price alone');
  await slider.focus();
  for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowRight');
  await until('what is told of speed', async () => (await slider.getAttribute('aria-valuetext')) === 'Speed alone');
  await until('another to be first', async () => (await first()) !== cheapest);
  await sheet().getByRole('button', { name: 'Price', exact: true }).click();
  await until('the cheapest to be first again', async () => (await first()) === cheapest);
});

await step('what is rented has its limit filled in, says what is to be known, and is not run without a limit', async () => {
  await sheet().locator('.place-row[data-place="provider/my-runpod"]').first().click();
  await until('its price', async () => Number(await sheet().getByRole('textbox', { name: 'Dollars an hour, at most' }).inputValue()) > 0);
  assert.equal(await sheet().getByRole('textbox', { name: 'Hours' }).inputValue(), '8');
  await sheet().getByRole('button', { name: 'Run at my-runpod' }).waitFor();
  await sheet().getByRole('textbox', { name: 'Hours' }).fill('');
  await sheet().getByRole('button', { name: 'Run at my-runpod' }).waitFor({ state: 'hidden' });
  await sheet().getByRole('textbox', { name: 'Hours' }).fill('0.01');
  await sheet().getByText('before it is ready').waitFor();
  await sheet().getByRole('textbox', { name: 'Hours' }).fill('2');
  await sheet().getByRole('button', { name: 'Why not another' }).click();
  await sheet().locator('.why-not li').first().waitFor();
  await picture('sheet-rented', false);
  await looksRight();
  await page.keyboard.press('Escape');
  await sheet().waitFor({ state: 'hidden' });
  await open('Machines');
});

await step('a provider that is named is asked first; what it says is shown, and it is checked and removed', async () => {
  const provider = (name) => page.locator(`[data-provider="${name}"]`);
  await reads(provider('my-runpod'), /RunPod account · [\d,]+ offers.*key in .*runpod\.key.*Standing \d+ of 100/s);
  await page.getByRole('button', { name: 'Add a provider' }).click();
  await field('Name').fill('other');
  await field('Address').fill('http://127.0.0.1:9');
  await picture('providers-add');
  await looksRight();
  await w.forgiving(/50\d/, async () => {
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('alert').getByText('does not answer').waitFor();
  });
  assert.equal(upstream.cli('run', 'smollm2', 'Hello.').status, 0);
  await page.getByLabel('Key', { exact: true }).fill(readFileSync(upstream.keyFile, 'utf8').trim());
  await field('Address').fill(upstream.url);
  await field('Dollars a million tokens in').fill('0.1');
  await field('Dollars a million tokens out').fill('0.4');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await provider('other').waitFor();
  await reads(provider('other'), /Hosted endpoint, OpenAI API.*\$0\.10 in, \$0\.40 out/s);
  assert.equal(await page.getByLabel('Key', { exact: true }).count(), 0);
  await provider('my-runpod').getByRole('button', { name: 'Check my-runpod' }).click();
  await page.getByText(/my-runpod: [\d,]+ offers/).first().waitFor();
  await picture('providers');
  await looksRight();
  await open('Chat');
  await page.locator('.picker select').selectOption({ label: 'other/smollm2-135m' });
  await page.locator('.composer textarea').fill('Say hello.');
  await page.locator('.composer textarea').press('Enter');
  await page.locator('.answer[data-state="done"], .answer[data-state="length"]').last().waitFor();
  await picture('chat-hosted');
  await page.locator('.picker select').selectOption('auto');
  await page.getByRole('button', { name: 'New chat' }).click();
  assert.equal(upstream.cli('stop', 'smollm2-135m').status, 0);
  await open('Machines');
  await provider('other').getByRole('button', { name: 'Remove other' }).click();
  await provider('other').getByRole('button', { name: 'Remove other now' }).click();
  await until('it to be gone', async () => (await provider('other').count()) === 0);
});

await step('the offer that is picked is asked for; it is gone, so the next-best is rented, which is said; it serves, and is given back by Stop', async () => {
  await open('Models');
  await page.getByRole('button', { name: 'Other places for SmolLM2' }).first().click();
  assert.equal(await sheet().getByText('not those that were scored').count(), 0); // nobody has scored any of its weights
  const row = sheet().locator('.place-row[data-place="provider/my-runpod"]').nth(3);
  const picked = await row.getAttribute('data-offer');
  await row.click();
  await sheet().getByRole('textbox', { name: 'Hours' }).fill('1');
  await cloud('/_fault', { call: 'rent', kind: 'capacity', count: 1 });
  await sheet().getByRole('button', { name: 'Run at my-runpod' }).click();
  await page.locator('.panel[data-state="provisioning"]').waitFor();
  await reads(page.locator('[data-test="price"]').first(), /limit 1 h, \$[\d.]+ an hour, \$[\d.]+ in all/);
  await picture('running-rented');
  await page.locator('.composer textarea').waitFor();
  await open('Running');
  await reads(page.locator('.panel[data-state="ready"]'), /got of my-runpod.*\$[\d.]+ an hour.*so far, at most/s);
  await reads(page.locator('[data-test="note"]'), /^Its machine: .* is not to be had now, this is the next-best\.$/);
  const [rental] = (await server.api('/api/v1/rentals')).items;
  assert.deepEqual(rental.acts.map((a) => a.offer === picked), [true, false]);
  await looksRight();
  const { name } = await server.running();
  await page.getByRole('button', { name: `Stop ${name}` }).click();
  await until('the machine to be gone', async () => (await server.api('/api/v1/nodes')).items.length === 0);
  await open('Machines');
});

await step('one press makes one line to copy, that says what its field asks for', async () => {
  await page.getByRole('button', { name: 'Show the line' }).click();
  await line().waitFor();
  await reads(line(), /^echo \S+ \| freehold node join https:\/\/127\.0\.0\.1:\d+$/);
  await field('What it asks for, an hour').fill('a lot');
  await page.getByText('three capital letters').waitFor();
  await line().waitFor({ state: 'hidden' });
  await field('What it asks for, an hour').fill('0.35EUR');
  await reads(line(), / --ask 0\.35EUR$/);
  await page.getByText(/Good for another (5\d min|1 h)/).waitFor();
  await picture('machines-join');
  await looksRight();
  await page.locator('[data-test="join-line"]').getByRole('button', { name: 'Copy' }).click();
  await until('the line to be copied', async () => (await page.evaluate(() => navigator.clipboard.readText())) === (await line().textContent()));
});

await step('a machine where the line is typed appears by itself', async () => {
  den = type(`${await page.evaluate(() => navigator.clipboard.readText())} --name den-2 --models smollm2`, 'den');
  await page.locator('[data-node="den-2"][data-state="here"]').waitFor();
  await page.getByText('den-2 has joined.').first().waitFor();
  await line().waitFor({ state: 'hidden' });
  await reads(machine('den-2'), /[\d.,]+\s?[kMG]B of [\d.,]+\s?GB.*€0\.35 an hour/s);
  await reads(machine('den-2').locator('[data-test="lent"]'), /^Its owner lends it only for smollm2-135m\.$/);
  await machine('den-2').getByRole('button', { name: 'What it has' }).click();
  await reads(machine('den-2').locator('.facts'), /cores.*Engines.*freehold/s);
  await page.getByRole('link', { name: /^den-2 ?[\d.,]+\s?[kMG]B of / }).waitFor();
  await picture('machines-two');
  await looksRight();
});

await step('a model runs on it from the sheet of places, and answers', async () => {
  await open('Models');
  await page.getByRole('button', { name: 'Other places for SmolLM2' }).first().click();
  await sheet().getByRole('radio', { name: /^The pool/ }).waitFor();
  await sheet().getByRole('radio', { name: /^den-2/ }).check();
  await reads(chosen(), /den-2, in the pool.*€0\.35 an hour.*as asked/s);
  await picture('sheet-pool', false);
  await sheet().getByRole('button', { name: 'Run at den-2' }).click();
  await page.locator('.composer textarea').waitFor();
  const d = await server.running();
  assert.equal(d.place, 'node/den-2');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('Longest answer').fill('8');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.locator('.composer textarea').fill('Say hello.');
  await page.locator('.composer textarea').press('Enter');
  await until('an answer that has ended', async () => ['done', 'length'].includes(await page.locator('.answer').last().getAttribute('data-state').catch(() => '')));
  await open('Running');
  await reads(page.locator(`[data-deployment="${d.name}"]`), /on den-2, in the pool.*Price: €0\.35 an hour/s);
  await picture('running-pool');
  await looksRight();
  await open('Machines');
  await machine('den-2').getByRole('link', { name: d.name }).waitFor();
  await until('memory that models take', async () => !/ 0\s?B by models/.test(await machine('den-2').textContent()));
  await picture('machines-serving');
  await server.api(`/api/v1/deployments/${d.name}`, { method: 'DELETE' });
});

await step('its state follows a process that is ended, and one that comes back', async () => {
  process.kill(-den.pid, 'SIGTERM');
  await page.locator('[data-node="den-2"][data-state="away"]').waitFor();
  await reads(machine('den-2'), /Seen last .* ago/);
  await until('its process to end, which has its folder', () => !isAlive(-den.pid));
  const { port } = await server.api('/api/v1/nodes/token', { method: 'POST', body: {} });
  spawn('bash', ['-c', `exec freehold node join https://127.0.0.1:${port} --hours "${hoursElsewhen()}"`], {
    stdio: 'ignore', detached: true, env: { HOME: join(server.folder, 'den'), PATH: `${dirname(PROGRAM)}:${process.env.PATH}` },
  });
  await page.locator('[data-node="den-2"][data-state="closed"]').waitFor();
  await reads(machine('den-2'), /Not lent now: its owner lends it at other hours: mon-sun /);
  await picture('machines-closed');
});

await step('a machine is drained, after the page has said what that does', async () => {
  await machine('den-2').getByRole('button', { name: 'Drain den-2' }).click();
  await machine('den-2').getByText('Nothing new starts on den-2').waitFor();
  await machine('den-2').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await machine('den-2').getAttribute('data-state'), 'closed');
  await machine('den-2').getByRole('button', { name: 'Drain den-2' }).click();
  await picture('machines-drain');
  await machine('den-2').getByRole('button', { name: 'Drain den-2 now' }).click();
  await page.locator('[data-node="den-2"][data-state="draining"]').waitFor();
  assert.equal((await server.api('/api/v1/nodes/den-2')).state, 'draining');
  await picture('machines-draining');
});

await step('and taken back from that, by one press', async () => {
  await machine('den-2').getByRole('button', { name: 'Undrain den-2' }).click();
  await page.locator('[data-node="den-2"][data-state="closed"]').waitFor();
  assert.equal((await server.api('/api/v1/nodes/den-2')).state, 'joined');
});

await step('and removed', async () => {
  await machine('den-2').getByRole('button', { name: 'Remove den-2' }).click();
  await machine('den-2').getByRole('button', { name: 'Remove den-2 now' }).click();
  await until('the machine to be gone', async () => (await machine('den-2').count()) === 0);
  assert.deepEqual((await server.api('/api/v1/nodes')).items, []);
  await looksRight();
});

await step('nothing on the page went wrong', async () => assert.deepEqual(w.wrong, []));

await step('a server that does not listen for machines says how to start one that does', async () => {
  const other = await Watched.open(browser, upstream);
  try {
    await other.page.goto(upstream.link());
    await other.page.locator('.cards').waitFor();
    await other.page.getByRole('link', { name: 'Machines' }).click();
    await other.forgiving(/409/, async () => {
      await other.page.getByRole('button', { name: 'Show the line' }).click();
      await other.page.getByText('freehold serve --pool').waitFor();
    });
    assert.deepEqual(other.wrong, []);
  } finally {
    await other.context.close();
  }
});

await finish();
