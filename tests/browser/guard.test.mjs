// The live guard and the overseer's page in a real browser, before a real guard under real requests:
// guard.test.mjs PLUMBLINE ASSETS [SCREENSHOTS]. ASSETS is the folder that web/build.mjs wrote (index.html, assets/).
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { launch, suite, violations } from './chromium.mjs';
import { hostile } from './dashboard_fixture.mjs';
import { cleanUp, dashboard, example, FOREIGN, Guard, proxy, SURE, TORN, until } from './guard_stand.mjs';

const plumbline = resolve(process.argv[2]);
const assets = resolve(process.argv[3]);
const shots = process.argv[4] ? resolve(process.argv[4]) : '';
if (shots) await mkdir(shots, { recursive: true });
const ann = await launch({ offline: false });
const bob = await launch({ offline: false });
const { test: one, end } = suite(ann.context);
const test = (name, body) => one(name, async () => {
  try {
    await body();
  } finally {
    for (const page of [...ann.context.pages().slice(1), ...bob.context.pages().slice(1)]) await page.close();
    for (const guard of [asking, quick]) {
      for (const { question } of (await guard.call('GET', '/v1/queue')).body.questions) await guard.call('POST', '/v1/queue/veto', { question, rater: 'cy' });
    }
  }
});

/// Opens an address of the dashboard; keeps everything that a quiet page would not do.
async function visit(from, hash, { context = ann.context, width = 1360, height = 900, scheme = 'light' } = {}) {
  const page = await context.newPage();
  const seen = { errors: [], outside: [] };
  page.on('console', (message) => { if (message.type() === 'error' || message.type() === 'warning') seen.errors.push(message.text()); });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('dialog', (dialog) => { seen.errors.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith(from.url) && !/^(data|blob):/.test(request.url())) seen.outside.push(request.url()); });
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize({ width, height });
  await page.goto(from.url + hash);
  await page.waitForSelector('main[data-state="ready"], main[data-state="failed"]', { timeout: 20000 });
  return { page, seen };
}
const silent = (seen) => {
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.outside, []);
};
const shot = async (page, name, fullPage = false) => { if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage }); };
const tooWide = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
const phone = { width: 390, height: 844 };

/// The overseer's page, signed in as `name`.
async function overseer(from, name, options = {}) {
  const visited = await visit(from, '#/answer', options);
  await visited.page.fill('#rater', name);
  await visited.page.press('#rater', 'Enter');
  await visited.page.waitForSelector('.answering[data-phase]');
  return visited;
}
const shown = (page) => page.$eval('.answering', (e) => Number(e.dataset.question ?? 0));
const waitShown = (page, other = 0) => page.waitForFunction((not) => { const e = document.querySelector('.answering'); return e?.dataset.phase === 'asking' && e.dataset.question && Number(e.dataset.question) !== not; }, other, { timeout: 15000 }).then(() => shown(page));
const notice = (page) => page.locator('.notice-host').innerText();
const press = (page, key) => page.keyboard.press(key);
/// The key beside an action.
const keyOf = (page, action) => page.$eval(`button.choice[data-action="${action}"] kbd`, (e) => e.textContent);

const calm = { epsilon: 1e-9, safe_loss: 1e-9, neighbours: 3, ask_cost: 0.001 };
const seeing = { 'seed = 7': 'seed = 7\nexamples = "full"' };
const deciding = await new Guard(plumbline, example(plumbline, { ...calm, ask_cost: 0.1, deadline_ms: 900, margin_ms: 100 }, seeing).manifest).start();
const asking = await new Guard(plumbline, example(plumbline, { ...calm, deadline_ms: 60000, undo_ms: 1500, gold_every: 0 }, seeing).manifest).start();
const quick = await new Guard(plumbline, example(plumbline, { ...calm, deadline_ms: 60000, gold_every: 0, irreversible: ['letter'] }, seeing).manifest).start();
const live = await proxy(assets, deciding);
const people = await proxy(assets, asking);
const two = await proxy(assets, quick);
const served = { live: await dashboard(plumbline, deciding), people: await dashboard(plumbline, asking) };

