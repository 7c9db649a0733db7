// What the tests of the page stand on: a real server with a data folder of its own, Debian's Chromium, a page that is watched for everything it should
// not do, and results as TAP. The server and the browser are ended and the folder removed, whatever happens.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOP = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const PACKAGES = join(TOP, 'tests/.cache/browser');
const load = createRequire(join(PACKAGES, 'package.json'));
export const PROGRAM = process.env.FREEHOLD_PROGRAM ?? join(TOP, 'build/src/freehold');
export const STARTER = process.env.FREEHOLD_STARTER_GGUF ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
const SLOWER = Number(process.env.FREEHOLD_BROWSER_SLOWER ?? 0);
export const PATIENCE_MS = 120_000; // a test may meet a machine that is slow and busy

/** Why nothing can run here, or ''. */
export function lacking() {
  if (!CHROMIUM) return 'Chromium is not installed: run tools/install-deps test';
  if (!existsSync(PROGRAM)) return `${PROGRAM} is not built: run make`;
  if (!existsSync(STARTER)) return 'the starter model is not here: run tools/fetch-starter';
  return '';
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, fn, ms = PATIENCE_MS) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await fn();
    if (last) return last;
    await sleep(20);
  }
  throw new Error(`waited ${ms} ms for: ${what}`);
}

/** What is drawn may come a moment after its frame: waits until the text is as told, and says what it was where it never is. */
export async function reads(locator, pattern, ms = PATIENCE_MS) {
  let text = '';
  const look = async () => pattern.test(text = await locator.textContent({ timeout: ms }));
  await until(`${pattern}`, look, ms).catch((e) => { throw new Error(`${e.message}; it reads: ${text}`); });
  return text;
}

/** A port that stays ours until we end: tests/support says how one is chosen. */
export async function freePort() {
  const program = 'import freehold, sys; print(freehold.free_port(), end="", flush=True); sys.stdin.read()';
  const holder = spawn('python3', ['-c', program], { env: { ...process.env, PYTHONPATH: join(TOP, 'tests/support') }, stdio: ['pipe', 'pipe', 'inherit'] });
  const port = await new Promise((done, bad) => holder.on('error', bad).on('exit', () => bad(new Error('no free port'))).stdout.once('data', done));
  holder.stdout.unref();
  holder.stdin.unref();
  holder.unref();
  return Number(port);
}

export class Server {
  /** flags: more for `serve`. */
  static async create(flags = []) {
    const s = new Server();
    s.folder = mkdtempSync(join(tmpdir(), 'fh-browser-'));
    s.data = join(s.folder, 'data');
    s.keyFile = join(s.folder, 'key');
    mkdirSync(s.data, { mode: 0o700 });
    s.port = await freePort();
    s.url = `http://127.0.0.1:${s.port}`;
    const done = s.cli('import', STARTER, '--data', s.data);
    if (done.status !== 0) throw new Error(`import failed: ${done.stderr}`);
    s.flags = flags;
    await s.start();
    return s;
  }

  environment() {
    const kept = Object.entries(process.env).filter(([name]) => !/^(FREEHOLD_|XDG_)/.test(name));
    return { ...Object.fromEntries(kept), HOME: this.folder, FREEHOLD_URL: this.url, FREEHOLD_KEY_FILE: this.keyFile };
  }

  cli(...words) {
    return spawnSync(PROGRAM, words, { env: this.environment(), encoding: 'utf8', timeout: 120_000 });
  }

