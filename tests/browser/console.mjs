// The page as a person uses it, in a real browser against a real server with the starter model: sign in, Run, chat, stop, retry, reload, and what happens
// when an engine or the server dies. Prints TAP. FREEHOLD_SCREENSHOTS=FOLDER keeps pictures of each screen.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { lacking, reads, sleep, Server, startBrowser, Tap, until, Watched } from './harness.mjs';

const why = lacking();
if (why) {
  console.log(`1..0 # SKIP ${why}`);
  process.exit(0);
}

const PICTURES = process.env.FREEHOLD_SCREENSHOTS;
const DEAD_SERVER = /ERR_(CONNECTION|EMPTY|INCOMPLETE|NETWORK|ABORTED)|Failed to load resource/;
const LONGEST_TOK = 80; // a small model may ramble on until its context is full, and then no question fits any more
const LONG = 'Write a very long story about a ship, at least a thousand words.';

const tap = new Tap();
const bail = async (what) => {
  console.log(`Bail out! ${what}\n${server.output()}`);
  await browser.close();
  await server.end();
  process.exit(1);
};
const server = await Server.create();
const browser = await startBrowser();
const w = await Watched.open(browser, server);
const { page } = w;

async function picture(name, on = page) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await on.screenshot({ path: join(PICTURES, `${name}.png`) });
}

const answers = () => page.locator('.answer');
const lastAnswer = () => answers().last();
const composer = () => page.locator('.composer textarea');
const answerEnds = (...states) => until(`an answer that is ${states.join(' or ')}`, async () => states.includes(await lastAnswer().getAttribute('data-state')));
const answerIsWhole = () => answerEnds('done', 'length');
const openPage = (name) => page.getByRole('link', { name, exact: false }).first().click();

async function ask(words) {
  await composer().fill(words);
  await composer().press('Enter');
}

/* '' for no limit. */
async function limitAnswers(tokens) {
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('Longest answer').fill(String(tokens));
  await page.getByRole('button', { name: 'Options' }).click();
}

/* A model of this size may answer in three words or in three thousand: asks again until an answer that is still being written has some. */
async function writingSome(least, start) {
  const text = async () => (await lastAnswer().locator('.markdown').textContent().catch(() => '')) ?? '';
  const writing = async () => (await lastAnswer().getAttribute('data-state')) === 'writing';
  const retry = () => lastAnswer().getByRole('button', { name: 'Retry' }).click();
  await limitAnswers('');
  for (let begin = start; ; begin = retry) {
    await begin();
    await until('some words, or the end', async () => !(await writing()) || (await text()).length > least);
    if (await writing()) return;
  }
}

const askForLong = (least) => writingSome(least, async () => {
  const before = await answers().count();
  await ask(LONG);
  await until('one more answer', async () => (await answers().count()) === before + 1);
});

async function signIn(on = page) {
  await on.goto(server.link());
  await on.locator('.cards').waitFor();
}

async function wholeAnswer(words) {
  const before = await answers().count();
  await limitAnswers(LONGEST_TOK);
  await ask(words);
  await until('one more answer', async () => (await answers().count()) === before + 1);
  await answerIsWhole();
}