await test('the live guard shows what it decides, as it decides', async () => {
  const traffic = deciding.traffic(25);
  try {
    const { page, seen } = await visit(served.live, '#/guard');
    await page.waitForFunction(() => document.querySelectorAll('.latest tbody tr').length > 20);
    const before = await page.locator('.latest tbody tr').first().getAttribute('data-number');
    await page.waitForFunction((old) => Number(document.querySelector('.latest tbody tr').dataset.number) > Number(old) + 10, before, { timeout: 5000 });
    const words = await page.locator('.live-figures').innerText();
    for (const part of ['could not decide', 'decided to refuse', 'entropy', 'p-value', 'sync group', 'durable', 'Drift and assertions', 'by hand']) assert.ok((words + await page.locator('.latest').innerText()).includes(part), `"${part}" is missing`);
    const truth = (await deciding.call('GET', '/v1/live')).body;
    const rate = parseFloat((await page.locator('.fact-big').first().innerText()).replace(',', ''));
    const real = Object.values(truth.rates[0].decisions).flatMap(Object.values).reduce((a, b) => a + b, 0) / truth.rates[0].seconds;
    assert.ok(Math.abs(rate - real) < 0.5 * real, `the page says ${rate} a second, the guard ${real}`);
    const bad = await page.$$eval('.live svg [d]', (all) => all.filter((e) => /NaN|Infinity|undefined/.test(e.getAttribute('d'))).length);
    assert.equal(bad, 0, 'a coordinate is not a number');
    await page.waitForTimeout(9000);
    await shot(page, 'guard-light', true);
    assert.deepEqual(await violations(page), []);
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.deepEqual(await violations(page, ['color-contrast']), []);
    await shot(page, 'guard-dark', true);
    await page.setViewportSize(phone);
    await page.waitForTimeout(1200);
    assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide`);
    await shot(page, 'guard-phone', true);
    silent(seen);
  } finally {
    traffic.stop();
  }
});

await test('a decision is opened with its nearest examples, by keyboard, and the list stands still meanwhile', async () => {
  const traffic = deciding.traffic(25, 'opened');
  try {
    void deciding.decide('torn one', TORN, { deadline_ms: 400 });
    const { page, seen } = await visit(live, '#/guard');
    const row = page.locator('.latest button.row', { hasText: 'torn one' });
    await row.first().focus();
    const held = await page.locator('.latest tbody tr').first().getAttribute('data-number');
    await page.waitForTimeout(2500);
    assert.equal(await page.locator('.latest tbody tr').first().getAttribute('data-number'), held, 'the list moved under the reader');
    assert.match(await page.locator('.list-news').innerText(), /newer/);
    await press(page, 'Enter');
    await page.waitForSelector('.record .neighbours li');
    const words = await page.locator('.record').innerText();
    for (const part of ['torn one', 'nobody answered in time', 'letter', 'handling', 'recommends', 'train, row', 'x0']) assert.ok(words.includes(part), `"${part}" is missing`);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H2');
    assert.match(page.url(), /decision=torn/);
    await shot(page, 'guard-record');
    assert.deepEqual(await violations(page), []);
    silent(seen);
  } finally {
    traffic.stop();
  }
});

await test('polling leaks nothing, rests in a hidden tab, and ends with the visit', async () => {
  const traffic = deciding.traffic(40, 'leak');
  try {
    const { page, seen } = await visit(live, '#/guard');
    await page.waitForFunction(() => document.querySelector('.latest > button') && !document.querySelector('.latest > button').hidden, null, { timeout: 20000 });
    await page.locator('.latest > button').click();
    await page.waitForFunction(() => document.querySelectorAll('.latest tbody tr').length >= 200, null, { timeout: 20000 });
    const nodes = () => page.evaluate(() => document.querySelectorAll('*').length);
    const before = await nodes();
    const calls = () => live.state.calls.filter((call) => call.path.endsWith('/v1/live')).length;
    const at = calls();
    await page.waitForTimeout(5000);
    const made = calls() - at;
    assert.ok(made >= 3 && made <= 7, `${made} calls in five seconds`);
    assert.ok(Math.abs((await nodes()) - before) < 100, `${before} elements became ${await nodes()}`);
    assert.equal(await page.locator('.latest tbody tr').count(), 200);
    const hide = (hidden) => page.evaluate((value) => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => value }); document.dispatchEvent(new Event('visibilitychange')); }, hidden);
    await hide(true);
    await page.waitForTimeout(300);
    const resting = calls();
    await page.waitForTimeout(4500);
    assert.equal(calls(), resting, 'a hidden tab asks nothing');
    live.state.hang = true;
    await hide(false);
    await page.waitForTimeout(200);
    assert.ok(await page.locator('.live.stale').count(), 'what was read before it was hidden does not look live');
    live.state.hang = false;
    await page.waitForSelector('.live:not(.stale)', { timeout: 10000 });
    await page.evaluate(() => { window.location.hash = '#/nowhere'; });
    await page.waitForTimeout(300);
    const gone = calls();
    await page.waitForTimeout(2500);
    assert.equal(calls(), gone, 'a page that was left asks nothing');
    silent(seen);
  } finally {
    traffic.stop();
    live.state.hang = false;
  }
});

await test('a guard that is killed or hangs: the page says since when, and never shows old figures as new', async () => {
  await deciding.decide('before the kill', SURE);
  const { page } = await visit(live, '#/guard');
  assert.equal(await page.locator('.stale-banner').isVisible(), false);
  await deciding.kill();
  await page.waitForSelector('.live.stale', { timeout: 4000 });
  assert.match(await page.locator('.stale-banner').innerText(), /No answer from the guard since \d\d:\d\d:\d\d, \d+ s ago/);
  assert.match(await page.locator('#said').innerText(), /does not answer/);
  assert.equal(await page.locator('.pulse').innerText(), '');
  assert.ok((await page.locator('.latest').innerText()).includes('before the kill'), 'what was known stays to be read');
  await shot(page, 'guard-down');
  assert.deepEqual(await violations(page), []);
  await deciding.start();
  await page.waitForSelector('.live:not(.stale)', { timeout: 6000 });
  assert.ok(!(await page.locator('.latest').innerText()).includes('before the kill'), 'a guard that began anew has its own list');
  live.state.hang = true;
  await page.waitForSelector('.live.stale', { timeout: 8000 });
  live.state.hang = false;
  await page.waitForSelector('.live:not(.stale)', { timeout: 8000 });
});

await test('two overseers answer by keyboard, never see one question at once, and what they say is done', async () => {
  const [first, second] = [await overseer(served.people, 'ann'), await overseer(served.people, 'bob', { context: bob.context })];
  await first.page.waitForSelector('.stage .state.empty');
  await shot(first.page, 'answer-waiting');
  const answers = new Map();
  // More questions than answers, so that the next one is always there to be taken.
  for (let i = 0; i < 14; ++i) void asking.decide(`torn ${i}`, TORN, { deadline_ms: 50000 }).then((reply) => answers.set(`torn ${i}`, reply.body));
  const said = new Map();
  const times = [];
  const twice = [];
  const answer = async ({ page }, action, more) => {
    let number = await waitShown(page);
    while (said.size < 10) {
      if (said.has(number) || ((await shown(more.page)) === number && (await shown(page)) === number)) twice.push(number);
      said.set(number, action);
      const key = await keyOf(page, action);
      // In the page: from the key to the acknowledged answer, and to the next question on the screen.
      await page.evaluate((old) => { window.took = new Promise((done) => {
        const root = document.querySelector('.answering');
        let pressed = 0;
        const times = {};
        document.addEventListener('keydown', () => { pressed = performance.now(); }, { once: true, capture: true });
        const watch = new MutationObserver(() => {
          if (!times.acknowledged && Array.from(root.querySelectorAll('.notice, .given')).some((e) => e.textContent.includes(`for question ${old}`))) times.acknowledged = performance.now() - pressed;
          if (times.acknowledged && root.dataset.question && root.dataset.question !== String(old)) {
            times.next = performance.now() - pressed;
            watch.disconnect();
            done(times);
          }
        });
        watch.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
        setTimeout(() => done({ stuck: `${root.dataset.phase}: ${root.innerText.slice(0, 300)}` }), 20000);
      }); }, number);
      await press(page, key);
      const took = await page.evaluate(() => window.took);
      assert.equal(took.stuck, undefined);
      times.push(took);
      number = await shown(page);
    }
  };
  await Promise.all([answer(first, 'letter', second), answer(second, 'parcel', first)]);
  assert.deepEqual(twice, []);
  await first.page.evaluate(() => { window.location.hash = '#/nowhere'; });
  await second.page.evaluate(() => { window.location.hash = '#/nowhere'; });
  await first.page.waitForTimeout(500);  // what they held is given back
  for (const { question } of (await asking.call('GET', '/v1/queue')).body.questions) if (!said.has(question)) await asking.call('POST', '/v1/queue/veto', { question, rater: 'cy' });
  await until('all answers', () => answers.size === 14, 15000);
  const told = { ann: 'letter', bob: 'parcel' };
  let byPeople = 0;
  for (const [id, { record, detail }] of answers) {
    assert.equal(record.cause, 'person', id);
    if (!detail.person) continue;
    assert.equal(detail.carry_out, told[detail.person.by], `${id}: ${detail.person.by} said something else`);
    byPeople += 1;
  }
  assert.equal(byPeople, said.size, 'every question was answered once');
  const sorted = (name) => times.map((time) => time[name]).filter((time) => time !== undefined).sort((a, b) => a - b);
  const words = (list) => `${list[Math.floor(list.length / 2)].toFixed(0)} ms (median), ${list[list.length - 1].toFixed(0)} ms (largest) of ${list.length}`;
  console.log(`        interface time from the key: answer acknowledged ${words(sorted('acknowledged'))}; next question ${words(sorted('next'))}`);
  const slowest = Math.max(...sorted('acknowledged'), ...sorted('next'));
  assert.ok(slowest < 2000, `${slowest} ms`);
  silent(first.seen);
  silent(second.seen);
});

await test('a question says why it is asked, what is like it and what happens if nobody answers', async () => {
  void asking.decide('looked at', TORN, { unit: 'desk 4', deadline_ms: 30000 });
  const { page, seen } = await overseer(people, 'ann');
  const number = await waitShown(page);
  const words = await page.locator('.question').innerText();
  for (const part of ['desk 4', 'Why it is asked', 'asking is worth', 'aleatoric', 'nat', 'p-value', 'distributional', 'handling', 'recommends', 'Nearest training examples', 'distance', '“by hand” is carried out', 'x0']) assert.ok(words.includes(part), `"${part}" is missing`);
  assert.equal(await page.locator('.neighbours li').count(), 3);
  assert.match(await page.locator('#said').innerText(), new RegExp('New question\\. .*1: .*left'));
  const left = async () => parseFloat(await page.locator('.time-left').innerText());
  const early = await left();
  await page.waitForTimeout(1500);
  assert.ok((await left()) < early, 'the countdown counts');
  await page.waitForFunction(() => document.querySelector('.own-facts'), null, { timeout: 3000 });
  await shot(page, 'answer-light', true);
  assert.deepEqual(await violations(page), []);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.deepEqual(await violations(page, ['color-contrast']), []);
  await shot(page, 'answer-dark', true);
  await page.setViewportSize(phone);
  await page.waitForTimeout(200);
  assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide`);
  const small = await page.$$eval('.question button', (all) => all.map((e) => e.getBoundingClientRect()).filter((box) => box.height < 44 || box.width < 44).length);
  assert.equal(small, 0, 'a button is smaller than a finger');
  await shot(page, 'answer-phone', true);
  await press(page, 'v');
  await page.waitForFunction(() => document.querySelector('.notice')?.textContent.includes('Vetoed'));
  assert.match(await notice(page), new RegExp(`Vetoed: for question ${number} “by hand” is carried out`));
  const logged = await until('the veto in the log', async () => { const reply = await asking.call('GET', '/v1/decision?id=looked%20at'); return reply.status === 200 && reply.body; });
  assert.match(logged.record.reason, /vetoed by ann/);
  silent(seen);
});

