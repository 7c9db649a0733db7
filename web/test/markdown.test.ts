import { test } from 'node:test';
import assert from 'node:assert/strict';
import { blockHtml, linkTarget, shownTarget, splitBlocks } from '../src/chat/markdown.ts';

const html = (md: string) => splitBlocks(md).map(blockHtml).join('');

test('raw HTML is shown as the text it is', () => {
  for (const bad of ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', 'a <b onclick="x()">b</b> c', '<iframe src="https://example.org">', '<style>*{}</style>', '<svg/onload=x>']) {
    const out = html(bad);
    assert.doesNotMatch(out.replace(/<\/?p>|<br>/g, ''), /</, `${bad} became ${out}`);
  }
});

test('a picture is a note with its target, never an element', () => {
  const out = html('![cat](https://example.org/cat.png)');
  assert.doesNotMatch(out, /<img/);
  assert.match(out, /cat.*example\.org/);
});

test('only plain web addresses become links', () => {
  for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', '//example.org', '/api/v1/keys', 'https://user:pw@example.org', '#/x', 'https://'])
    assert.equal(linkTarget(bad), '', bad);
  assert.equal(linkTarget('https://example.org/a?b'), 'https://example.org/a?b');
  assert.doesNotMatch(html('[x](javascript:alert(1))'), /<a/);
});

test('a link that says something else shows where it leads', () => {
  assert.match(html('[your bank](https://evil.example/login)'), /evil\.example/);
  assert.doesNotMatch(html('https://example.org'), /target/);
  assert.equal(shownTarget('https://example.org/'), 'example.org');
  assert.equal(shownTarget('https://example.org/deep/path'), 'example.org/…');
});

test('quotes in a target cannot leave their attribute', () => {
  assert.doesNotMatch(html('[x](https://example.org/"onmouseover="alert(1))'), /"onmouseover/);
});

test('each top-level block stands alone, so that a growing answer redraws only its end', () => {
  const before = splitBlocks('One.\n\n- a\n- b\n\n```js\nx').map((b) => b.raw);
  const after = splitBlocks('One.\n\n- a\n- b\n\n```js\nx = 1').map((b) => b.raw);
  assert.deepEqual(before.slice(0, -1), after.slice(0, -1));
});
