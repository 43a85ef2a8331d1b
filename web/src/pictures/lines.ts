import { extent, max } from 'd3-array';
import { scaleLinear, scaleLog } from 'd3-scale';
import { area, curveStepAfter, line } from 'd3-shape';
import { Artifact, formatInterval, formatNumber } from '../artifact';
import { Chart, legend, shapePath } from '../chart';
import type { Mark } from '../chart';

/// Confidence against accuracy with the band of a calibrated model, and under it how many rows each bin holds.
export function reliability(host: HTMLElement, artifact: Artifact, width: number): void {
  const confidence = artifact.numbers('confidence');
  const accuracy = artifact.numbers('accuracy');
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const count = artifact.numbers('count');
  const series = artifact.series();
  const size = Math.min(width, 460);
  const strip = 54;
  const chart = new Chart(host, size, size + strip, { bottom: 46 + strip + 10 }, artifact.title);
  const x = scaleLinear().domain([0, 1]).range([0, chart.width]);
  const y = scaleLinear().domain([0, 1]).range([chart.height, 0]);
  chart.axisY(y, artifact.fact('y_label', 'accuracy'));
  const marks: Mark[] = [];
  const ordered = (rows: number[]): number[] => rows.slice().sort((a, b) => confidence[a] - confidence[b]);

  // The band belongs to the first series: it is where points of a calibrated model with these counts fall.
  const band = area<number>().defined((i) => Number.isFinite(low[i]) && Number.isFinite(high[i])).x((i) => x(confidence[i])).y0((i) => y(low[i])).y1((i) => y(high[i]));
  const first = series.length ? ordered(series[0].rows) : [];
  chart.group('s0').append('path').attr('class', 'band').attr('d', band(first));
  chart.group('diagonal').append('line').attr('x1', 0).attr('y1', chart.height).attr('x2', chart.width).attr('y2', 0);
  const path = line<number>().defined((i) => Number.isFinite(accuracy[i])).x((i) => x(confidence[i])).y((i) => y(accuracy[i]));
  series.forEach(({ name, rows }, index) => {
    const group = chart.group(`s${index}`);
    const sorted = ordered(rows);
    group.append('path').attr('class', 'line').attr('d', path(sorted));
    for (const i of sorted) {
      const outside = accuracy[i] < low[i] || accuracy[i] > high[i];
      group.append('path').attr('class', outside ? 'dot' : 'dot hollow').attr('d', shapePath(index, 52)).attr('transform', `translate(${x(confidence[i])},${y(accuracy[i])})`);
      marks.push({
        x: x(confidence[i]), y: y(accuracy[i]),
        lines: [...(name ? [name] : []), `confidence ${formatNumber(confidence[i])}`, `accuracy ${formatNumber(accuracy[i])}`,
          ...(Number.isFinite(low[i]) ? [`a calibrated model: ${formatNumber(low[i])} to ${formatNumber(high[i])}`] : []), `${formatNumber(count[i])} rows`],
      });
    }
  });

  const tall = max(first, (i) => count[i]) ?? 1;
  const bars = chart.group('s0 strip').attr('transform', `translate(0,${chart.height + 10})`);
  const lowEdge = artifact.numbers('bin_low');
  const highEdge = artifact.numbers('bin_high');
  for (const i of first) {
    const from = Number.isFinite(lowEdge[i]) ? x(lowEdge[i]) : x(confidence[i]) - 6;
    const to = Number.isFinite(highEdge[i]) ? x(highEdge[i]) : x(confidence[i]) + 6;
    const height = (strip - 4) * (count[i] / (tall || 1));
    bars.append('rect').attr('class', 'area').attr('x', from + 0.5).attr('width', Math.max(1, to - from - 1)).attr('y', strip - height).attr('height', height);
  }
  bars.append('text').attr('class', 'tick-label').attr('x', -8).attr('y', strip).attr('text-anchor', 'end').text('0');
  bars.append('text').attr('class', 'tick-label').attr('x', -8).attr('y', 10).attr('text-anchor', 'end').text(formatNumber(tall));
  bars.append('text').attr('class', 'axis-label').attr('transform', 'rotate(-90)').attr('x', -strip / 2).attr('y', -42).attr('text-anchor', 'middle').text('rows');
  const ticks = chart.group('axis').attr('transform', `translate(0,${chart.height + strip + 10})`);
  ticks.append('path').attr('class', 'domain').attr('d', `M0,0H${chart.width}`);
  for (const tick of x.ticks(5)) ticks.append('text').attr('class', 'tick-label').attr('x', x(tick)).attr('y', 16).attr('text-anchor', 'middle').text(formatNumber(tick));
  ticks.append('text').attr('class', 'axis-label').attr('x', chart.width / 2).attr('y', 36).attr('text-anchor', 'middle').text(artifact.fact('x_label', 'confidence'));
  chart.visit(marks);
  legend(host, series.map((one) => one.name));
  const level = artifact.factNumber('level');
  if (artifact.has('low')) note(host, `Band: where ${Number.isFinite(level) ? `${formatNumber(100 * level)} % of` : ''} the points of a calibrated model fall. Filled points lie outside.`);
}