await test('an answer is taken back while it may be, and its question comes again', async () => {
  const answer = asking.decide('regretted', TORN, { deadline_ms: 30000 });
  const { page } = await overseer(people, 'ann');
  const number = await waitShown(page);
  await press(page, await keyOf(page, 'letter'));
  await page.waitForSelector('.given');
  assert.match(await page.locator('.given').innerText(), /“letter” for question \d+; counts in/);
  await shot(page, 'answer-undo');
  await press(page, 'u');
  assert.equal(await waitShown(page), number);
  assert.match(await notice(page), /Taken back: “letter”/);
  await press(page, await keyOf(page, 'pallet'));
  const { body } = await answer;
  assert.equal(body.detail.carry_out, 'pallet');
  await page.waitForFunction(() => !document.querySelector('.given'), null, { timeout: 4000 });
  await press(page, 'u');
  await page.waitForTimeout(300);
  assert.equal((await asking.call('GET', '/v1/decision?id=regretted')).body.detail.carry_out, 'pallet', 'too late to undo');
});

await test('time is up, the lease is over, somebody was faster: each is said, and nothing is kept for who is away', async () => {
  void asking.decide('short', TORN, { deadline_ms: 1400 });
  const { page } = await overseer(people, 'ann');
  const number = await waitShown(page);
  await page.waitForFunction(() => document.querySelector('.notice')?.textContent.includes('Time is up'), null, { timeout: 6000 });
  assert.match(await notice(page), new RegExp(`nobody answered question ${number}, so “by hand” is carried out`));
  assert.equal(await page.$eval('.answering', (e) => e.dataset.phase), 'paused');
  await shot(page, 'answer-expired');
  const waiting = asking.decide('kept for nobody', TORN, { deadline_ms: 8000 });
  await page.waitForTimeout(1500);
  assert.equal(await shown(page), 0, 'somebody who did not answer gets no question before they ask for one');
  await press(page, 'Enter');
  const next = await waitShown(page);
  await asking.call('POST', '/v1/queue/veto', { question: next, rater: 'cy' });
  await page.waitForFunction(() => document.querySelector('.notice')?.textContent.includes('had the last word'), null, { timeout: 8000 });
  assert.equal((await waiting).body.detail.carry_out, 'by hand');
  // A page whose clock is wrong answers a question that is over.
  people.state.change = (path, body) => { if (path.endsWith('/lease') && body.question) Object.assign(body.question, { seconds_left: 60, lease_seconds_left: 60 }); return body; };
  try {
    void asking.decide('over', TORN, { deadline_ms: 1500 });
    const late = await waitShown(page);
    await page.waitForTimeout(2000);
    if ((await shown(page)) === late) await press(page, await keyOf(page, 'letter'));
    await page.waitForFunction(() => /Too late|had the last word/.test(document.querySelector('.notice')?.textContent ?? ''), null, { timeout: 6000 });
  } finally {
    people.state.change = null;
  }
});

