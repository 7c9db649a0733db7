// The page's Run with engines of others: a real llama-server is offered beside our own, started by the same button, and chats on the same page; and with --whole a
// real vLLM, where it is installed, with weights that it alone takes: it takes minutes to start. Prints TAP.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lacking, Server, startBrowser, Tap, until, Watched } from './harness.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fh-engines-'));
const others = join(dirname(fileURLToPath(import.meta.url)), '../engines/others.py');
const found = spawnSync('python3', [others, folder], { encoding: 'utf8' });
const why = lacking() || (found.status === 0 ? '' : (found.stdout + found.stderr).trim());
if (why) {
  rmSync(folder, { recursive: true });
  console.log(`1..0 # SKIP ${why}`);
  process.exit(0);
}

const VLLM_MS = 900_000; // on a busy machine of two cores
const tap = new Tap();
const vllm = process.argv.includes('--whole') ? spawnSync('python3', [others, folder, 'vllm'], { encoding: 'utf8' }) : null;
const [vllmWords, safetensors] = vllm?.status === 0 ? vllm.stdout.trim().split('\n') : [];
const server = await Server.create(['--engine', found.stdout.trim(), ...(vllmWords ? ['--engine', vllmWords] : [])]);
const browser = await startBrowser();
const w = await Watched.open(browser, server);
const { page } = w;

await tap.check('Run offers the engines that take the weights, our own first', async () => {
  await page.goto(server.link());
  await page.locator('.cards').waitFor();
  const choice = page.getByRole('combobox', { name: /^Engine that runs/ }).first();
  await choice.waitFor();
  assert.deepEqual(await choice.locator('option').allTextContents(), ['freehold', 'llama-server']);
  assert.equal(await choice.inputValue(), 'freehold');
  assert.deepEqual(await w.accessibility(), []);
});

await tap.check('the same button starts llama-server, and the chat opens', async () => {
  await page.getByRole('combobox', { name: /^Engine that runs/ }).first().selectOption('llama-server');
  await page.getByRole('button', { name: /^Run SmolLM2/ }).first().click();
  await until('the engine to be ready', async () => (await server.running())?.state === 'ready');
  assert.equal((await server.running()).engine, 'llama-server');
  await page.locator('.composer textarea').waitFor();
});

async function answers() {
  await page.locator('.composer textarea').fill('Say hello.');
  await page.locator('.composer textarea').press('Enter');
  await until('an answer that has ended', async () => ['done', 'length'].includes(await page.locator('.answer').last().getAttribute('data-state').catch(() => '')));
  assert.ok((await page.locator('.answer .markdown').last().textContent()).trim());
}

await tap.check('it answers on the page', async () => {
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('Longest answer').fill('8');
  await page.getByRole('button', { name: 'Options' }).click();
  await answers();
});

if (safetensors) {
  await tap.check('a folder of safetensors is a model on the page, and the same button starts vLLM', async () => {
    const { name } = await server.running();
    await server.fetch(`/api/v1/deployments/${name}`, { method: 'DELETE' });
    const done = server.cli('import', '--id', 'small-safetensors', safetensors);
    assert.equal(done.status, 0, done.stderr);
    await page.goto(`${server.url}/#/models`);
    await page.reload();
    await page.getByRole('button', { name: 'Show them' }).click();
    await page.getByRole('searchbox').fill('small-safetensors');
    await page.getByRole('button', { name: 'Run small-safetensors' }).click();
    await until('vLLM to be ready', async () => { const d = await server.deployment('small-safetensors'); return d?.state === 'ready' && d.engine === 'vllm'; }, VLLM_MS);
    await page.locator('.composer textarea').waitFor();
  });

  await tap.check('and it answers on the page, at the same endpoint', answers);
}

await tap.check('nothing on the page went wrong', async () => assert.deepEqual(w.wrong, []));

await browser.close();
await server.end();
rmSync(folder, { recursive: true });
process.exit(tap.end());
