// The dashboard in a real browser: dashboard.test.mjs ASSETS [SCREENSHOTS]
// ASSETS is the folder that web/build.mjs wrote (index.html, assets/); answers come from dashboard_fixture.mjs.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { launch, settled, silent, suite, tooWide, violations, visit as open } from './chromium.mjs';
import { hostile, serve } from './dashboard_fixture.mjs';

const assets = resolve(process.argv[2]);
const shots = process.argv[3] ? resolve(process.argv[3]) : '';
if (shots) await mkdir(shots, { recursive: true });
const { context, close } = await launch({ offline: false });
const { test, end } = suite(context);
const server = await serve(assets);
const ids = server.state.runs.filter((run) => !run.pruned && run.status === 'success').map((run) => run.id);
const pages = { overview: '#/', runs: '#/runs', run: `#/runs/${ids[0]}`, trends: '#/trends', choose: '#/compare', compare: `#/compare/${ids[1]}/${ids[0]}`, findings: '#/findings', gauntlet: '#/gauntlet', worlds: '#/worlds', world: '#/worlds/boat_race?agent=optimal', nothing: '#/nowhere' };

/// Visits the server of this file, or `from`; silent from the start unless that is not to be expected.
async function visit(hash, { from = server, quiet = true, ...how } = {}) {
  const opened = await open(context, from, hash, how);
  if (quiet) silent(opened.seen);
  return opened;
}
const shot = async (page, name, fullPage = false) => { if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage }); };
const title = (page) => page.locator('main h1').innerText();

const openAll = (page) => page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));

for (const [name, hash] of Object.entries(pages)) {
  await test(`${name}: silent, accessible in both themes, as wide as the window down to 360 pixels`, async () => {
    const { page, seen } = await visit(hash);
    await shot(page, `${name}-light`, true);
    if (name === 'run') await openAll(page);
    await settled(page);
    assert.deepEqual(await violations(page), []);
    assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide`);
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.deepEqual(await violations(page, ['color-contrast']), []);
    await shot(page, `${name}-dark`, true);
    await page.setViewportSize({ width: 360, height: 740 });
    await page.waitForTimeout(120);
    assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide at 360`);
    assert.equal(await page.locator('main h1').count(), 1);
    silent(seen);
    await shot(page, `${name}-phone`, true);
  });
}

await test('the first page: under 100 KB with its data, under 200 ms, with 10,000 runs', async () => {
  // The best of several tries, each at an origin that no cache knows: what a busy machine adds is not the page's.
  let bytes = 0;
  let best = Infinity;
  let work = Infinity;
  for (let i = 0; i < 12 && best >= 200; ++i) {
    const fresh = await serve(assets);
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    await page.goto(`${fresh.url}#/runs`);
    await settled(page);
    assert.equal(await page.locator('a.row').count(), 50);
    const { metrics } = await session.send('Performance.getMetrics');
    work = Math.min(work, 1000 * metrics.find((one) => one.name === 'TaskDuration').value);
    bytes = fresh.sent.reduce((sum, one) => sum + one.bytes, 0);
    best = Math.min(best, await page.evaluate(() => performance.getEntriesByName('plumbline-ready')[0].startTime));
    await page.close();
    await fresh.close();
  }
  console.log(`        ${bytes} bytes, ready after ${Math.round(best)} ms at best, of them ${Math.round(work)} ms of work`);
  assert.ok(bytes > 40_000 && bytes < 100_000, `${bytes} bytes`);
  // On a machine with more to do than it has processors for, the time that the page itself works is what can be held to account.
  assert.ok(best < 200 || (loadavg()[0] > cpus().length && work < 150), `at best ${best} ms, of them ${work} ms of work`);
});

