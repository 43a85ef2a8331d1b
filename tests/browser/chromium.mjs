// Starts Debian's Chromium without a network, and watches what a page does. Exits with 77 (skipped) where there is none.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'web');
export const require = createRequire(join(web, 'package.json'));

/// A browser context with an empty profile that is removed by `close`; offline unless a server on loopback is to be looked at.
export async function launch({ offline = true } = {}) {
  const executablePath = process.env.PLUMBLINE_CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    console.log(`skipped: ${executablePath} is not there (on Debian 12: apt-get install chromium, or name a Chromium in PLUMBLINE_CHROMIUM)`);
    process.exit(77);
  }
  const { chromium } = require('playwright-core');
  const profile = await mkdtemp(join(tmpdir(), 'plumbline-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    offline,
    viewport: { width: 1360, height: 900 },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  });
  // Long enough for a machine that is busy with other tests; a page that is right does not wait.
  context.setDefaultTimeout(90000);
  return { context, close: async () => { await context.close(); await rm(profile, { recursive: true, force: true }); } };
}

/// Violations that axe-core calls serious or critical, as "rule: element"; of some rules only, where they are named.
export async function violations(page, rules = null) {
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const result = await page.evaluate((only) => window.axe.run(document, { resultTypes: ['violations'], ...(only ? { runOnly: only } : {}) }), rules);
  return result.violations.filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .flatMap((one) => one.nodes.slice(0, 4).map((node) => `${one.id}: ${node.html.slice(0, 160)} | ${node.failureSummary.slice(0, 200)}`));
}

/// Runs tests one after the other and says how each ended; what a test opened is closed behind it. `end` tells the exit status.
/// PLUMBLINE_ONLY=WORDS runs those whose name holds the words.
export function suite(context) {
  let failed = 0;
  return {
    test: async (name, body) => {
      if (process.env.PLUMBLINE_ONLY && !name.includes(process.env.PLUMBLINE_ONLY)) return;
      const start = Date.now();
      try {
        await body();
        console.log(`ok      ${name} (${Date.now() - start} ms)`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED  ${name}\n${error.stack}`);
      }
      for (const page of context.pages().slice(1)) await page.close();
    },
    end: () => {
      console.log(failed === 0 ? 'all passed' : `${failed} failed`);
      return failed === 0 ? 0 : 1;
    },
  };
}

/// Opens a file and keeps its console errors, exceptions, dialogs and every request that is not the file itself.
export async function open(context, path) {
  const page = await context.newPage();
  const seen = { errors: [], requests: [] };
  page.on('console', (message) => { if (message.type() === 'error' || message.type() === 'warning') seen.errors.push(message.text()); });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('dialog', (dialog) => { seen.errors.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  const url = `file://${path}`;
  page.on('request', (request) => { if (request.url() !== url && !request.url().startsWith('data:')) seen.requests.push(request.url()); });
  await page.goto(url);
  await page.waitForSelector('html[data-ready="yes"]', { state: 'attached', timeout: 60000 });
  return { page, seen };
}

/// Waits until the dashboard has drawn its page and every part of it that loads by itself.
export async function settled(page) {
  await page.waitForSelector('main[data-state="ready"], main[data-state="failed"]', { timeout: 60000 });
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'), null, { timeout: 60000 });
}

/// Opens an address of a dashboard at `from.url`; keeps everything that a quiet page would not do.
export async function visit(context, from, hash, { width = 1360, height = 900, scheme = 'light' } = {}) {
  const page = await context.newPage();
  const seen = { errors: [], requests: [] };
  page.on('console', (message) => { if (message.type() === 'error' || message.type() === 'warning') seen.errors.push(message.text()); });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('dialog', (dialog) => { seen.errors.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith(from.url) && !/^(data|blob):/.test(request.url())) seen.requests.push(request.url()); });
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize({ width, height });
  await page.goto(from.url + hash);
  await settled(page);
  return { page, seen };
}

/// Pixels by which a page is wider than its window.
export const tooWide = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/// A page that said nothing and asked nobody.
export function silent(seen) {
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.requests, []);
}
