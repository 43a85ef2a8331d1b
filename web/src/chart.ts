/// What every picture shares: the frame with its axes, the legend, and marks that pointer and arrow keys can visit.
/// Colours and dashes come from classes in the style sheet, so a picture follows the theme and the printer by itself.

import { axisBottom, axisLeft } from 'd3-axis';
import type { AxisScale } from 'd3-axis';
import type { NumberValue } from 'd3-scale';
import { select } from 'd3-selection';
import type { Selection } from 'd3-selection';
import { symbol, symbolCircle, symbolCross, symbolDiamond, symbolSquare, symbolStar, symbolTriangle, symbolWye } from 'd3-shape';
import { formatNumber } from './artifact';

export type Group = Selection<SVGGElement, unknown, null, undefined>;

/// A place in the picture that says something: position inside the plot, the lines of its label, and what a click or Enter
/// on it opens.
export interface Mark {
  x: number;
  y: number;
  lines: string[];
  open?: () => void;
}

const kShapes = [symbolCircle, symbolSquare, symbolTriangle, symbolDiamond, symbolCross, symbolStar, symbolWye];

/// The outline of series `index`, so that series differ without colour.
export function shapePath(index: number, size = 42): string {
  return symbol(kShapes[index % kShapes.length], size)() ?? '';
}

export class Chart {
  readonly root: Selection<SVGSVGElement, unknown, null, undefined>;
  readonly plot: Group;
  readonly width: number;
  readonly height: number;
  private readonly host: HTMLElement;
  private readonly margin: { top: number; right: number; bottom: number; left: number };
  private marks: Mark[] = [];
  private current = -1;

  constructor(host: HTMLElement, width: number, height: number, margin: Partial<Chart['margin']>, label: string) {
    this.host = host;
    this.margin = { top: 12, right: 26, bottom: 46, left: 56, ...margin };
    this.width = Math.max(40, width - this.margin.left - this.margin.right);
    this.height = Math.max(40, height - this.margin.top - this.margin.bottom);
    this.root = select(host).append('svg')
      .attr('class', 'chart').attr('width', width).attr('height', height).attr('viewBox', `0 0 ${width} ${height}`)
      .attr('role', 'img').attr('aria-label', label);
    this.plot = this.root.append('g').attr('transform', `translate(${this.margin.left},${this.margin.top})`) as unknown as Group;
  }

  group(name: string): Group {
    return this.plot.append('g').attr('class', name) as unknown as Group;
  }

  /// Axis along the bottom with grid lines of the left one; `ticks` are about 80 pixels apart.
  axisX(scale: AxisScale<NumberValue>, label: string, format: ((value: number) => string) | null = null): void {
    const axis = axisBottom(scale).ticks(Math.max(2, Math.floor(this.width / 80))).tickSizeOuter(0);
    if (format) axis.tickFormat((value) => format(Number(value)));
    const group = this.group('axis').attr('transform', `translate(0,${this.height})`);
    axis(group as never);
    group.append('text').attr('class', 'axis-label').attr('x', this.width / 2).attr('y', 38).attr('text-anchor', 'middle').text(label);
  }

  axisY(scale: AxisScale<NumberValue>, label: string, format: ((value: number) => string) | null = null): void {
    const axis = axisLeft(scale).ticks(Math.max(2, Math.floor(this.height / 48))).tickSizeOuter(0);
    if (format) axis.tickFormat((value) => format(Number(value)));
    const group = this.group('axis');
    axis(group as never);
    group.selectAll('.tick').append('line').attr('class', 'grid-line').attr('x2', this.width);
    group.append('text').attr('class', 'axis-label').attr('transform', 'rotate(-90)')
      .attr('x', -this.height / 2).attr('y', 14 - this.margin.left).attr('text-anchor', 'middle').text(label);
  }

  /// A line across at `y` or down at `x` (pixels) with words beside it.
  rule(at: { x?: number; y?: number }, words: string): void {
    const group = this.group('rule');
    if (at.y !== undefined) {
      group.append('line').attr('x1', 0).attr('x2', this.width).attr('y1', at.y).attr('y2', at.y);
      group.append('text').attr('x', this.width - 4).attr('y', at.y - 5).attr('text-anchor', 'end').text(words);
    } else if (at.x !== undefined) {
      const right = at.x < this.width / 2;
      group.append('line').attr('x1', at.x).attr('x2', at.x).attr('y1', 0).attr('y2', this.height);
      group.append('text').attr('x', at.x + (right ? -2 : 2)).attr('y', -6).attr('text-anchor', right ? 'start' : 'end').text(words);
    }
  }