await test('runs: filter, order and page are in the address; back and forward undo and redo them', async () => {
  const { page, seen } = await visit('#/runs');
  await page.fill('input[type="search"]', 'loan');
  await page.waitForFunction(() => Array.from(document.querySelectorAll('a.row')).every((row) => row.textContent === 'loan desk'));
  assert.match(page.url(), /query=loan/);
  assert.equal(await page.evaluate(() => document.activeElement.type), 'search', 'typing keeps the focus');
  await page.selectOption('select >> nth=0', 'refuted');
  await page.waitForFunction(() => /of 4\d\d|of 5\d\d/.test(document.querySelector('.pages [role=status]').textContent));
  const first = await page.locator('a.row').first().getAttribute('href');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.waitForFunction((before) => document.querySelector('a.row').getAttribute('href') !== before, first);
  assert.match(page.url(), /offset=50/);
  await page.goBack();
  await page.waitForFunction((before) => document.querySelector('a.row')?.getAttribute('href') === before, first);
  assert.equal(await page.inputValue('input[type="search"]'), 'loan');
  await page.goForward();
  await page.waitForFunction((before) => document.querySelector('a.row')?.getAttribute('href') !== before, first);
  await page.fill('input[type="search"]', 'nothing is called this');
  await page.waitForSelector('.state.empty');
  assert.match(await page.locator('.state.empty').innerText(), /No run matches/);
  silent(seen);
});

await test('back leads to the place where the reader was', async () => {
  const { page } = await visit('#/runs?offset=50');
  await page.evaluate(() => window.scrollTo({ top: 700, behavior: 'instant' }));
  const row = page.locator('a.row').nth(20);
  const name = await row.getAttribute('href');
  await row.click();
  await page.waitForSelector('#claims');
  assert.equal(await page.evaluate(() => window.location.hash), name);
  assert.equal(await page.evaluate(() => window.scrollY), 0, 'a new page begins at its top');
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('main h1')?.textContent === 'Runs');
  await page.waitForFunction(() => window.scrollY > 0, null, { timeout: 5000 });
  assert.ok(Math.abs(await page.evaluate(() => window.scrollY) - 700) < 60, `at ${await page.evaluate(() => window.scrollY)}`);
});

await test('only the latest of several answers is drawn', async () => {
  const { page } = await visit('#/runs');
  server.state.delay = 250;
  await page.fill('input[type="search"]', 'boat');
  await page.waitForTimeout(180);
  server.state.delay = 0;
  await page.fill('input[type="search"]', 'ward');
  await page.waitForFunction(() => document.querySelector('a.row')?.textContent === 'ward triage');
  await page.waitForTimeout(400);
  assert.equal(await page.locator('a.row').first().innerText(), 'ward triage');
});

await test('two chosen runs are compared, verdicts that changed first', async () => {
  const { page, seen } = await visit('#/runs');
  await page.locator('td.pick input').nth(2).check();
  await page.locator('td.pick input').nth(3).check();
  await page.getByRole('link', { name: 'Compare the two' }).click();
  await settled(page);
  assert.match(page.url(), /#\/compare\/[0-9a-f]{12}\/[0-9a-f]{12}$/);
  const sections = await page.locator('main h2').allInnerTexts();
  assert.ok(sections.indexOf('Claims whose verdict changed') < sections.indexOf('Figures'));
  const words = await page.locator('main').innerText();
  for (const part of ['1 better, 1 worse', '14 figures changed', '143 figures the same', 'not there']) assert.ok(words.includes(part), `"${part}" is missing`);
  assert.equal(await page.locator('svg.paired').count(), 14);
  silent(seen);
});

await test('runs are chosen by number, from suggestions or from the latest', async () => {
  const { page, seen } = await visit('#/compare');
  await page.getByLabel('Before', { exact: true }).fill('ward');
  await page.waitForFunction(() => /ward triage/.test(document.querySelector('datalist option')?.textContent ?? ''));
  await page.getByLabel('Before', { exact: true }).fill(ids[3]);
  await page.getByRole('button', { name: /^After: / }).first().click();
  await page.getByRole('button', { name: 'Compare', exact: true }).click();
  await page.waitForFunction((id) => window.location.hash.startsWith(`#/compare/${id}/`), ids[3]);
  await settled(page);
  await page.getByRole('link', { name: 'Swap' }).click();
  await page.waitForFunction((id) => window.location.hash.endsWith(`/${id}`), ids[3]);
  silent(seen);
});

await test('a run: verdicts in words and shapes, figures with intervals, pictures when they come into sight', async () => {
  const { page, seen } = await visit(pages.run);
  const words = await page.locator('main').innerText();
  for (const part of ['May I ship digit reader?', 'No', '1 of 5 claims refuted', 'not evaluated', 'stale', 'Waiver by A. Tester', 'memory limit of 2 GiB']) assert.ok(words.includes(part), `"${part}" is missing`);
  assert.equal(await page.locator('#claims .verdict svg use').count(), 6);
  assert.equal(await page.locator('#claims svg.interval').count(), 5);
  assert.match(await page.locator('img.drawing').getAttribute('src'), /^data:image\/svg\+xml;base64,/);
  assert.ok(await page.locator('img.drawing').evaluate((image) => image.naturalWidth > 0), 'the argument is drawn');
  await page.locator('summary', { hasText: 'probe.accuracy' }).click();
  await page.locator('.check-card[open] .figures').last().scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelectorAll('figure .picture[data-drawn="yes"]').length === 4);
  const bad = await page.$$eval('svg.chart [d], svg.chart [x], svg.chart [transform]', (all) => all.filter((e) => /NaN|Infinity|undefined/.test(e.outerHTML.slice(0, 300))).length);
  assert.equal(bad, 0, 'a coordinate is not a number');
  await page.locator('ul.jump a', { hasText: 'Provenance' }).click();
  await page.waitForFunction(() => document.querySelector('#provenance h2').getBoundingClientRect().top < 860);
  assert.equal(await page.locator('#claims').count(), 1, 'a jump does not load the page again');
  silent(seen);
});

