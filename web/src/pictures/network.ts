import { Artifact, distinct } from '../artifact';
import { Chart } from '../chart';
import type { Mark } from '../chart';
import { clip } from './grid';

interface Box {
  name: string;
  layer: number;
  x: number;
  y: number;
}

/// Parts from left to right in the order in which they feed each other; what teaches runs back underneath.
export function network(host: HTMLElement, artifact: Artifact, width: number): void {
  const from = artifact.texts('from');
  const to = artifact.texts('to');
  const kind = artifact.texts('kind');
  const label = artifact.texts('label');
  const mark = artifact.texts('mark');
  const names = distinct([...from, ...to].filter((name) => name !== ''));
  const boxes = place(names, from, to, kind);
  const layers = Math.max(...boxes.map((box) => box.layer), 0) + 1;
  const tallest = Math.max(...Array.from({ length: layers }, (_, layer) => boxes.filter((box) => box.layer === layer).length), 1);
  const back = kind.filter((one) => one === 'teaches').length;
  const room = back ? Math.min(140, 26 + 16 * back) : 0;
  const layerOf = new Map(boxes.map((box) => [box.name, box.layer]));
  const skips = new Set(from.map((name, i) => (kind[i] === 'feeds' && (layerOf.get(to[i]) ?? 0) - (layerOf.get(name) ?? 0) > 1 ? `${name}\n${to[i]}` : '')).values());
  skips.delete('');
  const roof = skips.size ? Math.min(120, 30 + 15 * skips.size) : 0;
  const chart = new Chart(host, width, 24 + 58 * tallest + room + roof, { top: 10, right: 10, bottom: 6, left: 10 }, artifact.title);
  const step = chart.width / layers;
  const wide = Math.min(150, step * 0.66);
  const tall = 30;
  for (const box of boxes) {
    const inLayer = boxes.filter((other) => other.layer === box.layer);
    box.x = step * (box.layer + 0.5);
    box.y = roof + ((chart.height - room - roof) * (inLayer.indexOf(box) + 0.5)) / inLayer.length;
  }
  const at = new Map(boxes.map((box) => [box.name, box]));
  const marks: Mark[] = [];
  const edges = chart.group('links');
  let lane = 0;
  let arc = 0;
  // Several signals between two parts share one line.
  const pairs = new Map<string, number[]>();
  from.forEach((name, i) => {
    if (to[i] === '') return;
    const key = [name, to[i], kind[i]].join('\n');
    pairs.set(key, [...(pairs.get(key) ?? []), i]);
  });
  for (const rows of pairs.values()) {
    const i = rows[0];
    const start = at.get(from[i]);
    const end = at.get(to[i]);
    if (!start || !end) continue;
    const words = rows.map((row) => label[row]).filter((one) => one !== '').join(', ');
    const marked = rows.map((row) => mark[row]).find((one) => one !== '') ?? '';
    let path: string;
    let middle: { x: number; y: number };
    if (kind[i] === 'teaches') {
      lane += 1;
      const low = chart.height - room + 14 + Math.min(room - 20, 16 * lane);
      path = `M${start.x},${start.y + tall / 2}C${start.x},${low} ${end.x},${low} ${end.x},${end.y + tall / 2 + 6}`;
      middle = { x: (start.x + end.x) / 2, y: 0.25 * (start.y + end.y) / 2 + 0.75 * low };
      edges.append('path').attr('class', 'arrow').attr('d', `M${end.x - 4},${end.y + tall / 2 + 8}L${end.x},${end.y + tall / 2}L${end.x + 4},${end.y + tall / 2 + 8}Z`);
    } else if (end.layer - start.layer > 1) {
      // Over the parts between.
      arc += 1;
      const high = Math.max(-roof / 3, roof - 14 - 15 * arc - 12);
      path = `M${start.x},${start.y - tall / 2}C${start.x},${high} ${end.x},${high} ${end.x},${end.y - tall / 2 - 6}`;
      middle = { x: (start.x + end.x) / 2, y: 0.25 * ((start.y + end.y) / 2 - tall / 2) + 0.75 * high };
      edges.append('path').attr('class', 'arrow').attr('d', `M${end.x - 4},${end.y - tall / 2 - 8}L${end.x},${end.y - tall / 2}L${end.x + 4},${end.y - tall / 2 - 8}Z`);
    } else {
      const x0 = start.x + wide / 2;
      const x1 = end.x - wide / 2;
      const bend = (x1 - x0) / 2;
      path = `M${x0},${start.y}C${x0 + bend},${start.y} ${x1 - bend},${end.y} ${x1 - 6},${end.y}`;
      middle = { x: (x0 + x1) / 2, y: (start.y + end.y) / 2 };
      edges.append('path').attr('class', 'arrow').attr('d', `M${x1 - 8},${end.y - 4}L${x1},${end.y}L${x1 - 8},${end.y + 4}Z`);
    }
    edges.append('path').attr('class', `link${kind[i] === 'teaches' ? ' teaches' : ''}${marked ? ' marked' : ''}`).attr('d', path);
    const fits = Math.floor(((end.layer - start.layer > 1 ? step : step - wide) - 4) / 6.2);
    if (kind[i] !== 'teaches' && words !== '' && fits > 2) {
      edges.append('text').attr('class', 'tick-label').attr('x', middle.x).attr('y', middle.y - 6).attr('text-anchor', 'middle').text(clip(words, fits));
    }
    marks.push({ x: middle.x, y: middle.y, lines: [`${from[i]} ${kind[i]} ${to[i]}`, ...(words ? [words] : []), ...(marked ? [marked] : [])] });
  }
  const nodes = chart.group('nodes');
  for (const box of boxes) {
    nodes.append('rect').attr('class', 'node').attr('x', box.x - wide / 2).attr('y', box.y - tall / 2).attr('width', wide).attr('height', tall).attr('rx', 4);
    nodes.append('text').attr('class', 'node-name').attr('x', box.x).attr('y', box.y).attr('dy', '0.35em').attr('text-anchor', 'middle').text(clip(box.name, Math.floor((wide - 8) / 6.6)));
    const reads = from.map((_, i) => i).filter((i) => to[i] === box.name).map((i) => label[i]).filter((one) => one !== '');
    marks.push({ x: box.x, y: box.y, lines: [box.name, ...(reads.length ? [`takes ${distinct(reads).join(', ')}`] : [])] });
  }
  chart.visit(marks);
}

/// The layer of each part: one behind the last that feeds it.
function place(names: string[], from: string[], to: string[], kind: string[]): Box[] {
  const layer = new Map(names.map((name) => [name, 0]));
  // As many passes as there are parts settle every chain; a circle, which a round cannot have, would only stop there.
  for (let pass = 0; pass < names.length; ++pass) {
    let moved = false;
    from.forEach((name, i) => {
      if (to[i] === '' || kind[i] === 'teaches') return;
      const wanted = (layer.get(name) ?? 0) + 1;
      if ((layer.get(to[i]) ?? 0) >= wanted) return;
      layer.set(to[i], wanted);
      moved = true;
    });
    if (!moved) break;
  }
  return names.map((name) => ({ name, layer: layer.get(name) ?? 0, x: 0, y: 0 }));
}
