// The page's machines as a person uses them: a real second machine (a `freehold node join` process with a folder of its own) joins by the line that the page
// shows, appears, gets a model, is drained and removed. Prints TAP. FREEHOLD_SCREENSHOTS=FOLDER keeps pictures.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort, lacking, PROGRAM, Server, startBrowser, Tap, until, Watched } from './harness.mjs';

const why = lacking();
if (why) {
  console.log(`1..0 # SKIP ${why}`);
  process.exit(0);
}

const PATIENCE_MS = 120_000;
const PICTURES = process.env.FREEHOLD_SCREENSHOTS;
const tap = new Tap();
const server = await Server.create(['--pool', `127.0.0.1:${await freePort()}`]);
const browser = await startBrowser();
const w = await Watched.open(browser, server);
const { page } = w;
const joined = [];

async function picture(name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
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

const machine = (name) => page.locator(`[data-node="${name}"]`);
const open = (name) => page.getByRole('link', { name, exact: false }).first().click();
const line = () => page.locator('[data-test="join-line"] code');
const field = (name) => page.getByRole('textbox', { name });

async function looksRight() {
  assert.deepEqual(await w.accessibility(), []);
  for (const width of [360, 1600]) {
    await page.setViewportSize({ width, height: 900 });
    assert.ok((await w.sidewaysPixels()) <= 0, `wider than the page at ${width}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

await tap.check('Machines shows this machine, with its memory and that it is yours', async () => {
  await page.goto(server.link());
  await page.locator('.cards').waitFor();
  await open('Machines');
  await machine('here').waitFor();
  assert.match(await machine('here').textContent(), /[\d.,]+\s?GB of [\d.,]+\s?GB.*yours.*not measured/s);
  await picture('machines-alone');
  await looksRight();
});

await tap.check('one press makes one line to copy, that says what its field asks for', async () => {
  await page.getByRole('button', { name: 'Show the line' }).click();
  await line().waitFor();
  assert.match(await line().textContent(), /^echo \S+ \| freehold node join https:\/\/127\.0\.0\.1:\d+$/);
  await field('What it asks for, an hour').fill('a lot');
  await page.getByText('three capital letters').waitFor();
  assert.equal(await line().count(), 0);
  await field('What it asks for, an hour').fill('0.35EUR');
  assert.match(await line().textContent(), / --ask 0\.35EUR$/);
  await page.getByText(/Good for another (59 min|1 h)/).waitFor();
  await picture('machines-join');
  await looksRight();
  await page.locator('[data-test="join-line"]').getByRole('button', { name: 'Copy' }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await line().textContent());
});

await tap.check('a machine where the line is typed appears by itself', async () => {
  type(`${await page.evaluate(() => navigator.clipboard.readText())} --name den-2`, 'den');
  await page.locator('[data-node="den-2"][data-state="here"]').waitFor({ timeout: PATIENCE_MS });
  await page.getByText('den-2 has joined.').first().waitFor();
  assert.equal(await line().count(), 0);
  await until('its memory', async () => /[\d.,]+\s?GB of [\d.,]+\s?GB/.test(await machine('den-2').textContent()));
  assert.match(await machine('den-2').textContent(), /€0\.35 an hour/);
  await machine('den-2').getByRole('button', { name: 'What it has' }).click();
  assert.match(await machine('den-2').locator('.facts').textContent(), /cores.*Engines.*freehold/s);
  await page.getByRole('link', { name: /^den-2 ?[\d.,]+\s?GB of / }).waitFor();
  await picture('machines-two');
  await looksRight();
});

await tap.check('its state follows a process that is ended, and one that comes back', async () => {
  process.kill(-joined[0].pid, 'SIGTERM');
  await page.locator('[data-node="den-2"][data-state="away"]').waitFor({ timeout: PATIENCE_MS });
  assert.match(await machine('den-2').textContent(), /Seen last .* ago/);
  spawn('bash', ['-c', `exec freehold node join https://127.0.0.1:${(await server.api('/api/v1/nodes/token', { method: 'POST', body: {} })).port}`], {
    stdio: 'ignore', detached: true, env: { HOME: join(server.folder, 'den'), PATH: `${dirname(PROGRAM)}:${process.env.PATH}` },
  });
  await page.locator('[data-node="den-2"][data-state="here"]').waitFor({ timeout: PATIENCE_MS });
});

await tap.check('a machine is drained, after the page has said what that does', async () => {
  await machine('den-2').getByRole('button', { name: 'Drain den-2' }).click();
  await machine('den-2').getByText('Nothing new starts on den-2').waitFor();
  await machine('den-2').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await machine('den-2').getAttribute('data-state'), 'here');
  await machine('den-2').getByRole('button', { name: 'Drain den-2' }).click();
  await picture('machines-drain');
  await machine('den-2').getByRole('button', { name: 'Drain den-2 now' }).click();
  await page.locator('[data-node="den-2"][data-state="draining"]').waitFor();
  assert.equal((await server.api('/api/v1/nodes/den-2')).state, 'draining');
});

await tap.check('and removed', async () => {
  await machine('den-2').getByRole('button', { name: 'Remove den-2' }).click();
  await machine('den-2').getByRole('button', { name: 'Remove den-2 now' }).click();
  await until('the machine to be gone', async () => (await machine('den-2').count()) === 0);
  assert.deepEqual((await server.api('/api/v1/nodes')).items, []);
  await looksRight();
});

await tap.check('nothing on the page went wrong', async () => assert.deepEqual(w.wrong, []));

await tap.check('a server that does not listen for machines says how to start one that does', async () => {
  const deaf = await Server.create();
  const other = await Watched.open(browser, deaf);
  try {
    await other.page.goto(deaf.link());
    await other.page.locator('.cards').waitFor();
    await other.page.getByRole('link', { name: 'Machines' }).click();
    await other.forgiving(/409/, async () => {
      await other.page.getByRole('button', { name: 'Show the line' }).click();
      await other.page.getByText('freehold serve --pool').waitFor();
    });
    assert.deepEqual(other.wrong, []);
  } finally {
    await other.context.close();
    await deaf.end();
  }
});

await browser.close();
for (const shell of joined) {
  try {
    process.kill(-shell.pid, 'SIGTERM');
  } catch {
    // it has ended
  }
}
await server.end();
process.exit(tap.end());
