// `plumbline serve` on a real store in a real browser: serve.test.mjs PLUMBLINE [SCREENSHOTS]
// The store is made here: an agent in a world assessed three times, the last two with another agent.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { launch, settled, silent, suite, tooWide, violations, visit } from './chromium.mjs';

const plumbline = resolve(process.argv[2]);
const shots = process.argv[3] ? resolve(process.argv[3]) : '';
if (shots) await mkdir(shots, { recursive: true });
const { context, close } = await launch({ offline: false });
const { test, end } = suite(context);
const folder = mkdtempSync(join(tmpdir(), 'plumbline-serve-'));
const manifest = join(folder, 'desk', 'system.toml');
const store = join(folder, 'desk', '.plumbline', 'store.db');
const started = [];

/// Runs the program to its end; `statuses` are those that are right.
function run(words, statuses = [0]) {
  const done = spawnSync(plumbline, words, { encoding: 'utf8', cwd: folder, maxBuffer: 1 << 28 });
  if (!statuses.includes(done.status)) throw new Error(`plumbline ${words.join(' ')} ended with ${done.status}: ${done.stderr}`);
  return done.stdout;
}

/// Starts the server and gives its address from the line that it prints.
async function serve(words, listen = '127.0.0.1:0') {
  const child = spawn(plumbline, ['serve', ...words, '--listen', listen], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  const ended = new Promise((done) => child.once('exit', done));
  let errors = '';
  child.stderr.on('data', (part) => { errors += part; });
  const address = await new Promise((found, lost) => {
    let said = '';
    child.stdout.on('data', (part) => {
      said += part;
      const line = /listening on (https?:\/\/\S+)/.exec(said);
      if (line) found(line[1]);
    });
    void ended.then((code) => lost(new Error(`plumbline serve ended with ${code}: ${errors}`)));
  });
  return { url: `${address}/`, host: address.replace(/^https?:\/\//, ''), stop: async () => { child.kill('SIGTERM'); await ended; } };
}
const shot = async (page, name, fullPage = true) => { if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage }); };
const words = (page) => page.locator('main').innerText();

run(['init', 'desk', '--kind', 'world']);
const only = ['--only', 'reward.hacking', '--only', 'reward.treacherous_turn', '--only', 'reward.hackability'];
run(['assess', manifest, ...only, '--name', 'with a learner', '--out', 'first'], [0, 1, 3]);
writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('agent = "q_learning"', 'agent = "random"'));
run(['assess', manifest, ...only, '--name', 'at random'], [0, 1, 3]);
run(['assess', manifest, ...only, '--name', 'at random again', '--out', 'last'], [0, 1, 3]);
run(['gauntlet', '--worlds', 'boat_race,island', '--agents', 'optimal,random', '--seeds', '2', '--steps', '2000', '--out', 'g']);
const runs = JSON.parse(run(['runs', '--store', store, '--json']));
const last = JSON.parse(readFileSync(join(folder, 'last', 'evidence.json'), 'utf8'));
const options = ['--store', store, '--gauntlet', join(folder, 'g', 'gauntlet.json')];
let server = await serve(options);
const pages = { overview: '#/', runs: '#/runs', run: `#/runs/${last.run.id}`, trends: '#/trends?check=reward.hacking&metric=hack_share&subject=agent%40office', compare: `#/compare/${runs[2].id}/${runs[0].id}`, findings: '#/findings', gauntlet: '#/gauntlet?table=gauntlet.json', worlds: '#/worlds', world: '#/worlds/boat_race?agent=optimal' };

for (const [name, hash] of Object.entries(pages)) {
  await test(`${name}: silent, accessible, as wide as the window`, async () => {
    const { page, seen } = await visit(context, server, hash);
    if (name === 'run') await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
    await settled(page);
    assert.equal(await page.locator('.state.failure').count(), 0, await words(page));
    assert.deepEqual(await violations(page), []);
    assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide`);
    await shot(page, `real-${name}`);
    await page.setViewportSize({ width: 360, height: 740 });
    await page.waitForTimeout(120);
    assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide at 360`);
    silent(seen);
  });
}

await test('the headers forbid everything that the page does not need', async () => {
  const page = await fetch(server.url);
  const policy = page.headers.get('content-security-policy');
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), `${part} is missing in ${policy}`);
  assert.ok(!/unsafe|\*/.test(policy), policy);
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
});

await test('the list of runs is that of plumbline runs', async () => {
  const { page } = await visit(context, server, '#/runs');
  const rows = await page.$$eval('table.list tbody tr', (all) => all.map((row) => row.querySelector('a.row').getAttribute('href')));
  assert.deepEqual(rows, runs.map((one) => `#/runs/${one.id}`));
  await page.fill('input[type="search"]', 'with a learner');
  await page.waitForFunction(() => document.querySelectorAll('a.row').length === 1);
  assert.equal(await page.locator('a.row').getAttribute('href'), `#/runs/${runs[2].id}`);
});

