// Starts Debian's Chromium without a network, and watches what a page does. Exits with 77 (skipped) where there is none.
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'web');
export const require = createRequire(join(web, 'package.json'));

/// A browser context that is offline, with an empty profile that is removed by `close`.
export async function launch() {
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
    offline: true,
    viewport: { width: 1360, height: 900 },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  });
  return { context, close: async () => { await context.close(); await rm(profile, { recursive: true, force: true }); } };
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