await test('skipping gives a question to others, and giving back pauses', async () => {
  const both = ['one', 'two'].map((id) => asking.decide(id, TORN, { deadline_ms: 20000 }));
  const { page } = await overseer(people, 'ann');
  const number = await waitShown(page);
  await press(page, 's');
  const other = await waitShown(page, number);
  assert.notEqual(other, number);
  await press(page, 's');
  await page.waitForFunction(() => document.querySelector('.stage .state.empty')?.textContent.includes('skipped'));
  await page.locator('.stage button', { hasText: 'skipped' }).click();
  await waitShown(page);
  await press(page, 'r');
  await page.waitForFunction(() => document.querySelector('.answering').dataset.phase === 'paused');
  const { body } = await asking.call('POST', '/v1/queue/lease', { rater: 'dora' });
  assert.ok(body.question, 'it is free for somebody else');
  for (const question of [number, other]) await asking.call('POST', '/v1/queue/veto', { question, rater: 'dora' });
  await Promise.all(both);
});

await test('what cannot be undone is confirmed, and counts when a second person says the same', async () => {
  const answer = quick.decide('for good', SURE, { deadline_ms: 40000 });
  const [first, second] = [await overseer(two, 'ann'), await overseer(two, 'bob', { context: bob.context })];
  const number = await waitShown(first.page).catch(() => 0) || await waitShown(second.page);
  const [one, other] = (await shown(first.page)) === number ? [first.page, second.page] : [second.page, first.page];
  assert.match(await one.locator('.question').innerText(), /Approve “letter”\?[\s\S]*another person must agree/);
  await press(one, '1');
  assert.equal(await one.evaluate(() => document.activeElement.id), 'confirm');
  await shot(one, 'answer-confirm');
  assert.deepEqual(await violations(one), []);
  await press(one, 'Escape');
  assert.equal(await one.$eval('.answering', (e) => e.dataset.phase), 'asking');
  await press(one, '1');
  await press(one, 'Enter');
  await one.waitForFunction(() => /second person says the same/.test(document.querySelector('.given')?.textContent ?? ''));
  assert.equal(await waitShown(other), number);
  assert.match(await other.locator('.question').innerText(), /One person has answered/);
  await press(other, '1');
  await press(other, 'Enter');
  const { body } = await answer;
  assert.deepEqual([body.detail.carry_out, body.record.cause], ['letter', 'person']);
  const refused = quick.decide('not for good', SURE, { deadline_ms: 40000 });
  const asked = await Promise.race([first, second].map(({ page }) => waitShown(page, number).then(() => page)));
  await press(asked, 'v');
  assert.equal((await refused).body.detail.carry_out, 'by hand');
});