  /// Makes marks reachable: the nearest one under the pointer, the next and previous one with the arrow keys.
  visit(marks: Mark[]): void {
    this.marks = marks.filter((mark) => Number.isFinite(mark.x) && Number.isFinite(mark.y));
    if (this.marks.length === 0) return;
    const svg = this.root.node() as SVGSVGElement;
    const halo = this.plot.append('circle').attr('class', 'halo').attr('r', 7).attr('visibility', 'hidden');
    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    const said = document.createElement('div');
    said.className = 'visually-hidden';
    said.setAttribute('aria-live', 'polite');
    this.host.append(tip, said);

    const show = (index: number, aloud: boolean): void => {
      this.current = index;
      const mark = this.marks[index];
      halo.attr('cx', mark.x).attr('cy', mark.y).attr('visibility', 'visible');
      tip.replaceChildren(...mark.lines.map((line) => {
        const row = document.createElement('div');
        row.textContent = line;
        return row;
      }));
      tip.hidden = false;
      const scale = svg.clientWidth / svg.viewBox.baseVal.width || 1;
      const left = (mark.x + this.margin.left) * scale;
      const top = (mark.y + this.margin.top) * scale;
      const room = this.host.clientWidth;
      tip.style.left = `${Math.min(Math.max(0, left - tip.offsetWidth / 2), Math.max(0, room - tip.offsetWidth))}px`;
      tip.style.top = `${top > tip.offsetHeight + 14 ? top - tip.offsetHeight - 12 : top + 14}px`;
      if (aloud) said.textContent = mark.lines.join(', ');
    };
    const hide = (): void => {
      halo.attr('visibility', 'hidden');
      tip.hidden = true;
    };

    svg.setAttribute('tabindex', '0');
    svg.setAttribute('aria-roledescription', 'picture; arrow keys visit its points');
    const nearest = (event: MouseEvent): number => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale - this.margin.left;
      const y = (event.clientY - box.top) * scale - this.margin.top;
      let best = -1;
      let least = 60 * 60;
      this.marks.forEach((mark, index) => {
        const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2;
        if (distance < least) {
          least = distance;
          best = index;
        }
      });
      return best;
    };
    svg.addEventListener('pointermove', (event) => {
      const best = nearest(event);
      if (best >= 0) show(best, false);
      else hide();
    });
    if (this.marks.some((mark) => mark.open)) {
      svg.classList.add('opens');
      svg.addEventListener('click', (event) => this.marks[nearest(event)]?.open?.());
    }
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', (event) => {
      const last = this.marks.length - 1;
      const steps: Record<string, number> = {
        ArrowRight: Math.min(last, this.current + 1), ArrowDown: Math.min(last, this.current + 1),
        ArrowLeft: Math.max(0, this.current - 1), ArrowUp: Math.max(0, this.current - 1), Home: 0, End: last,
      };
      if (event.key === 'Escape') hide();
      else if (event.key === 'Enter') this.marks[this.current]?.open?.();
      else if (event.key in steps) {
        event.preventDefault();
        show(steps[event.key], true);
      }
    });
  }
}

/// Names of the series with the mark that stands for each; nothing for a single unnamed one.
export function legend(host: HTMLElement, names: string[], style: 'line' | 'area' = 'line'): void {
  if (names.length < 2 && !names[0]) return;
  const list = document.createElement('ul');
  list.className = 'legend';
  names.forEach((name, index) => {
    const item = document.createElement('li');
    const key = select(item).append('svg').attr('width', 30).attr('height', 12).attr('aria-hidden', 'true');
    const group = key.append('g').attr('class', `s${index}`);
    if (style === 'line') {
      group.append('path').attr('class', 'line').attr('d', 'M0,6H30');
      group.append('path').attr('class', 'dot').attr('transform', 'translate(15,6)').attr('d', shapePath(index));
    } else {
      group.append('rect').attr('class', 'area').attr('width', 22).attr('height', 12).attr('x', 4);
    }
    item.append(document.createTextNode(name));
    list.append(item);
  });
  host.append(list);
}

/// A colour scale written out: what the light end and the dark end stand for.
export function scaleLegend(host: HTMLElement, label: string, colours: ColourScale): void {
  const [low, high] = colours.domain;
  const row = document.createElement('div');
  row.className = 'scale-legend';
  const svg = select(row).append('svg').attr('width', 132).attr('height', 12).attr('aria-hidden', 'true');
  for (let step = 0; step < 12; ++step) {
    const value = low + ((high - low) * (step + 0.5)) / 12;
    svg.append('rect').attr('x', step * 11).attr('width', 11.5).attr('height', 12).style('fill', colours.fill(value));
  }
  const text = document.createElement('span');
  text.textContent = `${label ? `${label}: ` : ''}${formatNumber(low)} to ${formatNumber(high)}`;
  row.append(text);
  host.append(row);
}

/// Values to colours that the style sheet mixes, so that they change with the theme.
export class ColourScale {
  readonly domain: [number, number];
  private readonly midpoint: number;
  private readonly darkIsHigh: boolean;

  constructor(values: number[], facts: { low: number; high: number; midpoint: number; worse: string }) {
    const known = values.filter((value) => Number.isFinite(value));
    let low = Number.isFinite(facts.low) ? facts.low : Math.min(...known);
    let high = Number.isFinite(facts.high) ? facts.high : Math.max(...known);
    if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    this.domain = [low, high];
    this.midpoint = facts.midpoint;
    this.darkIsHigh = facts.worse !== 'low';
  }

  /// 0 at the pale end, 1 at the dark end (or either end of a scale with a midpoint).
  private strength(value: number): number {
    const [low, high] = this.domain;
    if (Number.isFinite(this.midpoint)) {
      const reach = Math.max(Math.abs(high - this.midpoint), Math.abs(low - this.midpoint)) || 1;
      return Math.min(1, Math.abs(value - this.midpoint) / reach);
    }
    const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
    return this.darkIsHigh ? share : 1 - share;
  }

  private end(value: number): string {
    if (!Number.isFinite(this.midpoint)) return 'var(--scale-bad)';
    return value > this.midpoint === this.darkIsHigh ? 'var(--scale-bad)' : 'var(--scale-good)';
  }

  /// `good`: the cell is one that should be strong, such as the diagonal of a confusion matrix.
  fill(value: number, good = false): string {
    if (!Number.isFinite(value)) return 'transparent';
    return `color-mix(in oklab, ${good ? 'var(--scale-good)' : this.end(value)} ${(100 * this.strength(value)).toFixed(1)}%, var(--scale-pale))`;
  }

  /// The class of text that stays readable on `fill(value)`; where the colour of text turns differs by theme.
  textClass(value: number): string {
    const strength = Number.isFinite(value) ? this.strength(value) : 0;
    return strength > 0.78 ? 'on-strong' : strength > 0.58 ? 'on-middle' : 'on-pale';
  }
}
