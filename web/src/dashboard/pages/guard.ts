/// The live guard: what it decides now, how unsure it is, whom it asks, and what it wrote down. Asked every second; figures
/// that are not of now say so and look it.

import { formatInterval, formatNumber } from '../../artifact';
import { ApiError } from '../api';
import type { Child } from '../dom';
import { fill, h } from '../dom';
import type { Series } from '../live/charts';
import { distribution, histogram, legend, roundUp, strip } from '../live/charts';
import { now, ofDay, span } from '../live/clock';
import type { Decision, Live, Measured, Rate, Rater, Times } from '../live/guard';
import { GuardApi, measures, unreachable } from '../live/guard';
import { measureWords } from '../live/looks';
import { monitorCards } from '../live/monitors';
import { recordPanel } from '../live/record';
import { liveStyle } from '../live/style';
import { table, head } from '../list';
import { definePage } from '../page';
import type { Visit } from '../page';
import { badge, duration, heading, icon, plural } from '../words';
import type { Look } from '../words';

const kKept = 200;
const shownFirst = (): number => (window.innerWidth < 704 ? 12 : 40);  // rows, until somebody asks for all
const kPeriod = 1;   // seconds between questions to the guard
const kFresh = 3.5;  // seconds after which an answer is old

const kinds: readonly { key: string; name: string; css: string }[] = [
  { key: 'act', name: 'act', css: 's0' }, { key: 'modify', name: 'modify (a set)', css: 's2' }, { key: 'ask', name: 'ask (answered)', css: 's3' },
  { key: 'fall_back', name: 'fall back', css: 's1' }, { key: 'refuse', name: 'decided to refuse', css: 's7' },
];
const kFailed = { name: 'could not decide', css: 's5' };