await test('a guard that is away: the overseer is told, and the question that was there is not lost', async () => {
  const { page } = await overseer(people, 'ann');
  await page.waitForSelector('.stage .state.empty');
  people.state.hang = true;
  await page.waitForFunction(() => !document.querySelector('.stale-banner').hidden, null, { timeout: 9000 });
  assert.match(await page.locator('.stale-banner').innerText(), /No answer from the guard since \d\d:\d\d:\d\d/);
  await shot(page, 'answer-down');
  people.state.hang = false;
  await page.waitForFunction(() => document.querySelector('.stale-banner').hidden, null, { timeout: 9000 });
});

/// The same answer with every text replaced by one that would do harm; numbers, and the words that a page branches on, stay.
function spoiled(value, key = '') {
  if (Array.isArray(value)) return value.map((one, at) => (typeof one === 'string' ? `${hostile} ${at}` : spoiled(one)));
  if (value && typeof value === 'object') {
    const named = ['raters', 'decisions', 'refused'].includes(key) && !('number' in value);
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [named && key !== 'decisions' ? `${hostile} ${name}` : name, spoiled(one, name)]));
  }
  return typeof value === 'string' && !['kind', 'cause', 'bytes', 'sync'].includes(key) ? hostile : value;
}

await test('a drift monitor that cries is shown with what it does', async () => {
  const watched = await new Guard(plumbline, example(plumbline, { ...calm, ask_cost: 0.5, drift: ['input'], drift_run_length: 1000, drift_severity: 'fail' }).manifest).start();
  const before = await proxy(assets, watched);
  try {
    const { page, seen } = await visit(before, '#/guard');
    assert.match(await page.locator('.monitors').innerText(), /quiet\s+drift\.input/);
    await watched.call('POST', '/v1/decide', { requests: Array.from({ length: 60 }, (_, i) => ({ id: `far ${i}`, input: FOREIGN })) });
    await page.waitForFunction(() => /alarm\s*drift\.input/.test(document.querySelector('.monitors').innerText), null, { timeout: 6000 });
    assert.match(await page.locator('.conditions').innerText(), /drift\.input cries since .*fallback is carried out/);
    await shot(page, 'guard-alarm');
    assert.deepEqual(await violations(page), []);
    silent(seen);
  } finally {
    await before.close();
    await watched.kill();
  }
});

