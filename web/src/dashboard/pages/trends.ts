/// One metric over the runs, with the points where it changed.

import { clean, fill, h, path } from '../dom';
import type { Child } from '../dom';
import { interval, span } from '../interval';
import { head, select, sortable, table } from '../list';
import type { Visit } from '../page';
import { definePage } from '../page';
import { empty, region } from '../states';
import { drawTrend, ofSeries, seriesOf } from '../trend';
import type { Change, Series, Trend } from '../trend';
import { badge, bounds, figure, heading, plural, time } from '../words';

interface Metric {
  check: string;
  metric: string;
  subjects: string[];
  points: number;
}

const kMost = 1000;
const kAlone = { subject: '', where: {}, points: 0, repeated: 0, p: null, method: '', noise: '' };
const placeWords = ({ where }: Series): string => Object.entries(where).map(([name, value]) => `${name} ${value}`).join(', ') || 'as a whole';

function sentence({ run: id, started, before_interval: before, after_interval: after, p }: Change): Child {
  const run = (of: string): Child => h('a', { href: path('runs', of) }, h('span', { class: 'mono' }, of.slice(0, 12)));
  return ['From run ', run(id), ' (', time(started), ' UTC) on it ', after.value > before.value ? 'rose' : 'fell', ' from ', h('b', null, figure(before.value)), ' ', bounds(before.low, before.high),
    ' to ', h('b', null, figure(after.value)), ' ', bounds(after.low, after.high), typeof p === 'number' ? `, p = ${figure(p)}` : '', '.'];
}

/// What was found, "no change" and "could not be decided" told apart.
function changesCard(trend: Trend, series: Series, changes: Change[]): HTMLElement {
  const say = (word: string, css: 'none' | 'unsure', shape: string, ...words: Child[]): HTMLElement => h('p', { class: 'change-note' }, badge({ word, css, shape }), ' ', h('span', { class: 'muted' }, ...words));
  const method = [series.method, series.noise, series.repeated > 0 && `${plural(series.repeated, 'run')} left out that ${series.repeated === 1 ? 'has' : 'have'} the same evidence as the run before`].filter(Boolean).join('; ');
  if (trend.changes === null) return say('not computed', 'none', 'none', 'This server does not look for change points.');
  if (changes.length > 0) return h('div', { class: 'card changes' }, h('h2', { class: 'small' }, `${plural(changes.length, 'change')} found`), h('ol', null, changes.map((one) => h('li', null, sentence(one)))), method && h('p', { class: 'muted' }, method));
  if (series.p === null) return say('could not decide', 'unsure', 'unsure', method || 'too few figures');
  return say('no change found', 'none', 'ok', `p = ${figure(series.p)}`, method && `; ${method}`);
}

function draw(trend: Trend, about: string, visit: Visit, again: () => void): Child {
  const all = trend.series ?? seriesOf(trend);
  if (trend.points.length === 0 || all.length === 0) return empty('No run holds this metric.', 'Choose another one above.');
  const wanted = all.findIndex((one) => placeWords(one) === visit.query.get('where'));
  const at = wanted >= 0 ? wanted : all.reduce((best, one, i) => (one.points + one.repeated > all[best].points + all[best].repeated ? i : best), 0);
  const series = { ...kAlone, ...all[at] };
  const { points, changes } = ofSeries(trend, series, at);
  const host = h('div', { class: 'picture' });
  let width = 0;
  const plot = (): void => {
    const room = Math.floor(host.clientWidth);
    if (room < 40 || Math.abs(room - width) < 2) return;
    width = room;
    host.replaceChildren();
    drawTrend(host, room, points.map((one) => ({ ...one, run: clean(one.run), started: clean(one.started) })), changes, about, (run) => visit.go(path('runs', run)));
  };
  new ResizeObserver(plot).observe(host);
  const along = span(points);
  const rows = points.slice().reverse().map((point) => h('tr', null,
    h('td', { class: 'full' }, h('a', { class: 'row mono', href: path('runs', point.run) }, point.run.slice(0, 12))), h('td', null, time(point.started)),
    h('td', { class: 'number', 'data-v': point.value }, h('b', null, figure(point.value)), h('span', { class: 'sub' }, bounds(point.low, point.high))),
    h('td', null, interval(point, {}, false, along)), h('td', { class: 'number', 'data-name': 'n', 'data-v': point.n ?? '' }, figure(point.n))));
  return [all.length > 1 && h('div', { class: 'controls' }, select('Where', all.map((one) => ({ value: placeWords(one), words: `${placeWords(one)} (${plural(one.points, 'figure')})` })), placeWords(series), (value) => {
    visit.setQuery({ where: value }, 'push');
    again();
  })), h('figure', { class: 'wide trend' }, host), changesCard(trend, series, changes),
  h('details', { open: points.length <= 50 && window.innerWidth > 700 }, h('summary', null, `The ${plural(points.length, 'point')} as a table, newest first`),
    sortable(table(about, [head('Run'), head('Started (UTC)'), head('Figure', 'number'), head('Interval'), head('n', 'number')], rows, 'list')))];
}