export const kindLook = (decision: { kind: string; cause: string }): Look => {
  if (decision.cause === 'error') return { word: 'could not decide', css: 'bad', shape: 'error' };
  switch (decision.kind) {
    case 'act': return { word: 'act', css: 'good', shape: 'ok' };
    case 'modify': return { word: 'modify', css: 'good', shape: 'ok' };
    case 'ask': return { word: 'asked', css: 'good', shape: 'good' };
    case 'fall_back': return { word: 'fall back', css: 'unsure', shape: 'skipped' };
    case 'refuse': return { word: 'refuse', css: 'none', shape: 'not-applicable' };
    default: return { word: decision.kind || 'unknown', css: 'none', shape: 'none' };
  }
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const perSecond = (count: number, seconds: number): string => (seconds > 0 ? `${formatNumber(Number((count / seconds).toPrecision(3)))}/s` : '–');
/// What could not be decided is no decision.
const decidedIn = (rate: Rate): number => sum(Object.values(rate.decisions).flatMap((causes) => Object.values(causes))) - rate.could_not_decide;

/// What a page that polls must remember: the last answer and when it came, and why none came since.
class Watch {
  live: Live;
  decisions: Decision[];
  answered = now();
  answeredAt = Date.now();
  trouble: unknown = null;

  constructor(first: Live) {
    this.live = first;
    this.decisions = first.decisions.slice(0, kKept);
  }

  /// Decisions with numbers that are new; all of them when the guard began anew.
  take(next: Live): void {
    const restarted = next.started !== this.live.started;
    const known = restarted ? 0 : (this.decisions[0]?.number ?? 0);
    const fresh = next.decisions.filter((one) => one.number > known);
    this.decisions = (restarted ? fresh : [...fresh, ...this.decisions]).slice(0, kKept);
    this.live = next;
    this.answered = now();
    this.answeredAt = Date.now();
    this.trouble = null;
  }

  get newest(): number {
    return this.decisions[0]?.number ?? 0;
  }

  get age(): number {
    return now() - this.answered;
  }

  get stale(): boolean {
    return this.trouble !== null || this.age > kFresh;
  }
}

const statusLine = (live: Live): string => `guards ${live.model || 'a model'} · up ${span(live.running_seconds)}`;

/// A table that scrolls by itself where the card is too narrow for it; the key finds it again when the card is drawn anew.
function scroller(labelledBy: string, content: HTMLElement): HTMLElement {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-labelledby': labelledBy, 'data-focus': `scroll ${labelledBy}` }, content);
}

/// Draws `host` anew once a second without taking the focus from what stands in it; a text that is being marked stays.
function redraw(host: HTMLElement, ...children: Child[]): void {
  const marked = window.getSelection();
  if (marked && !marked.isCollapsed && marked.anchorNode && host.contains(marked.anchorNode)) return;
  const focused = document.activeElement instanceof HTMLElement && host.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  fill(host, ...children);
  if (focused !== undefined) Array.from(host.querySelectorAll<HTMLElement>('[data-focus]')).find((one) => one.dataset.focus === focused)?.focus({ preventScroll: true });
}

function conditions(live: Live): HTMLElement | false {
  const notes: Child[] = [];
  const note = (css: string, shape: string, ...words: Child[]): void => { notes.push(h('li', null, icon(shape, css), h('span', null, ...words))); };
  if (live.log.stopped) note('bad', 'error', h('b', null, 'The log has stopped.'), ' Nothing can be decided; every request is refused.');
  if (live.log.away) note('bad', 'error', h('b', null, 'The database of the log does not answer.'), ' What waits for it falls back.');
  for (const one of live.monitors) if (one.alarm_since !== null) note('bad', 'bad', h('b', null, `${one.name} cries`), ` since ${ofDay(one.alarm_since * 1000)}.`, one.severity === 'fail' && ' The fallback is carried out until it is acknowledged.');
  if (live.draining) note('unsure', 'skipped', h('b', null, 'Going down.'), ' New requests are refused, open ones end as usual.');
  if (live.shadow) note('unsure', 'not-applicable', h('b', null, 'Shadow mode.'), ' It decides and logs, and the fallback is carried out.');
  if (live.accepted.length > 0) note('unsure', 'unsure', h('b', null, 'Accepted although not supported: '), live.accepted.join(', '), '.');
  return notes.length > 0 && h('ul', { class: 'conditions' }, notes);
}

function rateCards(live: Live): HTMLElement {
  const names: Record<number, string> = { 10: '10 s', 60: '1 min', 600: '10 min' };
  const cell = (rate: Rate, count: number): HTMLElement => h('td', { class: 'number' }, perSecond(count, rate.seconds));
  const whole = (count: number, css = ''): HTMLElement => h('td', { class: `number ${count > 0 ? css : ''}`.trim() }, formatNumber(count));
  const row = (words: string, make: (rate: Rate) => HTMLElement): HTMLElement => h('tr', null, h('th', { scope: 'row' }, words), live.rates.map(make));
  return h('section', { class: 'card', 'aria-labelledby': 'rates' }, h('h2', { id: 'rates', class: 'small' }, 'Rates over the last …'),
    h('p', { class: 'fact-big' }, perSecond(decidedIn(live.rates[0] ?? emptyRate), live.rates[0]?.seconds ?? 0), h('span', { class: 'fact-unit' }, ' decisions')),
    scroller('rates', h('table', { class: 'small-table', 'aria-labelledby': 'rates' },
      h('thead', null, h('tr', null, h('td', null), live.rates.map((rate) => h('th', { scope: 'col', class: 'number' }, names[rate.window_seconds] ?? span(rate.window_seconds))))),
      h('tbody', null, row('requests', (rate) => cell(rate, rate.arrived)), row('decided', (rate) => cell(rate, decidedIn(rate))),
        row('decided to refuse', (rate) => whole(rate.decided_to_refuse)), row('could not decide', (rate) => whole(rate.could_not_decide, 'wrong')),
        row('not taken in', (rate) => whole(rate.refused)), row('void (too late)', (rate) => whole(rate.void, 'wrong'))))));
}

const emptyRate: Rate = { window_seconds: 10, seconds: 0, arrived: 0, refused: 0, void: 0, decisions: {}, decided_to_refuse: 0, could_not_decide: 0 };

function stripCard(live: Live): HTMLElement {
  const series: Series[] = kinds.map((kind) => ({ name: kind.name, css: kind.css, values: live.strip.kinds[kind.key] ?? [] }));
  series.push({ ...kFailed, values: live.strip.could_not_decide });
  const totals = series.map((one) => sum(one.values));
  const words = `Decisions of the last ten minutes: ${series.map((one, at) => `${one.name} ${totals[at]}`).join(', ')}`;
  return h('section', { class: 'card wide', 'aria-labelledby': 'strip' }, h('h2', { id: 'strip', class: 'small' }, 'Decisions by kind, last ten minutes'),
    strip(series, live.strip.step_seconds, words), legend(series, totals.map((total) => formatNumber(total))));
}

function doubtCard(name: Measured, live: Live, decisions: readonly Decision[]): HTMLElement {
  const values = decisions.map((one) => one.uncertainty?.[name]).filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  const unit = live.units[name];
  const words = measureWords[name];
  const high = unit?.unit === 'p-value' ? 1 : roundUp(Math.max(1e-9, ...values));
  const spread = distribution(values, high, 24);
  return h('section', { class: 'card doubt-card', 'aria-label': `${words.name} uncertainty` }, h('h3', { class: 'small' }, words.name, h('span', { class: 'muted' }, ` ${name}`)),
    values.length > 0
      ? [histogram(spread, `${name}: median ${formatNumber(spread.median)} ${unit?.unit ?? ''} of ${spread.n}`, name === 'aleatoric' ? 's0' : name === 'model' ? 's3' : 's1'),
        h('p', { class: 'doubt-line' }, 'median ', h('b', null, formatNumber(Number(spread.median.toPrecision(3)))), ' ', h('span', { class: 'unit' }, unit?.unit ?? ''), h('span', { class: 'muted' }, ` of ${spread.n}`))]
      : h('p', { class: 'muted' }, 'not measured lately'),
    unit && h('p', { class: 'muted estimator' }, unit.estimator));
}

function readingsCard(decisions: readonly Decision[]): HTMLElement {
  const several = decisions.filter((one) => one.readings > 1);
  const apart = several.filter((one) => one.readings_disagree).length;
  return h('section', { class: 'card doubt-card', 'aria-label': 'Disagreeing readings' }, h('h3', { class: 'small' }, 'Meaning', h('span', { class: 'muted' }, ' specification')),
    several.length > 0
      ? [h('p', { class: 'fact-big' }, `${formatNumber(Number(((100 * apart) / several.length).toPrecision(2)))} %`),
        h('p', { class: 'doubt-line' }, `${apart} of ${several.length}`, h('span', { class: 'muted' }, ' decisions where readings of what is wanted recommend different actions'))]
      : h('p', { class: 'muted' }, 'there are no two readings of what is wanted'));
}

function timesRow(words: string, times: Times): HTMLElement {
  const cell = (value: number | undefined): HTMLElement => h('td', { class: 'number' }, value === undefined ? '–' : duration(value) === '0 ms' ? '< 1 ms' : duration(value));
  return h('tr', null, h('th', { scope: 'row' }, words), cell(times.p50), cell(times.p90), cell(times.p99), cell(times.largest), h('td', { class: 'number' }, formatNumber(times.count)));
}

const syncWords: Record<string, string> = {
  each: 'Every record is on the disk before its answer goes out, one sync each.',
  group: 'Every record is on the disk before its answer goes out, one sync for all that came meanwhile.',
  none: 'Records survive a kill of the guard, but not a loss of power.',
};

function timesCard(live: Live): HTMLElement {
  return h('section', { class: 'card', 'aria-labelledby': 'times' }, h('h2', { id: 'times', class: 'small' }, 'Times and log, last minute'),
    scroller('times', h('table', { class: 'small-table', 'aria-labelledby': 'times' },
      h('thead', null, h('tr', null, h('td', null), ['median', '90 %', '99 %', 'largest', 'n'].map((words) => h('th', { scope: 'col', class: 'number' }, words)))),
      h('tbody', null, timesRow('answer', live.latency.answer), timesRow('decider', live.latency.decider), timesRow('log sync', live.log.sync_seconds)))),
    h('p', { class: 'sub-line' }, live.log.stopped ? h('b', { class: 'wrong' }, 'The log has stopped.') : [h('span', { class: 'tag' }, `sync ${live.log.sync}`), ' ', syncWords[live.log.sync] ?? '']),
    h('p', { class: 'sub-line' }, `${formatNumber(live.log.frames)} records, ${live.log.not_durable === 0 ? 'all durable' : `${formatNumber(live.log.not_durable)} not durable yet`}; `
      + `${formatNumber(live.requests.open)} of at most ${formatNumber(live.requests.limit)} requests open.`));
}

function raterRow(name: string, rater: Rater): HTMLElement {
  const gold = rater.gold_rate ? formatInterval(rater.gold_rate.value, rater.gold_rate.low ?? NaN, rater.gold_rate.high ?? NaN) : '–';
  return h('tr', null, h('th', { scope: 'row', class: 'name' }, name), h('td', { class: 'number' }, formatNumber(rater.answers)),
    h('td', { class: 'number' }, rater.seconds_per_answer === undefined ? '–' : duration(rater.seconds_per_answer)), h('td', { class: 'number' }, gold),
    h('td', { class: 'number' }, rater.pairs === 0 ? '–' : `${rater.pairs_agreed} of ${rater.pairs}`));
}

function queueCard(live: Live): HTMLElement {
  const { queue } = live;
  const raters = Object.entries(live.raters).sort((a, b) => b[1].answers - a[1].answers);
  return h('section', { class: 'card', 'aria-labelledby': 'queue' }, h('h2', { id: 'queue', class: 'small' }, 'Questions to people'),
    h('p', { class: 'fact-big' }, formatNumber(queue.open), h('span', { class: 'fact-unit' }, ` open of at most ${formatNumber(queue.limit)}`)),
    h('p', { class: 'sub-line' }, queue.open === 0 ? 'Nobody is asked anything now.'
      : [`${formatNumber(queue.leased)} with somebody, ${formatNumber(queue.answered)} answered and not counting yet`,
        queue.soonest_deadline_seconds !== null && `; the next falls back in ${span(queue.soonest_deadline_seconds)}`, '. ', h('a', { href: '#/answer', 'data-focus': 'answer' }, 'Answer')]),
    raters.length > 0 && scroller('queue', h('table', { class: 'small-table', 'aria-label': 'People who answer' },
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'who'), ['answers', 'each takes', 'right on known', 'agreed'].map((words) => h('th', { scope: 'col', class: 'number' }, words)))),
      h('tbody', null, raters.slice(0, 12).map(([name, rater]) => raterRow(name, rater))))),
    raters.length > 12 && h('p', { class: 'sub-line' }, `and ${plural(raters.length - 12, 'more', 'more')}`));
}

