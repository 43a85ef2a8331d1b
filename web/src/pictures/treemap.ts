import { hierarchy, treemap as layout, treemapSquarify } from 'd3-hierarchy';
import { Artifact, formatInterval, formatNumber, groupRows } from '../artifact';
import { Chart, ColourScale, scaleLegend } from '../chart';
import type { Mark } from '../chart';
import { clip } from './grid';
import { note } from './lines';

interface Node {
  row: number;
  name: string;
  children?: Node[];
}

/// Slices as tiles: area is size, colour is the figure.
export function treemap(host: HTMLElement, artifact: Artifact, width: number): void {
  const most = 200;
  const label = artifact.texts('label');
  const size = artifact.numbers('size');
  const value = artifact.numbers('value');
  const low = artifact.numbers('low');
  const high = artifact.numbers('high');
  const parent = artifact.texts('parent');
  const rows = label.map((_, row) => row).filter((row) => size[row] > 0).sort((a, b) => size[b] - size[a] || a - b).slice(0, most).sort((a, b) => a - b);
  const groups = groupRows(rows.map((row) => parent[row]));
  const children = groups.map(({ name, rows: members }): Node => ({ row: -1, name, children: members.map((i) => ({ row: rows[i], name: label[rows[i]] })) }));
  const grouped = artifact.has('parent');
  const root: Node = { row: -1, name: '', children: grouped ? children : children.flatMap((group) => group.children ?? []) };
  const chart = new Chart(host, width, Math.min(420, Math.max(260, width * 0.5)), { top: 2, right: 2, bottom: 2, left: 2 }, artifact.title);
  const tree = layout<Node>().tile(treemapSquarify).size([chart.width, chart.height]).paddingInner(2).paddingTop((node) => (grouped && node.depth === 1 ? 17 : 0))(
    hierarchy(root).sum((node) => (node.row >= 0 ? size[node.row] : 0)).sort((a, b) => (b.value ?? 0) - (a.value ?? 0)));
  const valueLabel = artifact.fact('value_label', 'value');
  const sizeLabel = artifact.fact('size_label', 'rows');
  const colours = new ColourScale(value, {
    low: artifact.factNumber('domain_low'), high: artifact.factNumber('domain_high'), midpoint: artifact.factNumber('midpoint'), worse: artifact.fact('worse', 'high'),
  });
  const body = chart.group('cells');
  if (grouped) {
    for (const group of tree.children ?? []) {
      body.append('text').attr('class', 'tick-label').attr('x', group.x0 + 3).attr('y', group.y0 + 12).text(clip(group.data.name, Math.floor((group.x1 - group.x0) / 6.6)));
    }
  }
  const marks: Mark[] = [];
  for (const leaf of tree.leaves()) {
    const row = leaf.data.row;
    if (row < 0) continue;
    const wide = leaf.x1 - leaf.x0;
    const tall = leaf.y1 - leaf.y0;
    body.append('rect').attr('x', leaf.x0).attr('y', leaf.y0).attr('width', wide).attr('height', tall).attr('rx', 3).style('fill', colours.fill(value[row]));
    const lines = [label[row], `${valueLabel} ${formatInterval(value[row], low[row], high[row])}`, `${sizeLabel} ${formatNumber(size[row])}`];
    if (wide > 44 && tall > 18) {
      const fits = Math.floor((wide - 10) / 6.3);
      const colour = colours.textClass(value[row]);
      body.append('text').attr('class', `tile-name ${colour}`).attr('x', leaf.x0 + 6).attr('y', leaf.y0 + 15).text(clip(label[row], fits));
      if (tall > 34 && formatNumber(value[row]).length * 6.6 < wide - 8) body.append('text').attr('class', `cell-text ${colour}`).attr('x', leaf.x0 + 6).attr('y', leaf.y0 + 30).text(formatNumber(value[row]));
    }
    marks.push({ x: (leaf.x0 + leaf.x1) / 2, y: (leaf.y0 + leaf.y1) / 2, lines });
  }
  chart.visit(marks);
  scaleLegend(host, `area: ${sizeLabel}; colour: ${valueLabel}`, colours);
  if (label.length > most) note(host, `The largest ${most} of ${label.length}; the table has the others.`);
}
