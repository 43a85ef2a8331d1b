// The HTML report in a real browser with the network off: report.test.mjs SAMPLES [SCREENSHOTS]
// SAMPLES is a folder written by plumbline_write_samples; screenshots are kept only when a folder is given.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { launch, open, silent, suite, violations } from './chromium.mjs';

const samples = resolve(process.argv[2]);
const shots = process.argv[3] ? resolve(process.argv[3]) : '';
if (shots) await mkdir(shots, { recursive: true });
const { context, close } = await launch();
const file = (name) => join(samples, `${name}.html`);
const { test, end } = suite(context);

const shot = async (page, name, options = {}) => { if (shots) await page.screenshot({ path: join(shots, `${name}.png`), ...options }); };

for (const name of ['failing', 'clean', 'empty', 'huge', 'hostile']) {
  await test(`${name}: opens from disk, silent, asks for nothing`, async () => {
    const { page, seen } = await open(context, file(name));
    silent(seen);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `the page is ${wide} pixels too wide`);
    await shot(page, `${name}-first-screen`);
  });
}

await test('the first screen answers the question', async () => {
  const { page } = await open(context, file('failing'));
  const words = await page.locator('#answer').innerText();
  for (const part of ['May I ship digit reader?', 'No', '2 claims are refuted', 'not applicable', 'Next:']) assert.ok(words.includes(part), `"${part}" is missing`);
  const bottom = await page.evaluate(() => document.querySelector('.answer').getBoundingClientRect().bottom);
  assert.ok(bottom < 900, `the answer ends at ${bottom}`);
});

await test('every picture is drawn, with marks and a table behind it', async () => {
  const { page } = await open(context, file('failing'));
  const figures = await page.$$eval('figure[data-artifact]', (all) => all.map((figure) => ({
    kind: figure.dataset.kind, drawn: figure.dataset.drawn,
    shapes: figure.querySelectorAll('.picture svg.chart path, .picture svg.chart rect, .picture .tile').length,
    rows: figure.querySelectorAll('table tbody tr').length,
  })));
  const kinds = new Set(figures.map((figure) => figure.kind));
  for (const kind of ['reliability', 'roc', 'grid', 'treemap', 'gallery', 'histogram', 'curve', 'bars', 'network', 'fates', 'episode', 'confusion', 'table']) assert.ok(kinds.has(kind), `no ${kind}`);
  for (const figure of figures) {
    assert.ok(figure.rows > 0, `${figure.kind} has no table`);
    if (figure.kind !== 'table') {
      assert.equal(figure.drawn, 'yes', `${figure.kind} is not drawn`);
      assert.ok(figure.shapes >= 5, `${figure.kind} has ${figure.shapes} shapes`);
    }
  }
  const bad = await page.$$eval('svg.chart [d], svg.chart [x], svg.chart [transform]', (all) => all.filter((e) => /NaN|Infinity|undefined/.test(e.outerHTML.slice(0, 300))).length);
  assert.equal(bad, 0, 'a coordinate is not a number');
});

await test('the grid is drawn from its numbers: darkest cell is the largest value', async () => {
  const { page } = await open(context, file('failing'));
  const cells = await page.$$eval('figure[data-kind="grid"] .cells rect', (all) => all.map((cell) => parseFloat(cell.style.fill.match(/([\d.]+)%/)[1])));
  const data = JSON.parse(await page.$eval('figure[data-kind="grid"] script', (script) => script.textContent));
  const values = data.columns.find((column) => column.name === 'value').values;
  assert.equal(cells.length, values.length);
  const order = (list) => list.indexOf(Math.max(...list));
  assert.equal(order(cells), order(values));
});