await test('a run says what its evidence.json says', async () => {
  const { page, seen } = await visit(context, server, pages.run);
  const shown = await page.$$eval('#claims tbody tr', (all) => all.map((row) => [row.id, row.querySelector('.verdict').textContent]));
  assert.deepEqual(shown, last.claims.map((claim) => [`claim-${claim.id}`, claim.standing.replace(/_/g, ' ')]));
  await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
  assert.equal(await page.locator('.check-body .table-scroll tbody tr').count() >= last.evidence.length, true);
  const ran = last.ledger.filter((one) => one.status !== 'not_applicable').length;
  assert.equal(await page.locator('#ledger > div > .table-scroll tbody tr').first().count() > 0 && await page.locator('#ledger table[aria-label="Ledger"] tbody tr').count(), ran);
  await page.waitForFunction(() => document.querySelector('img.drawing')?.naturalWidth > 0);
  for (const picture of await page.locator('.figure-place').all()) await picture.scrollIntoViewIfNeeded();
  await settled(page);
  assert.equal(await page.locator('.picture[data-drawn="failed"]').count(), 0);
  assert.ok(await page.locator('.picture[data-drawn="yes"]').count() > 0);
  const [report] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Whole report' }).click()]);
  await report.waitForSelector('html[data-ready="yes"]', { state: 'attached' });
  assert.ok((await report.locator('#answer').innerText()).includes(last.run.exit_reason.slice(0, 20)));
  silent(seen);
});

await test('the comparison is that of plumbline diff', async () => {
  const { page } = await visit(context, server, pages.compare);
  const counted = await words(page);
  assert.match(counted, /\d+ verdicts? changed/);
  assert.ok(await page.locator('svg.paired').count() > 0, 'figures changed');
  const told = run(['diff', runs[2].id, runs[0].id, '--store', store], [0, 1]);
  for (const id of await page.$$eval('section[aria-labelledby="changed"] .sub.mono', (all) => all.map((one) => one.textContent))) assert.ok(told.includes(id), `plumbline diff does not name ${id}`);
  const same = await visit(context, server, `#/compare/${runs[0].id}/${runs[1].id}`);
  assert.match(await words(same.page), /No verdict changed/);
});

await test('a trend has a point for every run', async () => {
  const { page } = await visit(context, server, pages.trends);
  const table = await page.$$eval('details tbody a.row', (all) => all.map((row) => row.getAttribute('href')));
  assert.equal(await page.locator('figure.trend circle.dot').count(), table.length);
  assert.ok(table.length >= 2, `${table.length} points`);
  for (const href of table) assert.ok(runs.some((one) => href === `#/runs/${one.id}`), href);
  assert.match(await words(page), /could not decide|no change found|change found/);
});

await test('a finding is replayed in a process of its own', async () => {
  const { page } = await visit(context, server, '#/findings');
  await page.getByRole('button', { name: 'Replay' }).first().click();
  const result = page.locator('.replay-result').first();
  await result.locator('.verdict').waitFor({ timeout: 60000 });
  assert.match(await result.innerText(), /the same again/);
  await shot(page, 'real-replayed', false);
});

await test('the gauntlet has every cell of its file, and a pair opens an episode that adds up', async () => {
  const table = JSON.parse(readFileSync(join(folder, 'g', 'gauntlet.json'), 'utf8'));
  const { page } = await visit(context, server, pages.gauntlet);
  const cells = await page.$$eval('td.fate-cell a', (all) => all.map((cell) => cell.textContent));
  assert.deepEqual(cells.slice().sort(), table.cells.map((cell) => cell.verdict.replace(/_/g, ' ')).sort());
  await page.locator('td.fate-cell a').first().click();
  await page.waitForSelector('.episode-controls');
  await page.getByRole('button', { name: 'Last step' }).click();
  const played = JSON.parse(run(['worlds', 'play', 'boat_race', '--agent', 'optimal', '--json']));
  assert.match(await page.locator('.episode-words').innerText(), new RegExp(`Step ${played.steps} of ${played.steps}.*earned ${played.return}, `));
  await shot(page, 'real-episode', false);
});

await test('what does not exist is said in words', async () => {
  for (const hash of ['#/runs/000000000000', '#/compare/000000000000/111111111111', '#/worlds/nowhere']) {
    const { page } = await visit(context, server, hash);
    const said = await words(page);
    assert.ok(/no (such )?(run|world)|There is no/i.test(said), said);
    await page.close();
  }
});

await test('the server stops and comes back; the page says so and goes on', async () => {
  const { page } = await visit(context, server, '#/runs');
  const { host } = server;
  await server.stop();
  await page.locator('a.row').first().click();
  await page.waitForFunction(() => document.querySelector('main').dataset.state === 'failed');
  assert.match(await words(page), /does not answer/);
  server = await serve(options, host);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.waitForSelector('#claims');
});

await test('tokens: none, one that reads, one that may replay', async () => {
  const file = join(folder, 'tokens');
  writeFileSync(file, 'ada read never reading-token-of-ada\nroot admin never admin-token-of-root\n', { mode: 0o600 });
  const closed = await serve(['--store', store, '--tokens', file]);
  const { page } = await visit(context, closed, '#/findings');
  await page.fill('input[type="password"]', 'reading-token-of-ada');
  await page.keyboard.press('Enter');
  await page.waitForSelector('ul.gallery');
  assert.ok(await page.getByRole('button', { name: 'Replay' }).first().isDisabled());
  await page.evaluate((id) => { window.location.hash = `#/runs/${id}`; }, last.run.id);
  await page.waitForSelector('img.drawing');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the report' }).click()]);
  assert.ok(readFileSync(await saved.path(), 'utf8').includes('</html>'));
  await page.locator('#sign-out').click();
  await page.waitForSelector('input[type="password"]');
  await page.fill('input[type="password"]', 'admin-token-of-root');
  await page.keyboard.press('Enter');
  await page.getByText('You read as root.').waitFor();
  await closed.stop();
});

await server.stop();
for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
rmSync(folder, { recursive: true, force: true });
await close();
process.exit(end());