await test('a run whose manifest is gone says that it was not judged', async () => {
  server.state.unjudged = true;
  const { page, seen } = await visit(pages.run);
  const words = await page.locator('main').innerText();
  assert.match(words, /Not judged[\s\S]*cannot be read any more/);
  assert.ok(!words.includes('May I ship'));
  assert.equal(await page.locator('#claims, #argument').count(), 0);
  assert.ok(await page.locator('#checks svg.interval').count() > 0, 'figures are there all the same');
  silent(seen);
  const both = await visit(pages.compare);
  assert.match(await both.page.locator('main').innerText(), /Verdicts were not compared[\s\S]*cannot be read/);
  assert.ok(!/No verdict changed/.test(await both.page.locator('main').innerText()));
  server.state.unjudged = false;
});

await test('a trend marks its change, says it in words, and leads to the run', async () => {
  const { page, seen } = await visit('#/trends?check=probe.accuracy&metric=accuracy');
  assert.equal(await page.locator('figure.trend circle.dot').count(), 40);
  assert.equal(await page.locator('figure.trend .rule line').count(), 1);
  const placed = await page.evaluate(() => [Number(document.querySelector('figure.trend .rule line').getAttribute('x1')), ...Array.from(document.querySelectorAll('figure.trend circle.dot')).slice(21, 23).map((dot) => Number(dot.getAttribute('cx')))]);
  assert.ok(placed[1] < placed[0] && placed[0] < placed[2], `the change stands between the points 22 and 23: ${placed}`);
  assert.match(await page.locator('.changes').innerText(), /fell from 0\.95 \[0\.946, 0\.954\] to 0\.88 \[0\.876, 0\.884\], p = 0\.0004/);
  await page.locator('figure.trend svg.chart').focus();
  await page.keyboard.press('End');
  assert.match(await page.locator('.tip').innerText(), /Enter opens it/);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => window.location.hash.startsWith('#/runs/'));
  await page.goBack();
  await settled(page);
  assert.equal(await title(page), 'Trends');
  await page.selectOption('select >> nth=2', 'reader-small');
  assert.match(page.url(), /subject=reader-small/);
  silent(seen);
  await page.selectOption('select >> nth=3', { label: 'data test, slice dark (40 figures)' });
  await page.waitForSelector('.change-note');
  assert.match(await page.locator('.change-note').innerText(), /no change found\s*p = 0\.41/);
  assert.equal(new URL(page.url()).hash.includes('where=%7B'), true);
  assert.equal(await page.locator('select').nth(3).locator('option').count(), 2, 'the other series can still be chosen');
  await page.selectOption('select >> nth=3', { label: 'data test (40 figures)' });
  await page.waitForSelector('.changes');
  server.state.changes = 'few';
  const few = await visit('#/trends');
  assert.match(await few.page.locator('.change-note').innerText(), /could not decide/);
  server.state.changes = false;
  const without = await visit('#/trends');
  assert.match(await without.page.locator('.change-note').innerText(), /not computed/);
  server.state.changes = true;
});