await test('the real server says it too when its guard is gone, and when it is back', async () => {
  const { page } = await visit(served.live, '#/guard');
  await deciding.kill();
  await page.waitForSelector('.live.stale', { timeout: 6000 });
  await page.waitForFunction(() => /No answer from the guard since/.test(document.querySelector('.stale-banner').innerText));
  const cold = await visit(served.live, '#/guard');
  assert.match(await cold.page.locator('main').innerText(), /guard_unreachable/);
  await deciding.start();
  await page.waitForSelector('.live:not(.stale)', { timeout: 8000 });
});

await test('hostile text in every field is text', async () => {
  const traffic = deciding.traffic(20, 'hostile');
  try {
    live.state.change = (_, body) => spoiled(body);
    const { page, seen } = await visit(live, '#/guard?decision=x');
    await page.waitForFunction(() => document.querySelectorAll('.latest tbody tr').length > 3);
    await page.waitForTimeout(1500);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    assert.ok((await page.locator('.latest').innerText()).includes('<script>'));
    for (const width of [1360, 390]) {
      await page.setViewportSize({ width, height: 844 });
      assert.ok((await tooWide(page)) <= 0, `${await tooWide(page)} pixels too wide at ${width}`);
    }
    seen.errors = seen.errors.filter((words) => !words.includes('404'));  // the decision that the address asks for is not there
    silent(seen);
    people.state.change = (path, body) => (path.endsWith('/lease') ? { ...spoiled(body), rater: hostile } : spoiled(body));
    const answered = asking.decide(hostile.slice(0, 150), TORN, { unit: hostile.slice(0, 150), deadline_ms: 9000 });
    const second = await overseer(people, hostile.slice(0, 90));
    const number = await waitShown(second.page);
    await second.page.waitForTimeout(500);
    assert.equal(await second.page.evaluate(() => window.owned), undefined);
    assert.ok((await second.page.locator('.question').innerText()).includes('<script>'));
    for (const width of [1360, 390]) {
      await second.page.setViewportSize({ width, height: 844 });
      assert.ok((await tooWide(second.page)) <= 0, `${await tooWide(second.page)} pixels too wide at ${width}`);
    }
    await shot(second.page, 'answer-hostile', true);
    silent(second.seen);
    // An action that is none, as the text that stands there now, is refused by the guard and said by the page.
    await press(second.page, '1');
    await second.page.waitForSelector('.notice.bad');
    await asking.call('POST', '/v1/queue/veto', { question: number, rater: 'cy' });
    await answered;
  } finally {
    traffic.stop();
    live.state.change = null;
    people.state.change = null;
  }
});

