/// A metric over the runs: points with their intervals, the levels between change points, and the points where it changed.

import { scaleLinear } from 'd3-scale';
import { area, line } from 'd3-shape';
import { formatInterval, formatNumber } from '../artifact';
import { Chart } from '../chart';
import type { Mark } from '../chart';

interface Point {
  run: string;
  started: string;
  value: number;
  low: number | null;
  high: number | null;
  n: number | null;
}

interface Level {
  value: number;
  low: number | null;
  high: number | null;
}

/// A change at position `at` of the points, the first of the new level; it lies between `low` and `high` at confidence `level`.
export interface Change {
  at: number;
  run: string;
  started: string;
  low: number;
  high: number;
  level: number;
  before_interval: Level;
  after_interval: Level;
  p: number | null;
}

/// The figures of one subject in one place.
export interface Series {
  subject: string;
  where: Record<string, string>;
  points: number;
}

/// What GET /api/trend says of one series: its points, oldest first, and where their level changed; `changes` is null, with the
/// reason, where that could not be decided. `series` are all that the question fits.
export interface Trend {
  subject: string | null;
  where: Record<string, string> | null;
  unit: string;
  points: Point[];
  series: Series[];
  changes: Change[] | null;
  why_not?: string;
  method: string | null;
  p?: number;
  noise?: string;
  repeated?: number;
}

const key = (one: { subject: string | null; where: Record<string, string> | null }): string => JSON.stringify([one.subject, Object.entries(one.where ?? {}).sort()]);
export const sameSeries = (a: Parameters<typeof key>[0], b: Parameters<typeof key>[0]): boolean => key(a) === key(b);

/// The `where` that fits this series and no other: its own keys, and those that only others have as empty.
export function exactly(one: Series, all: Series[]): string {
  const where: Record<string, string> = {};
  for (const other of all) for (const name of Object.keys(other.where)) where[name] = '';
  return JSON.stringify({ ...where, ...one.where });
}

const day = (point: Point): string => point.started.slice(0, 10);
const end = (value: number | null): number => (typeof value === 'number' ? value : NaN);

/// Runs stand side by side whatever the time between them; the axis names their days.
export function drawTrend(host: HTMLElement, width: number, points: Point[], changes: Change[], label: string, open: (run: string) => void): void {
  const chart = new Chart(host, width, Math.min(380, Math.max(240, width * 0.4)), { top: 26, right: 22, left: 60 }, `${label} over ${points.length} runs, ${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`);
  const x = scaleLinear().domain([-0.5, points.length - 0.5]).range([0, chart.width]);
  const values = points.flatMap((one) => [one.value, end(one.low), end(one.high)]).filter((value) => Number.isFinite(value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const y = scaleLinear().domain(low < high ? [low, high] : [low - 0.5, high + 0.5]).range([chart.height, 0]).nice();
  chart.axisY(y, label, formatNumber);
  const axis = chart.group('axis').attr('transform', `translate(0,${chart.height})`);
  axis.append('path').attr('class', 'domain').attr('d', `M0,0H${chart.width}`);
  const every = Math.max(1, Math.ceil(points.length / Math.max(1, Math.floor(chart.width / 96))));
  let named = '';
  points.forEach((point, i) => {
    if (i % every !== 0) return;
    const tick = axis.append('g').attr('class', 'tick').attr('transform', `translate(${x(i)},0)`);
    tick.append('line').attr('y2', 5);
    tick.append('text').attr('y', 19).attr('text-anchor', 'middle').text(day(point) === named ? point.started.slice(11, 16) : day(point));
    named = day(point);
  });
  axis.append('text').attr('class', 'axis-label').attr('x', chart.width / 2).attr('y', 38).attr('text-anchor', 'middle').text('run, oldest first');

  const group = chart.group('s0');
  const indices = points.map((_, i) => i);
  if (points.length > 60) {
    group.append('path').attr('class', 'band').attr('d', area<number>().defined((i) => Number.isFinite(end(points[i].low)) && Number.isFinite(end(points[i].high)))
      .x((i) => x(i)).y0((i) => y(end(points[i].low))).y1((i) => y(end(points[i].high)))(indices));
  }
  group.append('path').attr('class', 'line thin').attr('d', line<number>().x((i) => x(i)).y((i) => y(points[i].value))(indices));
  for (const one of changes) {
    if (one.low >= 0 && one.high >= 0 && one.low !== one.high) {
      const [from, to] = [Math.min(one.low, one.high), Math.max(one.low, one.high)];
      chart.group('s1').append('rect').attr('class', 'band').attr('x', x(from - 0.5)).attr('width', x(to - 0.5) - x(from - 0.5)).attr('y', 0).attr('height', chart.height);
    }
  }
  const levels = chart.group('s1 levels');
  const edges = [0, ...changes.map((one) => one.at), points.length];
  changes.forEach((one, k) => {
    const level = (value: number | null, from: number, to: number): void => {
      if (Number.isFinite(end(value))) levels.append('path').attr('class', 'line').attr('d', `M${x(from - 0.5)},${y(end(value))}H${x(to - 0.5)}`);
    };
    if (k === 0) level(one.before_interval.value, edges[0], one.at);
    level(one.after_interval.value, one.at, edges[k + 2]);
    chart.rule({ x: x(one.at - 0.5) }, changes.length > 1 ? `change ${k + 1}` : 'change');
  });
  points.forEach((point, i) => {
    if (points.length <= 60 && Number.isFinite(end(point.low)) && Number.isFinite(end(point.high))) {
      group.append('path').attr('class', 'whisker soft').attr('d', `M${x(i)},${y(end(point.low))}V${y(end(point.high))}`);
    }
    if (points.length <= 200) group.append('circle').attr('class', 'dot').attr('cx', x(i)).attr('cy', y(point.value)).attr('r', points.length > 80 ? 2.5 : 4);
  });
  chart.visit(points.map((point, i): Mark => ({ x: x(i), y: y(point.value), open: () => open(point.run),
    lines: [`${point.started.slice(0, 16).replace('T', ' ')}`, formatInterval(point.value, end(point.low), end(point.high)), ...(point.n ? [`n ${formatNumber(point.n)}`] : []), `run ${point.run}`, 'Enter opens it'] })));
}