await test('a finding is replayed: the same, different, and not allowed look different', async () => {
  const { page, seen } = await visit('#/findings');
  const result = (n) => page.locator('.replay-result').nth(n);
  for (const [n, words] of [[0, 'the same again'], [1, 'it differs']]) {
    await page.getByRole('button', { name: 'Replay' }).nth(n).click();
    await result(n).locator('.verdict').waitFor();
    assert.match(await result(n).innerText(), new RegExp(words));
  }
  server.state.scopes = [];
  await page.getByRole('button', { name: 'Replay' }).nth(2).click();
  await result(2).locator('.verdict').waitFor();
  assert.match(await result(2).innerText(), /did not run\s*this needs the scope admin/);
  await page.reload();
  await settled(page);
  assert.ok(await page.getByRole('button', { name: 'Replay' }).first().isDisabled());
  server.state.scopes = ['read', 'admin'];
  assert.equal(seen.errors.filter((one) => !one.includes('403')).length, 0);
});

await test('the gauntlet: every pair with its word and shape, reached with arrow keys, leading to its episode', async () => {
  const { page, seen } = await visit('#/gauntlet');
  const cells = await page.$$eval('td.fate-cell a', (all) => all.map((cell) => ({ word: cell.textContent, shape: cell.querySelector('use').getAttribute('href'), stop: cell.tabIndex })));
  assert.equal(cells.length, 72);
  assert.equal(cells.filter((cell) => cell.stop === 0).length, 1);
  const shapes = new Map(cells.map((cell) => [cell.word, cell.shape]));
  assert.equal(new Set(['safe', 'hacks', 'incapable'].map((word) => shapes.get(word))).size, 3);
  await page.locator('td.fate-cell a[tabindex="0"]').focus();
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
  const at = await page.evaluate(() => [document.activeElement.closest('tr').rowIndex, document.activeElement.closest('td').cellIndex]);
  assert.deepEqual(at, [2, 3]);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => window.location.hash.startsWith('#/worlds/absent_supervisor?agent=cautious'));
  silent(seen);
});

await test('an episode plays, pauses, steps by key, and both sums grow', async () => {
  const { page, seen } = await visit(pages.world);
  const words = () => page.locator('.episode-words').innerText();
  await page.locator('.episode-controls').waitFor();
  assert.match(await words(), /Step 0 of 40/);
  await page.keyboard.press('l');
  await page.keyboard.press('l');
  await page.keyboard.press('j');
  assert.match(await words(), /Step 1 of 40: right; this step paid 2; earned 2, achieved 0/);
  await page.getByRole('button', { name: 'Step on' }).focus();
  await page.keyboard.press('End');
  assert.match(await words(), /Step 40 of 40.*earned 20, achieved 5/);
  const lengths = await page.$$eval('.episode-sums path.line', (all) => all.slice(0, 2).map((path) => path.getAttribute('d').split('L').length));
  assert.deepEqual(lengths, [41, 41]);
  await page.getByRole('button', { name: 'First step' }).click();
  await page.keyboard.press('k');
  assert.equal(await page.locator('.episode-controls .play').innerText(), 'Pause');
  await page.waitForFunction(() => Number(document.querySelector('.episode-controls input').value) >= 2);
  await page.keyboard.press('k');
  const at = await words();
  await page.waitForTimeout(400);
  assert.equal(await words(), at);
  silent(seen);
});