await test('an episode steps by button and slider, its sums grow with it', async () => {
  const { page, seen } = await open(context, file('failing'));
  const figure = page.locator('figure[data-kind="episode"]');
  await figure.scrollIntoViewIfNeeded();
  assert.equal(await figure.locator('.episode-board rect').count(), 25);
  await figure.getByRole('button', { name: 'Step on' }).click();
  assert.match(await figure.locator('.episode-words').innerText(), /Step 1 of 20: right; this step paid 2; earned 2, achieved 0/);
  assert.equal(await figure.locator('.episode-board pre').innerText(), 'round 1');
  await figure.getByRole('button', { name: 'Last step' }).click();
  assert.match(await figure.locator('.episode-words').innerText(), /earned 10, achieved 3/);
  await figure.locator('input').fill('7');
  assert.match(await figure.locator('.episode-words').innerText(), /Step 7 of 20.*earned 5, achieved 1/);
  const points = await figure.locator('.episode-sums path.line').evaluateAll((all) => all.slice(0, 2).map((path) => path.getAttribute('d').split('L').length));
  assert.deepEqual(points, [8, 8]);
  silent(seen);
});

await test('arrow keys visit the points of a picture', async () => {
  const { page } = await open(context, file('failing'));
  const chart = page.locator('figure[data-kind="reliability"] svg.chart');
  await chart.focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  const tip = page.locator('figure[data-kind="reliability"] .tip');
  assert.ok(await tip.isVisible());
  assert.match(await tip.innerText(), /confidence 0\.85/);
  await page.keyboard.press('Escape');
  assert.ok(await tip.isHidden());
});

await test('the keyboard reaches everything, skip link first', async () => {
  const { page } = await open(context, file('failing'));
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const expected = await page.$$eval('a[href], button:not([hidden]), input, summary, [tabindex="0"]', (all) =>
    all.filter((e) => e.checkVisibility() || e.classList.contains('skip')).length);
  const reached = await page.evaluate(() => new Promise((resolve) => { window.reached = new Set([document.activeElement]); resolve(1); }));
  for (let i = 0; i < expected + 40; ++i) {
    await page.keyboard.press('Tab');
    const done = await page.evaluate(() => { const e = document.activeElement; if (e === document.body || (window.reached.has(e) && e.className === 'skip')) return true; window.reached.add(e); return false; });
    if (done) break;
  }
  const missed = await page.$$eval('a[href], button:not([hidden]), input, summary, [tabindex="0"]', (all) =>
    all.filter((e) => e.checkVisibility() && !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 120)));
  assert.deepEqual(missed, []);
  assert.equal(reached, 1);
  const unseen = await page.evaluate(() => { const link = document.querySelector('#claims a'); link.focus({ focusVisible: true }); return getComputedStyle(link).outlineStyle; });
  assert.notEqual(unseen, 'none');
});

await test('tables sort and filter', async () => {
  const { page } = await open(context, file('failing'));
  const table = page.locator('#ledger table');
  await table.locator('button.sort', { hasText: 'Status' }).click();
  await table.locator('button.sort', { hasText: 'Status' }).click();
  assert.match(await table.locator('tbody tr').first().innerText(), /not applicable/);
  assert.equal(await table.locator('th').first().getAttribute('aria-sort'), 'descending');
  await page.locator('#ledger input').fill('gradient');
  assert.equal(await table.locator('tbody tr').count(), 1);
  const figure = page.locator('figure[data-kind="table"]');
  const first = await figure.locator('tbody tr').count();
  assert.equal(first, 15);
  await figure.locator('button.quiet').click();
  assert.equal(await figure.locator('tbody tr').count(), 65);
  await figure.locator('button.sort', { hasText: 'error' }).click();
  const values = await figure.locator('tbody tr td:nth-child(3)').allInnerTexts();
  const numbers = values.filter((value) => value !== '').map(Number);
  assert.deepEqual(numbers, numbers.slice().sort((a, b) => a - b));
});

