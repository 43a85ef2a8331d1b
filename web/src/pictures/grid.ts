import { scaleBand } from 'd3-scale';
import { Artifact, distinct, formatInterval, formatNumber } from '../artifact';
import { Chart, ColourScale, scaleLegend } from '../chart';
import type { Mark } from '../chart';

interface Cell {
  row: string;
  column: string;
  value: number;
  words: string;
  good?: boolean;
  lines: string[];
}

/// A rectangle of coloured cells with their values in them where they fit.
export function drawCells(host: HTMLElement, width: number, label: string, cells: Cell[], colours: ColourScale,
                          labels: { row: string; column: string; value: string }): void {
  const rows = distinct(cells.map((cell) => cell.row));
  const columns = distinct(cells.map((cell) => cell.column));
  const longest = Math.max(...rows.map((name) => name.length), 1);
  const left = Math.min(Math.max(70, longest * 6.4 + 34), width * 0.4);
  const columnLongest = Math.max(...columns.map((name) => name.length), 1);
  const room = (width - left - 16) / columns.length;
  const tilted = columnLongest * 6.6 > room;
  const bottom = tilted ? Math.min(150, 34 + columnLongest * 5) : 46;
  const side = Math.min(Math.max(room, 6), 64);
  const cellHeight = Math.min(34, Math.max(14, Math.min(side, 30)));
  const chart = new Chart(host, Math.min(width, left + 16 + side * columns.length), rows.length * cellHeight + 8 + bottom,
    { top: 8, bottom, left }, label);
  const x = scaleBand<string>().domain(columns).range([0, chart.width]).paddingInner(0.04);
  const y = scaleBand<string>().domain(rows).range([0, chart.height]).paddingInner(0.06);
  const keepX = Math.max(1, Math.ceil(13 / x.step()));
  const axis = chart.group('axis plain').attr('transform', `translate(0,${chart.height})`);
  columns.forEach((name, index) => {
    if (index % keepX !== 0) return;
    const text = axis.append('text').text(clip(name, tilted ? 20 : 40)).attr('class', 'tick-label');
    const at = (x(name) ?? 0) + x.bandwidth() / 2;
    if (tilted) text.attr('transform', `translate(${at + 4},12) rotate(-38)`).attr('text-anchor', 'end');
    else text.attr('x', at).attr('y', 15).attr('text-anchor', 'middle');
  });
  const names = chart.group('axis plain');
  rows.forEach((name) => {
    names.append('text').attr('class', 'tick-label').attr('x', -8).attr('y', (y(name) ?? 0) + y.bandwidth() / 2).attr('dy', '0.35em')
      .attr('text-anchor', 'end').text(clip(name, Math.floor((left - 34) / 6.2)));
  });
  axis.append('text').attr('class', 'axis-label').attr('x', chart.width / 2).attr('y', bottom - 6).attr('text-anchor', 'middle').text(labels.column);
  names.append('text').attr('class', 'axis-label').attr('transform', 'rotate(-90)').attr('x', -chart.height / 2).attr('y', 13 - left)
    .attr('text-anchor', 'middle').text(labels.row);

  const body = chart.group('cells');
  const marks: Mark[] = [];
  for (const cell of cells) {
    const left0 = x(cell.column) ?? 0;
    const top0 = y(cell.row) ?? 0;
    body.append('rect').attr('x', left0).attr('y', top0).attr('width', x.bandwidth()).attr('height', y.bandwidth()).attr('rx', 2)
      .style('fill', colours.fill(cell.value, cell.good));
    if (cell.words.length * 6.2 < x.bandwidth() && y.bandwidth() >= 12) {
      body.append('text').attr('class', `cell-text ${colours.textClass(cell.value)}`).attr('x', left0 + x.bandwidth() / 2)
        .attr('y', top0 + y.bandwidth() / 2).attr('dy', '0.35em').attr('text-anchor', 'middle').text(cell.words);
    }
    marks.push({ x: left0 + x.bandwidth() / 2, y: top0 + y.bandwidth() / 2, lines: cell.lines });
  }
  chart.visit(marks);
  scaleLegend(host, labels.value, colours);
}

export function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}

export function grid(host: HTMLElement, artifact: Artifact, width: number): void {
  const rows = artifact.texts('row');
  const columns = artifact.texts('column');
  const values = artifact.numbers('value');
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const count = artifact.numbers('count');
  const valueLabel = artifact.fact('value_label', 'value');
  const colours = new ColourScale(values, {
    low: artifact.factNumber('domain_low'), high: artifact.factNumber('domain_high'),
    midpoint: artifact.factNumber('midpoint'), worse: artifact.fact('worse', 'high'),
  });
  const cells = rows.map((row, i) => ({
    row, column: columns[i], value: values[i], words: shortNumber(values[i]),
    lines: [`${row}, ${columns[i]}`, `${valueLabel} ${formatInterval(values[i], low[i], high[i])}`,
      ...(Number.isNaN(count[i]) ? [] : [`n ${formatNumber(count[i])}`])],
  }));
  drawCells(host, width, artifact.title, cells, colours,
    { row: artifact.fact('row_label'), column: artifact.fact('column_label'), value: valueLabel });
}