function causesCard(live: Live): HTMLElement {
  const causes = ['policy', 'person', 'safeguard', 'timeout', 'error'];
  const names: Record<string, string> = { policy: 'policy', person: 'a person', safeguard: 'safeguard', timeout: 'out of time', error: 'error' };
  const { decisions } = live.whole_log;
  const shown = kinds.filter((kind) => decisions[kind.key]);
  return h('section', { class: 'card', 'aria-labelledby': 'counts' }, h('h2', { id: 'counts', class: 'small' }, 'Since the log began'),
    h('p', { class: 'doubt-line' }, h('b', null, formatNumber(live.whole_log.decided_to_refuse)), ' decided to refuse · ',
      h('b', { class: live.whole_log.could_not_decide > 0 ? 'wrong' : null }, formatNumber(live.whole_log.could_not_decide)), ' could not decide · ', h('b', null, formatNumber(live.whole_log.void)), ' void'),
    shown.length === 0 ? h('p', { class: 'muted' }, 'No decision yet.') : scroller('counts', h('table', { class: 'small-table', 'aria-labelledby': 'counts' },
      h('thead', null, h('tr', null, h('td', null), causes.map((cause) => h('th', { scope: 'col', class: 'number' }, names[cause])))),
      h('tbody', null, shown.map((kind) => h('tr', null, h('th', { scope: 'row' }, kind.key.replace('_', ' ')),
        causes.map((cause) => h('td', { class: 'number' }, formatNumber(decisions[kind.key]?.[cause] ?? 0)))))))),
    h('p', { class: 'sub-line' }, `${formatNumber(live.whole_log.arrived)} requests, ${formatNumber(live.whole_log.feedback)} rewards. Since the start: `
      + `${formatNumber(live.since_start.late)} late, ${formatNumber(live.since_start.repeated)} answered from the log, ${formatNumber(live.since_start.wasted)} proposals too late.`),
    Object.keys(live.since_start.refused).length > 0 && h('p', { class: 'sub-line' }, 'Not taken in: ', Object.entries(live.since_start.refused).map(([code, count]) => [h('span', { class: 'tag' }, `${code} ${formatNumber(count)}`), ' '])));
}

