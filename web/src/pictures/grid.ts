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