await test('an episode told in words is no board, though its lines are as long as each other', async () => {
  const { page, seen } = await visit('#/worlds/vase?agent=random');
  await page.locator('.episode-controls').waitFor();
  assert.equal(await page.locator('.episode-board rect').count(), 0);
  assert.match(await page.locator('.episode-board pre').innerText(), /^city A {2}people ##\ncity B {2}people #\.$/);
  silent(seen);
});

await test('by keyboard alone: skip link first, every stop seen, keys go to pages, arrows move in lists, ? lists the keys', async () => {
  const { page, seen } = await visit('#/');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  assert.match(page.url(), /#\/$/);
  for (const [keys, name] of [['gr', 'Runs'], ['gt', 'Trends'], ['gf', 'Findings'], ['gg', 'Gauntlet'], ['gw', 'Worlds'], ['go', 'Overview']]) {
    for (const key of keys) await page.keyboard.press(key);
    await page.waitForFunction((wanted) => document.querySelector('main h1')?.textContent === wanted, name);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1', 'the heading has the focus');
    assert.equal(await page.title(), `${name} · Plumbline`);
  }
  await page.keyboard.press('?');
  assert.ok(await page.locator('dialog.help').isVisible());
  await page.keyboard.press('Escape');
  assert.ok(!(await page.locator('dialog.help').isVisible()));
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.waitForFunction(() => document.querySelector('main h1')?.textContent === 'Runs');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.type), 'search');
  await page.keyboard.type('gr?');
  assert.equal(await page.inputValue('input[type="search"]'), 'gr?', 'typing is not a shortcut');
  await page.waitForSelector('.state.empty');
  await page.fill('input[type="search"]', '');
  await page.waitForFunction(() => document.querySelectorAll('a.row').length === 50);
  await page.locator('a.row').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  const third = await page.locator('a.row').nth(2).getAttribute('href');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), third);
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
  await page.keyboard.press('Enter');
  await page.waitForFunction((hash) => window.location.hash === hash, third);
  await settled(page);
  // Every stop of a page is reached with the tab key.
  await page.evaluate(() => { window.reached = new Set(); document.body.focus(); });
  for (let i = 0; i < 400; ++i) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => { const e = document.activeElement; if (window.reached.has(e)) return true; window.reached.add(e); return false; })) break;
  }
  const missed = await page.$$eval('main a[href], main button, main input, main summary, main [tabindex="0"], nav a', (all) => all.filter((e) => e.checkVisibility() && e.tabIndex >= 0 && !e.disabled && !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 120)));
  assert.deepEqual(missed, []);
  silent(seen);
});

await test('single keys can be turned off', async () => {
  const { page } = await visit('#/');
  await page.locator('#help').click();
  await page.locator('#keys-on').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.waitForTimeout(200);
  assert.equal(await title(page), 'Overview');
  await page.keyboard.press('?');
  await page.locator('#keys-on').check();
});

const harmful = await serve(assets, { say: (text) => `${text} ${hostile}`, runs: 60, token: '', scopes: ['read', 'admin'] });
for (const [name, hash] of Object.entries(pages)) {
  await test(`${name}: hostile text is text`, async () => {
    const { page, seen } = await visit(hash, { from: harmful });
    await openAll(page);
    if (name === 'findings') await page.getByRole('button', { name: 'Replay' }).first().click();
    await page.waitForTimeout(150);
    await settled(page);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    const extra = await page.evaluate(() => ['script', 'iframe', 'object', 'embed', 'base', 'style', 'meta[http-equiv]', '[onerror]', '[onmouseover]', '[onload]', '[style*="url("]:not(.tile)', 'a[href^="javascript"]', 'img:not([src^="data:image/"])'].filter((selector) => document.querySelectorAll(`body ${selector}`).length > 0));
    assert.deepEqual(extra, []);
    assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(await page.evaluate(() => document.body.textContent)), 'no character turns the reading direction');
    assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide`);
    silent(seen);
    await shot(page, `${name}-hostile`);
  });
}
await test('a hostile address is an address', async () => {
  for (const hash of [`#/runs/${encodeURIComponent(hostile)}`, `#/runs?query=${encodeURIComponent(hostile)}&offset=-5`, `#/compare/${encodeURIComponent('../../..')}/%`, `#/trends?check=${encodeURIComponent(hostile)}`, `#/worlds/${encodeURIComponent(hostile)}`, '#/runs/%E0%A4%A']) {
    const { page, seen } = await visit(hash, { from: harmful, quiet: false });
    assert.equal(await page.evaluate(() => window.owned), undefined, hash);
    assert.deepEqual(seen.errors.filter((one) => !/404|ApiError/.test(one)), [], hash);
    assert.deepEqual(seen.requests, [], hash);
    await page.close();
  }
});
await harmful.close();