function decisionRow(one: Decision, open: (id: string) => void): HTMLElement {
  const number = (value: number | null | undefined): string => (typeof value === 'number' ? formatNumber(Number(value.toPrecision(3))) : '–');
  return h('tr', { 'data-number': String(one.number), class: one.void ? 'void' : null },
    h('td', { class: 'nowrap number', 'data-name': 'at' }, ofDay(one.time * 1000)),
    h('td', { class: 'full what' }, h('button', { type: 'button', class: 'row', on: { click: () => open(one.id) } }, one.id), h('span', { class: 'sub' }, one.reason)),
    h('td', null, badge(kindLook(one)), one.void && h('span', { class: 'tag' }, 'void')),
    h('td', { 'data-name': 'carried out' }, one.carried_out ?? h('span', { class: 'muted' }, 'nothing')),
    h('td', { 'data-name': 'by' }, one.by ?? h('span', { class: 'muted' }, one.cause)),
    h('td', { class: 'number', 'data-name': 'propensity' }, number(one.propensity)),
    measures.map((name) => h('td', { class: 'number', 'data-name': measureWords[name].name.toLowerCase() }, number(one.uncertainty?.[name]))),
    h('td', { 'data-name': 'readings' }, one.readings_disagree ? h('span', { class: 'apart' }, icon('unsure', 'unsure'), 'disagree') : h('span', { class: 'muted' }, one.readings > 1 ? 'agree' : '–')));
}

