// Bundles the front end: node build.mjs [OUT] writes OUT/report.js and OUT/report.css, the files of the dashboard below
// OUT/dashboard, and OUT/report_assets.cpp and OUT/dashboard_assets.cpp, the same texts as C++ string literals.
import { build } from 'esbuild';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, 'dist'));
const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  target: ['chrome111', 'firefox113', 'safari16.4'],
  charset: 'ascii',
  legalComments: 'inline',
  logLevel: 'warning',
};

function within(what, size, limit) {
  if (size > limit) throw new Error(`${what} has ${size} bytes, more than ${limit}`);
}

// A raw literal may not hold its own delimiter, and compilers limit the length of one: write it in pieces.
const delimiter = 'plumbline_asset';
function literal(text) {
  if (text.includes(`)${delimiter}"`)) throw new Error('the delimiter occurs in the text');
  const pieces = [];
  for (let at = 0; at < text.length; at += 12000) pieces.push(`R"${delimiter}(${text.slice(at, at + 12000)})${delimiter}"`);
  return pieces.join('\n    ');
}
const source = (body) => `// Written by web/build.mjs; do not edit.
#include "plumbline/case/report/assets.hpp"

namespace plumbline::report {

${body}
}  // namespace plumbline::report
`;
const text = (name, value) => `std::string_view ${name}() {
  static constexpr std::string_view kText =
    ${literal(value)};
  return kText;
}
`;

async function buildReport(icons) {
  await build({ ...common, entryPoints: ['src/report.ts', 'src/report.css'], outdir: out, format: 'iife' });
  // The script stands inside <script>, the style inside <style>: neither may hold what ends or confuses the element.
  const script = (await readFile(join(out, 'report.js'), 'utf8')).replace(/<(?=\/script|!--|script)/gi, '\\x3c');
  const style = await readFile(join(out, 'report.css'), 'utf8');
  if (/<\/style/i.test(style)) throw new Error('report.css holds </style');
  await writeFile(join(out, 'report.js'), script);
  within('report.js', script.length, 400 * 1024);
  await writeFile(join(out, 'report_assets.cpp'),
    source([text('report_script', script), text('report_style', style), text('report_icons', icons)].join('\n')));
}

/// The dashboard is one page whose script and style are files named by their content; its policy allows nothing inline.
async function buildDashboard(icons) {
  const folder = join(out, 'dashboard');
  await rm(folder, { recursive: true, force: true });
  const { metafile, outputFiles } = await build({
    ...common,
    entryPoints: ['src/dashboard/main.ts', 'src/dashboard/dashboard.css', 'src/dashboard/live.css'],
    outdir: join(folder, 'assets'),
    write: false,
    metafile: true,
    format: 'esm',
    splitting: true,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const output = (entry) => Object.entries(metafile.outputs).find(([, one]) => one.entryPoint === entry)?.[0];
  const script = output('src/dashboard/main.ts');
  const style = output('src/dashboard/dashboard.css');
  const live = output('src/dashboard/live.css');
  if (!script || !style || !live) throw new Error('the bundler names no output for the dashboard');
  const first = [script];
  for (const one of first) {
    for (const { path, kind } of metafile.outputs[one].imports) if (kind === 'import-statement' && !first.includes(path)) first.push(path);
  }
  const address = (path) => `/assets/${basename(path)}`;
  const page = (await readFile(join(here, 'src/dashboard/index.html'), 'utf8'))
    .replace('<!-- icons -->', () => icons.replace(/>\s+</g, '><'))
    .replace('<!-- preload -->', () => first.slice(1).map((path) => `<link rel="modulepreload" href="${address(path)}"/>`).join(''))
    .replace('LIVE_STYLE', () => address(live)).replace('STYLE', () => address(style)).replace('SCRIPT', () => address(script));
  if (/\son\w+\s*=|\sstyle\s*=|<style|javascript:|<script(?![^>]*\ssrc=)/i.test(page)) throw new Error('index.html holds something inline, which its policy forbids');

  // What a reader waits for: the page, its style and the script of the first view; 20 KB are left for its data.
  const weight = (path) => metafile.outputs[path].bytes;
  within('the first view of the dashboard', page.length + weight(style) + first.reduce((sum, path) => sum + weight(path), 0), 80 * 1024);

  const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };
  const assets = [{ path: '/', type: 'text/html; charset=utf-8', body: page, immutable: false }];
  for (const file of outputFiles) {
    const type = types[file.path.slice(file.path.lastIndexOf('.') + 1)];
    if (!type) throw new Error(`the dashboard has a file of an unknown kind: ${file.path}`);
    assets.push({ path: address(file.path), type, body: file.text, immutable: true });
  }
  within('the dashboard', assets.reduce((sum, asset) => sum + asset.body.length, 0), 400 * 1024);
  await mkdir(join(folder, 'assets'), { recursive: true });
  for (const { path, body } of assets) await writeFile(join(folder, path === '/' ? 'index.html' : path), body);
  const names = assets.map((asset, index) => `constexpr std::string_view kBody${index} =\n    ${literal(asset.body)};\n`);
  const rows = assets.map((asset, index) => `    {"${asset.path}", "${asset.type}", kBody${index}, ${asset.immutable}},\n`);
  await writeFile(join(out, 'dashboard_assets.cpp'), source(`namespace {

${names.join('\n')}
constexpr Asset kAssets[] = {
${rows.join('')}};

}  // namespace

std::span<const Asset> dashboard_assets() { return kAssets; }
`));
  return assets;
}

await mkdir(out, { recursive: true });
const icons = (await readFile(join(here, 'src/icons.svg'), 'utf8')).trimEnd();
await buildReport(icons);
const assets = await buildDashboard(icons);
if (process.argv.includes('--sizes')) for (const { path, body } of assets) console.log(String(body.length).padStart(7), path);