/// Two digits behind the point for what stands in a cell.
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '';
  return Number.isInteger(value) ? formatNumber(value) : Math.abs(value) < 10 ? value.toFixed(2).replace('-', '−') : formatNumber(Math.round(value));
}

/// Truth down, prediction across; colour is the share within the true class.
export function confusion(host: HTMLElement, artifact: Artifact, width: number): void {
  const most = 60;
  const truth = artifact.texts('truth');
  const predicted = artifact.texts('predicted');
  const count = artifact.numbers('count');
  const classes = distinct([...truth, ...predicted]).slice(0, most);
  const numeric = classes.every((name) => name !== '' && Number.isFinite(Number(name)));
  if (numeric) classes.sort((a, b) => Number(a) - Number(b));
  const counts = new Map<string, number>();
  const totals = new Map<string, number>();
  truth.forEach((name, i) => {
    counts.set(JSON.stringify([name, predicted[i]]), (counts.get(JSON.stringify([name, predicted[i]])) ?? 0) + count[i]);
    totals.set(name, (totals.get(name) ?? 0) + count[i]);
  });
  const cells = classes.flatMap((row) => classes.map((column) => {
    const number = counts.get(JSON.stringify([row, column])) ?? 0;
    const share = number / (totals.get(row) || 1);
    return {
      row, column, value: share, good: row === column, words: number === 0 ? '' : formatNumber(number),
      lines: [`${row} read as ${column}`, `${formatNumber(number)} of ${formatNumber(totals.get(row) ?? 0)} rows (${formatNumber(share)})`],
    };
  }));
  const colours = new ColourScale([0, 1], { low: 0, high: 1, midpoint: NaN, worse: 'high' });
  drawCells(host, width, artifact.title, cells, colours, { row: 'truth', column: 'prediction', value: 'share of the true class' });
}

/// A verdict for every pair: a letter and a ground for each kind, the words on demand.
export function fates(host: HTMLElement, artifact: Artifact, width: number): void {
  const looks = new Map([['safe', ['S', 'good']], ['hacks', ['H', 'bad']], ['incapable', ['i', 'none']], ['undetermined', ['?', 'unsure']],
    ['not_run', ['–', 'none']], ['error', ['E', 'bad']]]);
  const rows = artifact.texts('row');
  const columns = artifact.texts('column');
  const verdicts = artifact.texts('verdict');
  const truth = artifact.numbers('truth');
  const reasons = artifact.texts('reason');
  const rowNames = distinct(rows);
  const columnNames = distinct(columns);
  const left = Math.min(Math.max(90, Math.max(...rowNames.map((name) => name.length), 1) * 6.4 + 16), width * 0.4);
  const top = Math.min(170, 22 + Math.max(...columnNames.map((name) => name.length), 1) * 5);
  const side = Math.min(Math.max((width - left - 60) / columnNames.length, 16), 44);
  const cellHeight = 24;
  const chart = new Chart(host, left + side * columnNames.length + 60, rowNames.length * cellHeight + top + 8, { top, bottom: 8, left }, artifact.title);
  const x = scaleBand<string>().domain(columnNames).range([0, side * columnNames.length]).paddingInner(0.06);
  const y = scaleBand<string>().domain(rowNames).range([0, rowNames.length * cellHeight]).paddingInner(0.1);
  const names = chart.group('axis plain');
  for (const name of columnNames) {
    names.append('text').attr('class', 'tick-label').attr('transform', `translate(${(x(name) ?? 0) + x.bandwidth() / 2},-8) rotate(-42)`).text(clip(name, 30));
  }
  for (const name of rowNames) {
    names.append('text').attr('class', 'tick-label').attr('x', -8).attr('y', (y(name) ?? 0) + y.bandwidth() / 2).attr('dy', '0.35em').attr('text-anchor', 'end')
      .text(clip(name, Math.floor((left - 14) / 6.2)));
  }
  const body = chart.group('cells');
  const marks: Mark[] = [];
  verdicts.forEach((verdict, i) => {
    const [letter, look] = looks.get(verdict) ?? ['', 'none'];
    const left0 = x(columns[i]) ?? 0;
    const top0 = y(rows[i]) ?? 0;
    body.append('rect').attr('class', `fate ${look}`).attr('x', left0).attr('y', top0).attr('width', x.bandwidth()).attr('height', y.bandwidth()).attr('rx', 3);
    body.append('text').attr('class', `fate-text ${look}`).attr('x', left0 + x.bandwidth() / 2).attr('y', top0 + y.bandwidth() / 2).attr('dy', '0.35em')
      .attr('text-anchor', 'middle').text(letter);
    marks.push({ x: left0 + x.bandwidth() / 2, y: top0 + y.bandwidth() / 2,
      lines: [`${columns[i]} in ${rows[i]}: ${verdict.replace('_', ' ')}`, ...(Number.isFinite(truth[i]) ? [`truth ${formatNumber(truth[i])}`] : []), ...(reasons[i] ? [reasons[i]] : [])] });
  });
  chart.visit(marks);
}
