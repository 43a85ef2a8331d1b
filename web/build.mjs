// Bundles the report's script and style sheet: node build.mjs [OUT] writes OUT/report.js, OUT/report.css and
// OUT/report_assets.cpp, the same two texts as C++ string literals for the renderer.
import { build } from 'esbuild';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, 'dist'));
await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ['src/report.ts', 'src/report.css'],
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome111', 'firefox113', 'safari16.4'],
  charset: 'ascii',
  legalComments: 'inline',
  logLevel: 'warning',
});

// The script stands inside <script>, the style inside <style>: neither may hold what ends or confuses the element.
const script = (await readFile(join(out, 'report.js'), 'utf8')).replace(/<(?=\/script|!--|script)/gi, '\\x3c');
const style = await readFile(join(out, 'report.css'), 'utf8');
if (/<\/style/i.test(style)) throw new Error('report.css holds </style');
await writeFile(join(out, 'report.js'), script);

const limit = 400 * 1024;
if (script.length > limit) throw new Error(`report.js has ${script.length} bytes, more than ${limit}`);

// A raw literal may not hold its own delimiter, and compilers limit the length of one: write it in pieces.
const delimiter = 'plumbline_asset';
function literal(text) {
  if (text.includes(`)${delimiter}"`)) throw new Error('the delimiter occurs in the text');
  const pieces = [];
  for (let at = 0; at < text.length; at += 12000) pieces.push(`R"${delimiter}(${text.slice(at, at + 12000)})${delimiter}"`);
  return pieces.join('\n    ');
}
await writeFile(
  join(out, 'report_assets.cpp'),
  `// Written by web/build.mjs; do not edit.
#include "plumbline/case/report/assets.hpp"

namespace plumbline::report {

std::string_view report_script() {
  static constexpr std::string_view kText =
    ${literal(script)};
  return kText;
}

std::string_view report_style() {
  static constexpr std::string_view kText =
    ${literal(style)};
  return kText;
}

}  // namespace plumbline::report
`,
);