  async start() {
    const log = openSync(join(this.folder, 'server.log'), 'a');
    this.process = spawn(PROGRAM, ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', this.data, '--key-file', this.keyFile, ...this.flags], {
      stdio: ['ignore', log, log], env: this.environment(), detached: true,
    });
    this.ended = new Promise((done) => this.process.once('exit', done));
    await until(`the server to start\n${this.output()}`, () => fetch(`${this.url}/healthz`).then((r) => r.ok, () => false));
  }

  output() {
    return existsSync(join(this.folder, 'server.log')) ? readFileSync(join(this.folder, 'server.log'), 'utf8').slice(-4000) : '';
  }

  /** The one-time link, as a person gets it. */
  link() {
    const done = this.cli('console');
    const found = /http:\/\/\S+#code=\S+/.exec(done.stdout);
    if (!found) throw new Error(`freehold console printed no link: ${done.stdout}${done.stderr}`);
    return found[0];
  }

  /** The reply; body: an object to send. */
  async fetch(path, { method = 'GET', body } = {}) {
    const reply = await fetch(this.url + path, {
      method, headers: { Authorization: `Bearer ${readFileSync(this.keyFile, 'utf8').trim()}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return reply;
  }

  async api(path, options) {
    return (await this.fetch(path, options)).json();
  }

  async deployment(name) {
    return (await this.api('/api/v1/deployments')).items.find((d) => d.name === name);
  }

  async running() {
    return (await this.api('/api/v1/deployments')).items.find((d) => !['stopped', 'failed'].includes(d.state));
  }

  /** kill -9: what a crash is. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Whatever still runs on our folder: an engine lives on when its server was killed. */
  processes() {
    const named = (pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.folder);
      } catch {
        return false; // it has ended
      }
    };
    return readdirSync('/proc').filter((e) => /^\d+$/.test(e) && named(e)).map(Number);
  }

  async end() {
    this.process?.kill('SIGINT');
    await Promise.race([this.ended, sleep(15_000)]);
    this.process?.kill('SIGKILL');
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function startBrowser() {
  const flags = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  return load('playwright-core').chromium.launch({ executablePath: CHROMIUM, timeout: PATIENCE_MS, args: process.getuid() === 0 ? [...flags, '--no-sandbox'] : flags });
}

/** A page that notes errors in its console, policy violations, and requests to anywhere but our server. */
export class Watched {
  static async open(browser, server, options = {}) {
    const w = new Watched();
    w.context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    await w.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    w.page = await w.context.newPage();
    w.page.setDefaultTimeout(PATIENCE_MS);
    if (SLOWER) await (await w.context.newCDPSession(w.page)).send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
    w.wrong = [];
    w.requests = [];
    w.forgiven = null; // a pattern of what may be complained about for now
    const complain = (message) => w.forgiven?.test(message) || w.wrong.push(message);
    w.page.on('console', (m) => ['error', 'warning'].includes(m.type()) && complain(`console: ${m.text()}`));
    w.page.on('pageerror', (e) => complain(`exception: ${e.message}`));
    w.page.on('dialog', (d) => { complain(`dialog: ${d.message()}`); void d.dismiss(); });
    w.page.on('popup', (p) => { complain(`popup: ${p.url()}`); void p.close(); });
    await w.context.route('**/*', (route) => {
      const url = route.request().url();
      w.requests.push(url);
      if (url.startsWith(`${server.url}/`)) return route.continue();
      complain(`request: ${url}`);
      return route.abort();
    });
    return w;
  }

  /** While fn runs, complaints that match are expected. */
  async forgiving(pattern, fn) {
    this.forgiven = pattern;
    try {
      return await fn();
    } finally {
      await sleep(50);
      this.forgiven = null;
    }
  }

  /** axe's findings on what is shown now, as lines. */
  async accessibility() {
    await this.page.emulateMedia({ reducedMotion: 'reduce' }); // what fades in has no contrast yet
    await this.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    await this.page.evaluate(() => Promise.all(document.getAnimations().map((a) => a.finished.catch(() => {}))));
    const cdp = await this.context.newCDPSession(this.page);
    const source = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');
    const run = `${source};axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target + ' ' + n.failureSummary).join('; '))))`;
    const { frameTree } = await cdp.send('Page.getFrameTree');
    const { executionContextId } = await cdp.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
    const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { expression: run, contextId: executionContextId, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`axe: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return JSON.parse(result.value);
  }

  sidewaysPixels() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }
}

export class Tap {
  count = 0;
  failed = 0;

  async check(name, fn) {
    this.count++;
    const begun = Date.now();
    const failed = this.failed;
    try {
      const said = await fn();
      console.log(`ok ${this.count} - ${name}`);
      if (said) console.log(`# ${said}`);
    } catch (e) {
      this.failed++;
      console.log(`not ok ${this.count} - ${name}`);
      for (const line of String(e.stack ?? e).split('\n').slice(0, 14)) console.log(`# ${line}`);
    }
    if (process.env.FREEHOLD_TEST_TIMES) console.log(`# ${Date.now() - begun} ms`);
    return this.failed === failed;
  }

  end() {
    console.log(`1..${this.count}`);
    return this.failed ? 1 : 0;
  }
}