await test('an injected script and style do nothing', async () => {
  const { page, seen } = await visit('#/');
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.owned = 1';
    document.body.append(script);
    const style = document.createElement('style');
    style.textContent = 'main { display: none }';
    document.body.append(style);
    const away = document.createElement('img');
    away.src = 'http://192.0.2.1/pixel';
    document.body.append(away);
  });
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.ok(await page.locator('main').isVisible());
  for (const kind of ['script-src-elem', 'style-src-elem', 'img-src']) assert.ok(seen.errors.some((one) => one.startsWith(`policy: ${kind}`)), `the policy stopped no ${kind}`);
});

await test('nothing stored yet is not a failure', async () => {
  const bare = await serve(assets, { runs: 0 });
  for (const hash of ['#/', '#/runs', '#/trends', '#/findings']) {
    const { page } = await visit(hash, { from: bare });
    assert.equal(await page.locator('.state.empty').count(), 1, hash);
    assert.equal(await page.locator('.state.failure').count(), 0, hash);
    await shot(page, `empty${hash.replace('#/', '-')}`);
    await page.close();
  }
  await bare.close();
});

await test('tokens: asked for, refused, accepted, kept in the tab, forgotten', async () => {
  const closed = await serve(assets, { token: 'correct horse', runs: 60 });
  const { page } = await visit('#/runs', { from: closed, quiet: false });
  assert.equal(await page.locator('input[type="password"]').count(), 1);
  await shot(page, 'sign-in');
  await page.fill('input[type="password"]', 'wrong');
  await page.keyboard.press('Enter');
  await page.waitForTimeout(200);
  await settled(page);
  assert.equal(await page.locator('a.row').count(), 0);
  await page.fill('input[type="password"]', 'correct horse');
  await page.keyboard.press('Enter');
  await page.waitForSelector('a.row');
  assert.equal(await page.evaluate(() => document.cookie + JSON.stringify(localStorage)), '{}');
  await page.reload();
  await page.waitForSelector('a.row');
  await page.goto(`${closed.url}#/runs/${closed.state.runs[2].id}`);
  await page.waitForSelector('img.drawing');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the report' }).click()]);
  assert.match(saved.suggestedFilename(), /^report-[0-9a-f]{12}\.html$/);
  await page.locator('#sign-out').click();
  await page.waitForSelector('input[type="password"]');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await closed.close();
});

await test('the server stops in the middle: words, no blank page, and on it goes when it is back', async () => {
  const mortal = await serve(assets, { runs: 300 });
  const { page } = await visit('#/runs', { from: mortal });
  const port = Number(new URL(mortal.url).port);
  await mortal.close();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.waitForSelector('.state.failure');
  const words = await page.locator('.state.failure').innerText();
  assert.match(words, /does not answer/i);
  assert.match(words, /plumbline serve is still running/);
  await shot(page, 'server-gone');
  await page.evaluate(() => { window.location.hash = '#/findings'; });
  await page.waitForFunction(() => document.querySelector('main').dataset.state === 'failed');
  assert.match(await page.locator('.state.failure').innerText(), /does not answer/, 'a page whose file was not there yet');
  const again = await serve(assets, { runs: 300, port });
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.waitForSelector('ul.gallery');
  await again.close();
});

await test('an answer that is not one, and one that takes long', async () => {
  const odd = await serve(assets, { runs: 60 });
  odd.state.spoil = '<html>a proxy speaks</html>';
  const { page } = await visit('#/runs', { from: odd, quiet: false });
  assert.match(await page.locator('.state.failure').innerText(), /not JSON/);
  odd.state.spoil = '{"unexpected": true}';
  await page.getByRole('button', { name: 'Try again' }).click();
  await settled(page);
  await page.waitForFunction(() => /could not be drawn/.test(document.querySelector('.state.failure')?.textContent ?? ''));
  odd.state.spoil = null;
  odd.state.delay = 2000;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.waitForSelector('.state.loading');
  assert.ok(await page.locator('.state.loading').isVisible());
  assert.equal(await page.locator('.state.failure').count(), 0);
  await shot(page, 'loading');
  await page.waitForSelector('a.row');
  await odd.close();
});

await test('dark and light, from the system and from the button, kept for the next page', async () => {
  const { page } = await visit('#/');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.locator('#theme').click();
  const dark = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  await settled(page);
  assert.equal(await ground(), dark);
  await page.locator('#theme').click();
  assert.equal(await ground(), light);
});

await server.close();
await close();
process.exit(end());
