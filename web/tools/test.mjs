// Bundles the tests of the page's pure parts and runs them with Node's own test runner (TAP). --packages: a folder with node_modules, as for build.mjs.
import { createRequire } from 'node:module';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const WEB = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { values: args } = parseArgs({ options: { packages: { type: 'string', default: WEB } } });
const packages = resolve(args.packages);
const esbuild = createRequire(join(packages, 'package.json'))('esbuild');
const out = mkdtempSync(join(tmpdir(), 'console-tests-'));
let status = 1;
try {
  await esbuild.build({
    entryPoints: readdirSync(join(WEB, 'test')).filter((f) => f.endsWith('.test.ts')).map((f) => join(WEB, 'test', f)),
    outdir: out, outExtension: { '.js': '.mjs' }, bundle: true, format: 'esm', platform: 'node', target: ['node18'], jsx: 'automatic', jsxImportSource: 'preact',
    nodePaths: [join(packages, 'node_modules')], logLevel: 'warning',
  });
  const files = readdirSync(out).map((f) => join(out, f));
  status = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...files], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, TZ: 'UTC', LC_ALL: 'en_US.UTF-8' } }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(status);