await tap.check('without a link the page says how to get one and asks the server for nothing', async () => {
  await page.goto(server.url);
  await page.getByText('freehold console').waitFor();
  await picture('sign-in');
  assert.deepEqual(w.requests.filter((u) => /\/(api|v1)\//.test(u)), []);
});

await tap.check('the link signs in, once, and its code leaves the address at once', async () => {
  const link = server.link();
  await page.goto(link);
  await page.locator('.cards').waitFor();
  assert.ok(!page.url().includes('code='), page.url());
  assert.equal(await page.evaluate(() => document.cookie), '');
  const second = await Watched.open(browser, server);
  await second.forgiving(/401/, async () => {
    await second.page.goto(link);
    await second.page.getByText('used already').waitFor();
  });
  assert.deepEqual(second.wrong, []);
  await second.context.close();
});

await tap.check('Models shows the starter, then the ten strongest in order, each with what it needs', async () => {
  await page.getByText('Try now, free, on this machine').waitFor();
  const ranks = await page.locator('.card .rank').allTextContents();
  assert.deepEqual(ranks, ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
  for (const way of await page.locator('.card .way').allTextContents()) assert.match(way, /[Nn]eeds|how much memory/);
  assert.match((await page.locator('.card .way').allTextContents()).join(' '), /Needs [\d,.]+\s?GB, this machine has [\d,.]+\s?GB/);
  await picture('models');
  await page.getByRole('button', { name: 'Details' }).first().click();
  await page.getByText('Precision that was tested').first().waitFor();
  await page.getByRole('button', { name: 'Show them' }).click();
  await page.getByRole('searchbox').fill('qwen');
  assert.ok((await page.locator('.others tbody tr').count()) > 1);
});

const ran = await tap.check('Run shows the states as they pass, then opens the chat with the cursor in it', async () => {
  await page.evaluate(() => {
    window.seenStates = [];
    new MutationObserver(() => {
      for (const p of document.querySelectorAll('.panel')) {
        const state = p.getAttribute('data-state');
        if (window.seenStates.at(-1) !== state) window.seenStates.push(state);
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await page.getByRole('button', { name: /^Run / }).first().click();
  await composer().waitFor();
  await until('the cursor', () => page.evaluate(() => document.activeElement?.tagName === 'TEXTAREA'));
  const seen = await page.evaluate(() => window.seenStates);
  assert.ok(seen.length >= 1, 'no state was drawn');
  await picture('chat-empty');
  return `drawn on the way: ${seen.join(', ')}`;
});
if (!ran) await bail(JSON.stringify((await server.api('/api/v1/deployments')).items));

await tap.check('a question is answered in a stream, with its tokens a second', async () => {
  await limitAnswers(LONGEST_TOK);
  await composer().focus();
  await page.keyboard.type('What is the capital of France?');
  await page.keyboard.press('Enter');
  await answerIsWhole();
  await reads(lastAnswer().locator('.footnote'), /\d+ tokens · [\d.,]+ tokens\/s · first after/);
  assert.ok((await lastAnswer().locator('.markdown').textContent()).length > 5);
  await picture('chat');
  return `first token ${Math.round(Number(await lastAnswer().getAttribute('data-from-run-ms')))} ms after pressing Run (typing included)`;
});

await tap.check('Shift and Enter starts a new line, Enter sends', async () => {
  await composer().focus();
  await page.keyboard.type('Say yes.');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('Only that.');
  assert.equal(await composer().inputValue(), 'Say yes.\nOnly that.');
  await page.keyboard.press('Enter');
  await until('one more answer', async () => (await answers().count()) === 2);
  await answerIsWhole();
  assert.equal(await composer().inputValue(), '');
});

await tap.check('Escape stops a long answer, and what was written stays', async () => {
  await askForLong(40);
  assert.equal(await answers().count(), 3);
  await picture('chat-writing');
  await page.keyboard.press('Escape');
  await answerEnds('stopped');
  const kept = await lastAnswer().locator('.markdown').textContent();
  await sleep(400);
  assert.equal(await lastAnswer().locator('.markdown').textContent(), kept);
});

await tap.check('the Stop button stops too, and Retry asks again', async () => {
  await writingSome(0, () => lastAnswer().getByRole('button', { name: 'Retry' }).click());
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await answerEnds('stopped');
  assert.equal(await answers().count(), 3);
});

await tap.check('an answer and a question can be copied, a question can be changed', async () => {
  await limitAnswers(LONGEST_TOK);
  await answers().first().getByRole('button', { name: 'Copy' }).last().click();
  assert.ok((await page.evaluate(() => navigator.clipboard.readText())).length > 5);
  await page.locator('.question').last().hover();
  await page.locator('.question').last().getByRole('button', { name: 'Edit' }).click();
  await page.locator('.editor textarea').fill('Name one colour.');
  await page.keyboard.press('Enter');
  await reads(page.locator('.question > p').last(), /^Name one colour\.$/);
  await answerIsWhole();
  assert.equal(await answers().count(), 3);
});

await tap.check('a reload keeps the session and the conversation', async () => {
  const said = () => page.locator('.question > p, .answer .markdown').allTextContents();
  const before = await said();
  await page.reload();
  await page.locator('.talk').waitFor();
  assert.deepEqual(await said(), before);
  await wholeAnswer('Say hello.');
});

await tap.check('a reload during an answer says so and Retry goes on', async () => {
  await askForLong(20);
  await page.reload();
  await page.getByText('reloaded while this was being written').waitFor();
  await lastAnswer().getByRole('button', { name: 'Retry' }).click();
  await until('writing', async () => (await lastAnswer().getAttribute('data-state')) === 'writing');
  await page.keyboard.press('Escape');
  await answerEnds('stopped');
});

await tap.check('New chat can be undone', async () => {
  const before = await answers().count();
  await page.getByRole('button', { name: 'New chat' }).click();
  await page.getByText('Chat cleared.').first().waitFor();
  assert.equal(await answers().count(), 0);
  await page.getByRole('button', { name: 'Undo' }).click();
  assert.equal(await answers().count(), before);
});

await tap.check('Running shows the way, the figures and the log', async () => {
  await openPage('Running');
  await page.locator('.panel[data-state="ready"] .figures').waitFor();
  const panel = page.locator('.panel').first();
  for (const state of ['Requested', 'Planning', 'Loading', 'Proving', 'Ready']) await panel.locator('.step-name', { hasText: state }).first().waitFor();
  await reads(panel.locator('.figures'), /tokens\/s.*MB.*(bubblewrap|landlock)/s);
  const cut = await panel.locator('.figures > *').evaluateAll((all) => all.filter((f) => f.scrollWidth > f.clientWidth).map((f) => f.textContent));
  assert.deepEqual(cut, []);
  await panel.getByRole('button', { name: 'Log' }).click();
  await panel.locator('.log').waitFor();
  await picture('running');
});

await tap.check('an engine that is killed is seen to heal by itself', async () => {
  const { pid, restarts } = await server.running();
  await page.evaluate(() => {
    window.seenStates = [];
    new MutationObserver(() => {
      const state = document.querySelector('.panel')?.getAttribute('data-state');
      if (window.seenStates.at(-1) !== state) window.seenStates.push(state);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  const at = Date.now();
  process.kill(pid, 'SIGKILL');
  await until('the page to notice', () => page.evaluate(() => window.seenStates.some((s) => s && s !== 'ready')));
  const noticed = Date.now() - at;
  await page.locator('.panel[data-state="ready"]').waitFor();
  const healed = Date.now() - at;
  const now = await until('another engine', async () => { const d = await server.running(); return d?.state === 'ready' && d.pid !== pid && d; });
  assert.ok(now.restarts > restarts);
  await openPage('Chat');
  await page.locator('.talk').waitFor();
  await wholeAnswer('Say hello again.');
  return `noticed on the page after ${noticed} ms, ready again after ${healed} ms`;
});

await tap.check('a server that is killed is said to be away, and nothing typed is lost', async () => {
  await w.forgiving(DEAD_SERVER, async () => {
    await server.kill();
    await page.getByText('The server is away.').first().waitFor();
    await composer().fill('Are you back?');
    await composer().press('Enter');
    assert.equal(await composer().inputValue(), 'Are you back?');
    await picture('away');
    await page.reload().catch(() => undefined);
  });
});

await tap.check('a server that is started again is said to be back, and the page goes on', async () => {
  await w.forgiving(DEAD_SERVER, async () => {
    if (!page.url().startsWith('http')) await page.goto(`${server.url}/#/chat`).catch(() => undefined);
    await server.start();
    await until('the page', () => page.goto(`${server.url}/#/chat`).then(() => true, () => false)); // the reload may fail a moment later only
    await composer().waitFor();
    await server.kill();
    await page.getByText('The server is away.').first().waitFor();
    await server.start();
    await page.getByText('The server is back. Everything goes on.').first().waitFor();
    await page.getByText('The server is away.').first().waitFor({ state: 'hidden' });
  });
  await until('a ready deployment', async () => (await server.running())?.state === 'ready');
  assert.equal(await composer().inputValue(), 'Are you back?');
  await composer().press('Enter');
  await answerIsWhole();
});

await tap.check('an answer that is cut by a dying server stays and can be asked again', async () => {
  await askForLong(20);
  await w.forgiving(DEAD_SERVER, async () => {
    await server.kill();
    await until('its end', async () => ['cut', 'failed'].includes(await lastAnswer().getAttribute('data-state')));
    assert.ok((await lastAnswer().locator('.markdown').textContent()).length > 20);
    await server.start();
    await page.getByText('The server is away.').first().waitFor({ state: 'hidden' });
  });
  await until('a ready deployment', async () => (await server.running())?.state === 'ready');
  await lastAnswer().getByRole('button', { name: 'Retry' }).click();
  await until('writing', async () => (await lastAnswer().getAttribute('data-state')) === 'writing');
  await page.keyboard.press('Escape');
  await answerEnds('stopped');
});

await tap.check('Stop frees the model and says what it loses, Run again brings it back', async () => {
  await openPage('Running');
  await page.getByText('Weights stay on disk').first().waitFor();
  await page.getByRole('button', { name: /^Stop / }).click();
  await page.getByText('Nothing is running.').waitFor();
  await picture('stopped');
  await page.getByRole('button', { name: 'Run again' }).first().click();
  await composer().waitFor();
});

await tap.check('an engine killed under a stream: the page shows how another one went on', async () => {
  const ready = (name) => until(`${name} to be ready`, async () => (await server.deployment(name))?.state === 'ready');
  const other = await server.api('/api/v1/deployments', { method: 'POST', body: { model: 'smollm2' } });
  await ready(other.name);
  await openPage('Running');
  await page.locator('.traffic .figures').waitFor();
  const stream = await server.fetch('/v1/chat/completions', {
    method: 'POST', body: { model: 'smollm2', stream: true, max_tokens: 200, temperature: 0, messages: [{ role: 'user', content: LONG }] },
  });
  const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
  let said = '';
  while (said.split('\n\n').length < 10) said += (await reader.read()).value;
  const busy = (await server.api('/api/v1/traffic')).replicas.find((r) => r.in_flight > 0).deployment;
  process.kill((await server.deployment(busy)).pid, 'SIGKILL');
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) said += piece.value;
  assert.match(said, /data: \[DONE\]\s*$/);
  const box = page.locator('.failover[data-over="true"]');
  await box.waitFor();
  const { failover } = await server.api('/api/v1/traffic');
  const moments = await box.locator('.moment').allTextContents();
  const [first, second] = failover.attempts;
  const tokens = (n) => (n === 1 ? '1 token' : `${n} tokens`);
  for (const words of [`${first.deployment} was asked`, 'first token', `${first.deployment} broke off after ${tokens(first.to_token)}`,
    `${second.deployment} goes on behind token ${second.from_token}`, 'next token', `the answer is whole: ${tokens(failover.completion_tokens)}`]) {
    assert.ok(moments.some((m) => m.endsWith(words)), `'${words}' is not in ${moments.join(' | ')}`);
  }
  assert.equal(await box.locator('.lane').count(), 2);
  await picture('failover');
  await box.getByRole('button', { name: 'Replay' }).click();
  await until('the replay to hide what is to come', async () => (await box.locator('.moment.later').count()) > 0);
  await until('the replay to end', async () => (await box.locator('.moment.later').count()) === 0);
  await ready(busy);
  await server.fetch(`/api/v1/deployments/${other.name}`, { method: 'DELETE' });
  await until('the other to stop', async () => (await server.deployment(other.name))?.state === 'stopped');
  await openPage('Chat');
  await composer().waitFor();
  return moments.join('; ');
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1600]) {
    const viewport = { width, height: width < 500 ? 740 : 1000 };
    const second = await Watched.open(browser, server, { colorScheme, viewport, reducedMotion: 'reduce' }); // what fades in has no contrast yet
    const shown = async (name, open) => {
      await open();
      await picture(`${name}-${colorScheme}-${width}`, second.page);
      await second.page.evaluate(() => scrollTo(0, 0)); // so that nothing lies half under the bar on top
      const found = await second.accessibility();
      assert.deepEqual(found, [], `${name}: ${found.join('\n')}`);
      assert.equal(await second.sidewaysPixels(), 0, `${name} scrolls sideways`);
    };
    await tap.check(`nothing for axe to find, nothing to scroll sideways, ${colorScheme}, ${width} px`, async () => {
      const p = second.page;
      await shown('sign-in', () => p.goto(server.url));
      await shown('models', () => signIn(p));
      await shown('details', () => p.getByRole('button', { name: 'Details' }).first().click());
      await shown('others', () => p.getByRole('button', { name: 'Show them' }).click());
      await shown('traffic', async () => {
        await p.goto(`${server.url}/#/running`);
        await p.locator('.failover').waitFor();
      });
      await shown('running', async () => {
        await p.goto(`${server.url}/#/running`);
        await p.getByRole('button', { name: 'Log' }).first().click();
        await p.locator('.log').waitFor();
      });
      await shown('chat-empty', async () => {
        await p.goto(`${server.url}/#/chat`);
        await p.locator('.suggestions').waitFor();
      });
      await shown('chat', async () => {
        await p.getByRole('button', { name: 'Options' }).click();
        await p.getByLabel('Longest answer').fill('200');
        await p.locator('.composer textarea').fill('Write a Python function that adds two numbers, in a code block.');
        await p.keyboard.press('Enter');
        await p.locator('.answer:not([data-state="writing"])').waitFor();
      });
      assert.deepEqual(second.wrong, []);
    });
    await second.context.close();
  }
}

await tap.check('the theme button overrides the system and is remembered', async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: /Colours follow/ }).click();
  await page.getByRole('button', { name: /Light colours/ }).click();
  assert.notEqual(await ground(), light);
  const dark = await ground();
  await page.reload();
  await composer().waitFor();
  assert.equal(await ground(), dark);
  await page.getByRole('button', { name: /Dark colours/ }).click();
});

await tap.check('everything from Models to an answer can be done by keyboard', async () => {
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
  const tabTo = async (pattern) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      if (pattern.test(await focused())) return;
    }
    throw new Error(`Tab never came to ${pattern}`);
  };
  await limitAnswers(LONGEST_TOK);
  await page.goto(`${server.url}/#/models`);
  await page.locator('.cards').waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await tabTo(/^Open chat$/);
  await page.keyboard.press('Enter');
  await composer().waitFor();
  await until('the cursor', () => page.evaluate(() => document.activeElement?.tagName === 'TEXTAREA'));
  await page.keyboard.type('Say hi.');
  await page.keyboard.press('Enter');
  await answerIsWhole();
});

await tap.check('the page did nothing wrong on the way', async () => {
  assert.deepEqual(w.wrong, []);
  assert.ok(w.requests.every((u) => u.startsWith(`${server.url}/`)));
});

await browser.close();
await server.end();
process.exit(tap.end());
