import { scaleBand, scaleLinear } from 'd3-scale';
import { Artifact, distinct, formatInterval, formatNumber } from '../artifact';
import { Chart, legend } from '../chart';
import type { Mark } from '../chart';
import { clip } from './grid';
import { note } from './lines';

/// One lying bar for each name, with its interval.
export function bars(host: HTMLElement, artifact: Artifact, width: number): void {
  const most = 60;
  const label = artifact.texts('label');
  const value = artifact.numbers('value');
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const names = artifact.texts('series');
  const series = artifact.series();
  const labels = distinct(label).slice(0, most);
  const order = new Map(series.map((one, index) => [one.name, index]));
  const left = Math.min(width * 0.42, Math.max(80, Math.max(...labels.map((name) => name.length), 1) * 6.4 + 16));
  const rowHeight = 14 + 12 * Math.max(1, series.length);
  const chart = new Chart(host, width, labels.length * rowHeight + 70, { left, top: 20 }, artifact.title);
  const reference = artifact.factNumber('reference');
  const ends = [0, ...value, ...low, ...high, reference].filter((number) => Number.isFinite(number));
  const x = scaleLinear().domain([Math.min(...ends), Math.max(...ends)]).range([0, chart.width]).nice();
  const y = scaleBand<string>().domain(labels).range([0, chart.height]).paddingInner(0.3).paddingOuter(0.15);
  const inner = scaleBand<number>().domain(series.map((_, index) => index)).range([0, y.bandwidth()]).paddingInner(0.12);
  chart.axisX(x, artifact.fact('value_label', artifact.unit('value') || 'value'), formatNumber);
  const ticks = chart.group('axis plain');
  for (const name of labels) {
    ticks.append('text').attr('class', 'tick-label').attr('x', -8).attr('y', (y(name) ?? 0) + y.bandwidth() / 2).attr('dy', '0.35em').attr('text-anchor', 'end').text(clip(name, Math.floor((left - 14) / 6.2)));
  }
  const marks: Mark[] = [];
  label.forEach((name, i) => {
    const top = y(name);
    const index = order.get(names[i]);
    if (top === undefined || index === undefined || !Number.isFinite(value[i])) return;
    const group = chart.group(`s${index}`);
    const at = top + (inner(index) ?? 0);
    const middle = at + inner.bandwidth() / 2;
    group.append('rect').attr('class', 'area').attr('x', Math.min(x(0), x(value[i]))).attr('y', at).attr('width', Math.abs(x(value[i]) - x(0))).attr('height', inner.bandwidth()).attr('rx', 2);
    if (Number.isFinite(low[i]) && Number.isFinite(high[i])) {
      group.append('path').attr('class', 'whisker').attr('d', `M${x(low[i])},${middle}H${x(high[i])}M${x(low[i])},${middle - 4}v8M${x(high[i])},${middle - 4}v8`);
    }
    marks.push({ x: x(value[i]), y: middle, lines: [name + (names[i] ? `, ${names[i]}` : ''), formatInterval(value[i], low[i], high[i])] });
  });
  chart.group('axis plain').append('path').attr('class', 'domain').attr('d', `M${x(0)},0V${chart.height}`);
  if (Number.isFinite(reference)) chart.rule({ x: x(reference) }, artifact.fact('reference_label', formatNumber(reference)));
  chart.visit(marks);
  legend(host, series.map((one) => one.name), 'area');
  const all = distinct(label).length;
  if (all > most) note(host, `The first ${most} of ${all}; the table has the others.`);
}

/// Bins of one or several distributions; bars for one, outlines for several.
export function histogram(host: HTMLElement, artifact: Artifact, width: number): void {
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const heightName = artifact.has('count') ? 'count' : 'density';
  const count = artifact.numbers(heightName);
  const series = artifact.series();
  const marker = artifact.factNumber('marker');
  const chart = new Chart(host, width, Math.min(300, Math.max(210, width * 0.5)), { top: 20 }, artifact.title);
  const edges = [...low, ...high, marker].filter((value) => Number.isFinite(value));
  const x = scaleLinear().domain([Math.min(...edges), Math.max(...edges)]).range([0, chart.width]);
  const y = scaleLinear().domain([0, Math.max(...count.filter((value) => Number.isFinite(value)), 1e-12)]).range([chart.height, 0]).nice();
  chart.axisX(x, artifact.fact('x_label', 'value'), formatNumber);
  chart.axisY(y, artifact.fact('y_label', heightName === 'count' ? 'rows' : 'density'), formatNumber);
  const marks: Mark[] = [];
  series.forEach(({ name, rows }, index) => {
    const group = chart.group(`s${index}`);
    for (const i of rows) {
      const wide = x(high[i]) - x(low[i]);
      group.append('rect').attr('class', series.length > 1 ? 'area sheer' : 'area').attr('x', x(low[i])).attr('width', Math.max(0.5, wide - (wide > 4 ? 1 : 0))).attr('y', y(count[i])).attr('height', chart.height - y(count[i]));
      marks.push({ x: x((low[i] + high[i]) / 2), y: y(count[i]), lines: [...(name ? [name] : []), `${formatNumber(low[i])} to ${formatNumber(high[i])}`, `${heightName} ${formatNumber(count[i])}`] });
    }
    if (series.length > 1) {
      const path = rows.map((i, order) => `${order === 0 ? `M${x(low[i])},${chart.height}` : ''}V${y(count[i])}H${x(high[i])}`).join('');
      group.append('path').attr('class', 'line').attr('d', `${path}V${chart.height}`);
    }
  });
  if (Number.isFinite(marker)) chart.rule({ x: x(marker) }, artifact.fact('marker_label', formatNumber(marker)));
  chart.visit(marks);
  legend(host, series.map((one) => one.name), 'line');
}
