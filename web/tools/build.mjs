// Builds the console: installs the locked packages into a folder, bundles src/ with esbuild, and writes the result as files (--dir) or as one C source
// with a table (--c, for the binary). Refuses a page that grew beyond its budget. Never runs scripts of packages.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { spawnSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 150 * 1024; // of everything together, compressed
const WEB = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const LOCKED = ['package.json', 'package-lock.json', '.npmrc'];
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml; charset=utf-8' };

function fail(message) {
  console.error(`web/tools/build: ${message}`);
  process.exit(1);
}

/** Installs what package-lock.json names, unless this folder already holds exactly that. */
function installPackages(npm, folder) {
  const stamp = createHash('sha256').update(LOCKED.map((f) => readFileSync(join(WEB, f))).join('\n')).digest('hex');
  const stampFile = join(folder, 'installed');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  mkdirSync(folder, { recursive: true });
  for (const f of LOCKED) copyFileSync(join(WEB, f), join(folder, f));
  const run = spawnSync(npm, ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-progress', '--loglevel=error'], {
    cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8',
  });
  if (run.status !== 0) fail(`npm ci failed in ${folder}; it needs the npm registry or npm's cache.\n${run.stderr ?? run.error}`);
  writeFileSync(stampFile, stamp);
}

async function bundle(packages) {
  const esbuild = createRequire(join(packages, 'package.json'))('esbuild');
  const result = await esbuild.build({
    entryPoints: { app: join(WEB, 'src/main.tsx') },
    absWorkingDir: WEB, outdir: join(packages, 'out'), entryNames: '[name]-[hash]', write: false, metafile: true,
    bundle: true, minify: true, format: 'esm', target: ['es2022'], legalComments: 'eof',
    jsx: 'automatic', jsxImportSource: 'preact', nodePaths: [join(packages, 'node_modules')], logLevel: 'warning',
  });
  const inputs = Object.keys(result.metafile.inputs).map((f) => resolve(WEB, f));
  const files = result.outputFiles.map((f) => ({ path: `/${f.path.split('/').pop()}`, data: Buffer.from(f.contents), forever: true }));
  return { files, inputs };
}

function addPage(files, inputs) {
  const named = (ext) => files.find((f) => f.path.endsWith(ext))?.path ?? fail(`the bundle has no ${ext} file`);
  const page = join(WEB, 'src/index.html');
  const icon = join(WEB, 'src/favicon.svg');
  const html = readFileSync(page, 'utf8').replace('{{js}}', named('.js')).replace('{{css}}', named('.css'));
  files.push({ path: '/', data: Buffer.from(html), forever: false }, { path: '/favicon.svg', data: readFileSync(icon), forever: false });
  inputs.push(page, icon);
}

function compress(files) {
  let total = 0;
  for (const f of files) {
    f.gzip = gzipSync(f.data, { level: 9 });
    f.etag = `W/"${createHash('sha256').update(f.data).digest('hex').slice(0, 24)}"`;
    total += f.gzip.length;
  }
  if (total > BUDGET_BYTES) fail(`the page is ${total} bytes compressed, its budget is ${BUDGET_BYTES}`);
  return total;
}

function cArray(name, data) {
  const lines = [];
  for (let i = 0; i < data.length; i += 32) lines.push(data.subarray(i, i + 32).join(','));
  return `static const unsigned char ${name}[] = {\n${lines.join(',\n')}};\n`;
}

function cSource(files) {
  const arrays = files.map((f, i) => cArray(`plain_${i}`, f.data) + cArray(`gzip_${i}`, f.gzip)).join('');
  const quote = (s) => JSON.stringify(s);
  const rows = files.map((f, i) => `    {${[
    quote(f.path), quote(TYPES[f.path === '/' ? 'html' : f.path.split('.').pop()]),
    quote(f.forever ? 'public, max-age=31536000, immutable' : 'no-cache'), quote(f.etag),
    `plain_${i}`, `sizeof plain_${i}`, `gzip_${i}`, `sizeof gzip_${i}`].join(', ')}},`).join('\n');
  return `/* Written by web/tools/build.mjs. */
#include "web/assets.h"
#include <string.h>

${arrays}
static const fh_web_asset assets[] = {
${rows}
};

const fh_web_asset *fh_web_asset_find(const char *path, size_t length)
{
    for (size_t i = 0; i < sizeof assets / sizeof assets[0]; i++)
        if (strlen(assets[i].path) == length && memcmp(assets[i].path, path, length) == 0) return &assets[i];
    return NULL;
}
`;
}

function writeFolder(folder, files) {
  mkdirSync(folder, { recursive: true });
  for (const f of files) writeFileSync(join(folder, f.path === '/' ? 'index.html' : f.path), f.data);
}

const { values: args } = parseArgs({
  options: {
    npm: { type: 'string', default: 'npm' }, packages: { type: 'string' }, dir: { type: 'string' }, c: { type: 'string' }, depfile: { type: 'string' },
  },
});
const packages = resolve(args.packages ?? WEB);
if (args.packages) installPackages(args.npm, packages);
const { files, inputs } = await bundle(packages);
addPage(files, inputs);
const total = compress(files);
if (args.dir) writeFolder(args.dir, files);
if (args.c) writeFileSync(args.c, cSource(files));
if (args.depfile) {
  const own = inputs.filter((f) => !f.includes('node_modules'));
  writeFileSync(args.depfile, `${args.c}: ${own.map((f) => f.replaceAll(' ', '\\ ')).join(' ')}\n`);
}
if (args.dir) console.log(`${files.length} files, ${total} bytes compressed`);