/// The latest decisions. Rows are moved and not built again, and stand still while somebody points or steps through them.
class DecisionList {
  readonly element: HTMLElement;
  private readonly body: HTMLElement;
  private readonly news = h('p', { class: 'sub-line list-news', role: 'status' });
  private readonly rows = new Map<number, HTMLElement>();
  private held = false;
  private latest: readonly Decision[] = [];
  private drawn = 0;
  private origin = 0;
  private shown = shownFirst();
  private readonly more = h('button', { type: 'button', class: 'quiet', hidden: true, on: { click: () => {
    this.shown = kKept;
    this.draw();
  } } }, `Show the last ${kKept}`);

  constructor(private readonly open: (id: string) => void) {
    const heads = ['time', 'request and reason', 'kind', 'carried out', 'by', 'propensity', ...measures.map((name) => measureWords[name].name.toLowerCase()), 'readings'];
    const list = table('Latest decisions', heads.map((words) => head(words, /propensity|noise|thin data|novelty/.test(words) ? 'number' : '')), [], 'list');
    this.body = list.querySelector('tbody') as HTMLElement;
    this.element = h('section', { class: 'latest', 'aria-labelledby': 'latest' }, h('div', { class: 'section-head' }, h('h2', { id: 'latest' }, 'Latest decisions'), this.news), list, this.more);
    const hold = (held: boolean) => (): void => {
      this.held = held;
      if (!held) this.draw();
    };
    list.addEventListener('pointerenter', hold(true));
    list.addEventListener('pointerleave', () => { if (!list.contains(document.activeElement)) hold(false)(); });
    list.addEventListener('focusin', hold(true));
    list.addEventListener('focusout', (event) => { if (!list.contains(event.relatedTarget as Node | null) && !list.matches(':hover')) hold(false)(); });
  }

  show(decisions: readonly Decision[], origin: number): void {
    this.latest = decisions;
    if (origin !== this.origin) this.clear();
    this.origin = origin;
    if (!this.held || this.rows.size === 0) this.draw();
    const waiting = decisions.length > 0 ? decisions[0].number - this.drawn : 0;
    this.news.textContent = this.held && waiting > 0 ? `${formatNumber(waiting)} newer; the list stands still while you are in it` : decisions.length === 0 ? 'none since the guard started' : '';
  }

