// A model's answer as a document, safely. The answer is untrusted: three layers stand between it and the page.
//   1. marked turns Markdown into HTML by the renderer below, which shows raw HTML as the text it is and pictures as a note.
//   2. DOMPurify keeps a short list of elements and three attributes, and gives a fragment, not a string.
//   3. The Content-Security-Policy loads nothing foreign, and Trusted Types keep any other path from markup into the page shut.
import DOMPurify from 'dompurify';
import { Lexer, Marked, type Token, type TokensList } from 'marked';
import { text } from '../text.ts';

const TAGS = [
  'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong', 'del', 'table', 'thead', 'tbody',
  'tr', 'th', 'td', 'a', 'span',
];
const ATTRIBUTES = ['href', 'start', 'class'];
const CLASSES = /^(language-[A-Za-z0-9_+#.-]{1,32}|target|math)$/;
const LINK = /^https?:\/\//i;
const BLOCKS_MAX = 4_000;

export function escapeHtml(s: string): string {
  return s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The address that a link really goes to, or '' if we do not make it a link. */
export function linkTarget(href: string): string {
  if (!LINK.test(href)) return '';
  try {
    const url = new URL(href);
    return url.username || url.password ? '' : url.href;
  } catch {
    return '';
  }
}

/** The part of a target that a reader needs to see to know where a link leads. */
export function shownTarget(target: string): string {
  const url = new URL(target);
  return url.host + (url.pathname.length > 1 ? '/…' : '');
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: {
    html: ({ raw }) => escapeHtml(raw),
    image: ({ href, text: alt }) => escapeHtml(text.chat.image(alt, href)),
    link({ href, tokens, text: shown }) {
      const target = linkTarget(href);
      const inner = this.parser.parseInline(tokens);
      if (!target) return shown === href ? inner : `${inner} <span class="target">(${escapeHtml(href)})</span>`;
      const visible = shown === href || shown === target ? '' : ` <span class="target">(${escapeHtml(shownTarget(target))})</span>`;
      return `<a href="${escapeHtml(target)}">${inner}</a>${visible}`;
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

export function splitBlocks(markdown: string): Token[] {
  const tokens: TokensList = new Lexer(marked.defaults).lex(markdown);
  return tokens.filter((t) => t.type !== 'space').slice(0, BLOCKS_MAX);
}

export function blockHtml(block: Token): string {
  return marked.parser([block]);
}

function finish(fragment: DocumentFragment): DocumentFragment {
  for (const a of fragment.querySelectorAll('a')) {
    const target = linkTarget(a.getAttribute('href') ?? '');
    if (!target) {
      a.replaceWith(...a.childNodes);
      continue;
    }
    a.target = '_blank';
    a.rel = 'noopener noreferrer nofollow';
    a.title = target;
  }
  for (const e of fragment.querySelectorAll('[class]')) if (!CLASSES.test(e.className)) e.removeAttribute('class');
  return fragment;
}

/** One top-level block as nodes that are safe to put into the page. */
export function renderBlock(block: Token): DocumentFragment {
  return finish(
    DOMPurify.sanitize(blockHtml(block), {
      ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, ALLOWED_URI_REGEXP: LINK, RETURN_DOM_FRAGMENT: true,
    }),
  );
}