await test('dark and light, from the system and from the button', async () => {
  const { page } = await open(context, file('failing'));
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await ground();
  assert.notEqual(light, dark);
  await shot(page, 'failing-dark');
  await page.locator('#theme').click();
  assert.equal(await ground(), light);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.locator('#theme').click();
  assert.equal(await ground(), dark);
  await page.locator('#theme').click();
});

await test('paper: no furniture, light colours, pictures and verdicts in words', async () => {
  const { page } = await open(context, file('failing'));
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  assert.equal(await page.locator('nav.contents').isVisible(), false);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).color), 'rgb(0, 0, 0)');
  assert.ok((await page.locator('#claims').innerText()).includes('refuted'));
  const pdf = await page.pdf({ format: 'A4', printBackground: true, ...(shots ? { path: join(shots, 'failing.pdf') } : {}) });
  assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
});

await test('a narrow window loses nothing', async () => {
  const { page } = await open(context, file('failing'));
  await page.setViewportSize({ width: 390, height: 800 });
  await page.waitForTimeout(300);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `the page is ${wide} pixels too wide`);
  await shot(page, 'failing-narrow', { fullPage: true });
});

await test('without script the page still says everything', async () => {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Emulation.setScriptExecutionDisabled', { value: true });
  await page.goto(`file://${file('failing')}`);
  await session.send('Emulation.setScriptExecutionDisabled', { value: false });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.ready), undefined);
  const words = await page.evaluate(() => document.body.textContent);
  for (const part of ['May I ship digit reader?', 'refuted', 'glass blur', 'memory limit of 2 GiB', 'A. Tester', 'clopper-pearson']) assert.ok(words.includes(part), `"${part}" is missing`);
  await shot(page, 'failing-no-script');
});

await test('an injected script does not run, even as markup', async () => {
  const { page } = await open(context, file('failing'));
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.owned = 1';
    document.body.append(script);
    const image = document.createElement('img');
    image.setAttribute('onerror', 'window.owned = 2');
    image.src = 'data:image/png;base64,AAAA';
    document.body.append(image);
    const style = document.createElement('style');
    style.textContent = 'body { display: none }';
    document.body.append(style);
  });
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.ok(await page.locator('#answer').isVisible());
});

for (const scheme of ['light', 'dark']) {
  await test(`accessibility, ${scheme}: nothing serious`, async () => {
    const { page } = await open(context, file('failing'));
    await page.emulateMedia({ colorScheme: scheme });
    assert.deepEqual(await violations(page), []);
  });
}

for (const scheme of ['light', 'dark']) {
  await test(`words on coloured cells keep a contrast of 4.5, ${scheme}`, async () => {
    const { page } = await open(context, file('failing'));
    await page.emulateMedia({ colorScheme: scheme });
    const low = await page.evaluate(() => {
      const ink = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      const luminance = (colour) => {
        ink.clearRect(0, 0, 1, 1);
        ink.fillStyle = colour;
        ink.fillRect(0, 0, 1, 1);
        const parts = Array.from(ink.getImageData(0, 0, 1, 1).data).slice(0, 3).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      return Array.from(document.querySelectorAll('.cells .cell-text, .cells .tile-name')).map((text) => {
        let cell = text;
        while (cell.tagName !== 'rect') cell = cell.previousElementSibling;
        const [a, b] = [luminance(getComputedStyle(text).fill), luminance(getComputedStyle(cell).fill)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
      }).sort((x, y) => x - y);
    });
    assert.ok(low.length > 100 && low[0] >= 4.5, `lowest contrast ${low[0]} of ${low.length}`);
  });
}

if (shots) {
  const { page } = await open(context, file('failing'));
  await shot(page, 'failing-full', { fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await shot(page, 'failing-full-dark', { fullPage: true });
  await page.emulateMedia({ media: 'print', colorScheme: 'light' });
  await page.setViewportSize({ width: 720, height: 1000 });
  await page.waitForTimeout(300);
  await shot(page, 'failing-print', { fullPage: true });
}
await close();
process.exit(end());