export default definePage<Metric[]>({
  title: 'Trends',
  load: async ({ api }) => (await api.get<{ metrics: Metric[] }>('/api/metrics')).metrics,
  render: (metrics, visit) => {
    if (metrics.length === 0) return h('div', null, heading('Trends'), empty('There are no figures yet.', 'Every run of ', h('code', null, 'plumbline assess'), ' adds a point to each of its metrics.'));
    const checks = Array.from(new Set(metrics.map((one) => one.check))).sort();
    const controls = h('div', { class: 'controls' });
    const chart = h('div', null);
    const { query } = visit;
    const chosen = (): { check: string; metric: Metric; subject: string } => {
      const most = metrics.reduce((best, one) => (one.points > best.points ? one : best));
      const check = checks.includes(query.get('check') ?? '') ? (query.get('check') as string) : most.check;
      const within = metrics.filter((one) => one.check === check);
      const metric = within.find((one) => one.metric === query.get('metric')) ?? within.reduce((best, one) => (one.points > best.points ? one : best));
      const subject = metric.subjects.includes(query.get('subject') ?? '') ? (query.get('subject') as string) : (metric.subjects[0] ?? '');
      return { check, metric, subject };
    };
    const update = (): void => {
      const { check, metric, subject } = chosen();
      const go = (changes: Record<string, string | null>) => (): void => {
        visit.setQuery(changes, 'push');
        update();
      };
      const active = document.activeElement instanceof HTMLElement ? controls.querySelectorAll('select') : [];
      const focused = Array.from(active).findIndex((box) => box === document.activeElement);
      const options = (all: string[]): { value: string; words: string }[] => all.map((one) => ({ value: one, words: one }));
      fill(controls, select('Check', options(checks), check, (value) => go({ check: value, metric: null, subject: null, where: null })()),
        select('Metric', metrics.filter((one) => one.check === check).map((one) => ({ value: one.metric, words: `${one.metric} (${plural(one.points, 'point')})` })), metric.metric, (value) => go({ check, metric: value, subject: null, where: null })()),
        metric.subjects.length > 1 && select('About', options(metric.subjects), subject, (value) => go({ check, metric: metric.metric, subject: value, where: null })()));
      if (focused >= 0) controls.querySelectorAll('select')[focused]?.focus();
      const about = clean(`${metric.metric} of ${subject || check}`);
      void region(chart, 'Loading the trend', () => visit.api.get<Trend>('/api/trend', { check, metric: metric.metric, subject, limit: kMost }), (trend) => {
        const shown = h('div', null);
        const again = (): void => {
          const focused = shown.contains(document.activeElement);
          fill(shown, draw(trend, about, visit, again));
          if (focused) shown.querySelector('select')?.focus();
        };
        again();
        return shown;
      });
    };
    update();
    return h('div', null, heading('Trends', 'A metric over the runs, and where it changed.'), controls, chart);
  },
});