await test('inputs and examples that are images are drawn as images', async () => {
  const bytes = Buffer.from(Array.from({ length: 64 }, (_, at) => at * 4)).toString('base64');
  const image = { channels: 1, height: 8, width: 8, bytes };
  people.state.change = (path, body) => {
    if (path.endsWith('/lease') && body.question) {
      body.question.input = { image };
      body.question.detail.nearest = [{ data: 'train', row: 3, label: 'seven', distance: 1.25, image }, { data: 'train', row: 4, label: 'one', distance: 1.5, image: { ...image, bytes: 'AAAA' } }, { data: 'train', row: 5, label: 'two', distance: 2 }];
    }
    return body;
  };
  try {
    const answered = asking.decide('image', TORN, { deadline_ms: 9000 });
    const { page, seen } = await overseer(people, 'ann');
    const number = await waitShown(page);
    assert.equal(await page.locator('.question canvas').count(), 2, 'bytes that are no image are no image');
    assert.deepEqual(await page.$eval('.input-card canvas', (canvas) => Array.from(canvas.getContext('2d').getImageData(3, 2, 1, 1).data)), [76, 76, 76, 255]);
    assert.equal(await page.locator('.neighbours .hidden-row').count(), 2);
    await shot(page, 'answer-image');
    silent(seen);
    await asking.call('POST', '/v1/queue/veto', { question: number, rater: 'cy' });
    await answered;
  } finally {
    people.state.change = null;
  }
});

await test('with tokens: the page asks for one, the guard knows who answers, and what a token lacks is said', async () => {
  const made = example(plumbline, { ...calm, deadline_ms: 30000, gold_every: 0, tokens: 'tokens' });
  const tokens = join(made.folder, 'tokens');
  writeFileSync(tokens, 'shop decide,answer,read never shop-0123456789abcdef\nann answer,read never ann-0123456789abcdef\neye read never eye-0123456789abcdef\n', { mode: 0o600 });
  const guarded = await new Guard(plumbline, made.manifest).start();
  guarded.token = 'shop-0123456789abcdef';
  const signed = await dashboard(plumbline, guarded, ['--tokens', tokens]);
  const { page } = await visit(signed, '#/answer');
  const signIn = async (token) => { await page.fill('#token', token); await page.press('#token', 'Enter'); };
  await signIn('eye-0123456789abcdef');
  await page.waitForFunction(() => /scope/.test(document.querySelector('.notice')?.textContent ?? ''), null, { timeout: 8000 });
  assert.equal(await page.locator('#rater').count(), 0, 'the token says who it is');
  await page.locator('#sign-out').click();
  await page.waitForSelector('#token', { timeout: 8000 });
  await signIn('ann-0123456789abcdef');
  await page.evaluate(() => { window.location.hash = '#/answer'; });
  await page.waitForSelector('.answering[data-phase="waiting"]', { timeout: 8000 });
  const answer = guarded.decide('signed', TORN);
  await waitShown(page);
  await press(page, await keyOf(page, 'parcel'));
  const { body } = await answer;
  assert.deepEqual([body.detail.carry_out, body.detail.person.by], ['parcel', 'ann']);
  await page.evaluate(() => { window.location.hash = '#/guard'; });
  await page.waitForSelector('.live', { timeout: 8000 });
  assert.match(await page.locator('.latest').innerText(), /signed[\s\S]*ann/);
  assert.equal(await signed.close(), 0);
  await guarded.kill();
});

await test('both servers end as they should', async () => {
  assert.deepEqual(await Promise.all(Object.values(served).map((one) => one.close())), [0, 0]);
});

await Promise.all([live, people, two].map((one) => one.close()));
await ann.close();
await bob.close();
await cleanUp();
process.exit(end());