export function note(host: HTMLElement, text: string): void {
  const paragraph = document.createElement('p');
  paragraph.className = 'picture-note';
  paragraph.textContent = text;
  host.append(paragraph);
}

/// Detection against false alarms for each detector, with its band.
export function roc(host: HTMLElement, artifact: Artifact, width: number): void {
  const fpr = artifact.numbers('fpr');
  const tpr = artifact.numbers('tpr');
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const threshold = artifact.numbers('threshold');
  const series = artifact.series();
  const size = Math.min(width, 460);
  const chart = new Chart(host, size, size, {}, artifact.title);
  const x = scaleLinear().domain([0, 1]).range([0, chart.width]);
  const y = scaleLinear().domain([0, 1]).range([chart.height, 0]);
  chart.axisX(x, artifact.fact('x_label', 'false alarms'));
  chart.axisY(y, artifact.fact('y_label', 'detected'));
  chart.group('diagonal').append('line').attr('x1', 0).attr('y1', chart.height).attr('x2', chart.width).attr('y2', 0);
  const band = area<number>().defined((i) => Number.isFinite(low[i]) && Number.isFinite(high[i])).x((i) => x(fpr[i])).y0((i) => y(low[i])).y1((i) => y(high[i]));
  const path = line<number>().x((i) => x(fpr[i])).y((i) => y(tpr[i]));
  const marks: Mark[] = [];
  series.forEach(({ name, rows }, index) => {
    const group = chart.group(`s${index}`);
    if (artifact.has('low')) group.append('path').attr('class', 'band').attr('d', band(rows));
    group.append('path').attr('class', 'line').attr('d', path(rows));
    const middle = rows[Math.floor(rows.length / 3)];
    if (series.length > 1 && middle !== undefined) group.append('path').attr('class', 'dot').attr('d', shapePath(index)).attr('transform', `translate(${x(fpr[middle])},${y(tpr[middle])})`);
    for (const i of rows) {
      marks.push({
        x: x(fpr[i]), y: y(tpr[i]),
        lines: [...(name ? [name] : []), `detected ${formatInterval(tpr[i], low[i], high[i])}`, `false alarms ${formatNumber(fpr[i])}`,
          ...(Number.isFinite(threshold[i]) ? [`threshold ${formatNumber(threshold[i])}`] : [])],
      });
    }
  });
  const auroc = artifact.factNumber('auroc');
  if (Number.isFinite(auroc)) {
    chart.plot.append('text').attr('class', 'callout').attr('x', chart.width - 6).attr('y', chart.height - 12).attr('text-anchor', 'end')
      .text(`AUROC ${formatInterval(auroc, artifact.factNumber('auroc_low'), artifact.factNumber('auroc_high'))}`);
  }
  chart.visit(marks);
  legend(host, series.map((one) => one.name));
}