  private clear(): void {
    this.rows.clear();
    this.drawn = 0;
    this.body.replaceChildren();
  }

  private draw(): void {
    const latest = this.latest.slice(0, this.shown);
    this.more.hidden = latest.length === this.latest.length;
    const wanted = new Set(latest.map((one) => one.number));
    for (const [number, row] of this.rows) {
      if (wanted.has(number)) continue;
      row.remove();
      this.rows.delete(number);
    }
    for (const one of [...latest].reverse()) {
      if (this.rows.has(one.number)) continue;
      const row = decisionRow(one, this.open);
      this.rows.set(one.number, row);
      this.body.prepend(row);
    }
    this.drawn = this.latest[0]?.number ?? 0;
  }
}

function troubleWords(watch: Watch): Child {
  const { trouble } = watch;
  const since = `since ${ofDay(watch.answeredAt)}`;
  if (trouble instanceof ApiError && !unreachable(trouble)) return [h('b', null, `The guard refuses to say ${since}: ${trouble.message}.`), ' What is shown is from then.'];
  return [h('b', null, `No answer from the guard ${since}`), `, ${span(watch.age)} ago. What is shown is from then, and not of now.`];
}

function render(first: Live, visit: Visit): HTMLElement {
  const watch = new Watch(first);
  const guard = new GuardApi(visit.api, visit.signal);
  const status = h('span', null);
  const banner = h('div', { class: 'stale-banner', hidden: true });  // said once, by announce()
  const tops = h('div', { class: 'live-tops' });
  const figures = h('div', { class: 'live-figures' });
  const record = h('div', { class: 'record-host' });
  const latest = new DecisionList((id) => {
    visit.setQuery({ decision: id }, 'push');
    void recordPanel(record, guard, id, () => visit.setQuery({ decision: null }));
  });
  const pulse = h('span', { class: 'pulse' });
  const root = h('div', { class: 'live' }, heading('Live guard', [status, ' ', pulse]), banner, tops, record, figures, latest.element);
  let told = false;

  const mark = (): void => {
    root.classList.toggle('stale', watch.stale);
    banner.hidden = !watch.stale;
    pulse.textContent = watch.stale ? '' : '· live';
    if (watch.stale) fill(banner, icon('error', 'bad'), h('p', null, troubleWords(watch)));
    if (watch.stale !== told) visit.announce(watch.stale ? 'The guard does not answer; figures are old.' : 'The guard answers again.');
    told = watch.stale;
  };
  const draw = (): void => {
    const { live } = watch;
    fill(status, statusLine(live));
    fill(tops, conditions(live));
    redraw(figures, rateCards(live), stripCard(live), h('section', { class: 'doubt-cards', 'aria-label': 'Uncertainty of the latest decisions' }, measures.map((name) => doubtCard(name, live, watch.decisions)), readingsCard(watch.decisions)),
      queueCard(live), timesCard(live), causesCard(live), monitorCards(live.monitors));
    latest.show(watch.decisions, live.started);
    mark();
  };
  const poll = async (): Promise<void> => {
    try {
      watch.take(await guard.live(watch.newest));
      if (visit.signal.aborted) return;
      draw();
    } catch (error) {
      if (visit.signal.aborted) return;
      watch.trouble = error;
      mark();
    }
  };

  draw();
  visit.every(kPeriod, poll);
  visit.every(kPeriod, () => { if (watch.stale || told) mark(); });
  const shown = (): void => {
    if (document.hidden) return;
    // What was read before the tab was hidden is old until the guard says otherwise.
    mark();
    void poll();
  };
  document.addEventListener('visibilitychange', shown, { signal: visit.signal });
  const asked = visit.query.get('decision');
  if (asked) void recordPanel(record, guard, asked, () => visit.setQuery({ decision: null }));
  return root;
}

export default definePage<Live>({
  title: 'Live guard',
  load: async (visit) => (await Promise.all([new GuardApi(visit.api, visit.signal).live(0), liveStyle()]))[0],
  render,
});