/// One figure over another, by series, with a band where there is one.
export function curve(host: HTMLElement, artifact: Artifact, width: number): void {
  const xs = artifact.numbers('x');
  const ys = artifact.numbers('y');
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const series = artifact.series();
  const chart = new Chart(host, width, Math.min(320, Math.max(220, width * 0.6)), { top: 22 }, artifact.title);
  const marker = artifact.factNumber('marker');
  const reference = artifact.factNumber('reference');
  const x = axisScale(artifact.fact('x_scale'), [...xs, marker], [0, chart.width]);
  const y = axisScale(artifact.fact('y_scale'), [...ys, ...low, ...high, reference], [chart.height, 0], true);
  chart.axisX(x, artifact.fact('x_label', 'x'), tickWords(x.domain(), artifact.fact('x_scale')));
  chart.axisY(y, artifact.fact('y_label', 'y'), tickWords(y.domain(), artifact.fact('y_scale')));
  const known = (i: number): boolean => Number.isFinite(x(xs[i])) && Number.isFinite(y(ys[i]));
  const band = area<number>().defined((i) => known(i) && Number.isFinite(y(low[i])) && Number.isFinite(y(high[i]))).x((i) => x(xs[i])).y0((i) => y(low[i])).y1((i) => y(high[i]));
  const path = line<number>().defined(known).x((i) => x(xs[i])).y((i) => y(ys[i]));
  if (artifact.fact('step') === 'true') {
    path.curve(curveStepAfter);
    band.curve(curveStepAfter);
  }
  if (Number.isFinite(reference)) chart.rule({ y: y(reference) }, artifact.fact('reference_label', formatNumber(reference)));
  if (Number.isFinite(marker)) chart.rule({ x: x(marker) }, artifact.fact('marker_label', formatNumber(marker)));
  const changes = artifact.fact('changes', '').split(' ').filter((word) => word !== '').map(Number).filter((at) => Number.isFinite(x(at)));
  const changeWords = artifact.fact('changes_at', '').split(' ');
  changes.slice(0, 50).forEach((at, i) => chart.rule({ x: x(at) }, changes.length > 4 ? '' : changeWords[i] || formatNumber(at)));
  const marks: Mark[] = [];
  const xLabel = artifact.fact('x_label', 'x');
  const yLabel = artifact.fact('y_label', 'y');
  const unrolled = unroll(chart, artifact.factNumber('play'));
  series.forEach(({ name, rows }, index) => {
    const group = chart.group(`s${index}`);
    if (unrolled) group.attr('clip-path', `url(#${unrolled})`);
    if (artifact.has('low')) group.append('path').attr('class', 'band').attr('d', band(rows));
    group.append('path').attr('class', 'line').attr('d', path(rows));
    const every = Math.max(1, Math.ceil(rows.length / 12));
    rows.forEach((i, order) => {
      if (known(i) && order % every === 0 && (series.length > 1 || rows.length <= 24)) {
        group.append('path').attr('class', 'dot').attr('d', shapePath(index)).attr('transform', `translate(${x(xs[i])},${y(ys[i])})`);
      }
      marks.push({ x: x(xs[i]), y: y(ys[i]), lines: [...(name ? [name] : []), `${xLabel} ${formatNumber(xs[i])}`, `${yLabel} ${formatInterval(ys[i], low[i], high[i])}`] });
    });
  });
  chart.visit(marks);
  legend(host, series.map((one) => one.name));
}

let unrolls = 0;

/// A clip that opens from left to right in so many seconds, and again on a click; its id. Readers who want no motion see all at once.
function unroll(chart: Chart, seconds: number): string | undefined {
  if (!(seconds > 0) || window.matchMedia?.('(prefers-reduced-motion: reduce)').matches) return undefined;
  const id = `unroll-${(unrolls += 1)}`;
  chart.plot.attr('id', `${id}-plot`);
  const rect = chart.plot.append('clipPath').attr('id', id).append('rect').attr('x', -8).attr('y', -20)
    .attr('width', chart.width + 16).attr('height', chart.height + 40);
  rect.append('animate').attr('attributeName', 'width').attr('from', 0).attr('to', chart.width + 16).attr('dur', `${seconds}s`)
    .attr('begin', `0s;${id}-plot.click`).attr('fill', 'freeze');
  return id;
}

/// A linear or logarithmic scale over the finite values, with a little room at the ends of the vertical one.
export function axisScale(kind: string, values: number[], range: [number, number], roomy = false) {
  const finite = values.filter((value) => Number.isFinite(value) && (kind !== 'log' || value > 0));
  let [low, high] = extent(finite) as [number | undefined, number | undefined];
  if (low === undefined || high === undefined) [low, high] = kind === 'log' ? [0.1, 1] : [0, 1];
  if (low === high) [low, high] = kind === 'log' ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  const scale = kind === 'log' ? scaleLog().domain([low, high]).range(range) : scaleLinear().domain([low, high]).range(range);
  if (roomy) scale.nice();
  return scale;
}

/// Ticks in words; a logarithmic axis over two decades or more names its powers of ten only.
function tickWords(domain: number[], kind: string): (value: number) => string {
  if (kind !== 'log' || domain[1] / domain[0] < 100) return formatNumber;
  return (value) => (Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9 ? formatNumber(value) : '');
}
