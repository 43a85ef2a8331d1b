/// The data behind a picture, as the renderer embedded it: typed columns and facts.

export type Values = (number | string | null)[];

export interface Column {
  name: string;
  unit: string;
  values: Values;
}

/// An artifact as the server sends it and as the report embeds it.
export interface Embedded {
  id: string;
  kind: string;
  title: string;
  facts: Record<string, string>;
  columns: Column[];
}

/// Read access that pictures need. A number that is absent is NaN, a text that is absent is empty.
export class Artifact {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly columns: Column[];
  readonly length: number;
  private readonly facts: Record<string, string>;
  private readonly byName: Map<string, Column>;

  constructor(data: Embedded) {
    this.id = data.id;
    this.kind = data.kind;
    this.title = data.title;
    this.facts = data.facts;
    this.columns = data.columns;
    this.byName = new Map(data.columns.map((column) => [column.name, column]));
    this.length = data.columns.reduce((most, column) => Math.max(most, column.values.length), 0);
  }

  static fromElement(element: Element): Artifact {
    return new Artifact(JSON.parse(element.textContent ?? '{}') as Embedded);
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  unit(name: string): string {
    return this.byName.get(name)?.unit ?? '';
  }

  /// A column as numbers; every value NaN where the column is absent.
  numbers(name: string): number[] {
    const column = this.byName.get(name);
    if (!column) return new Array<number>(this.length).fill(NaN);
    return Array.from(column.values, (value) => (value === null || value === '' ? NaN : Number(value)));
  }

  /// A column as text; every value `absent` where the column is absent.
  texts(name: string, absent = ''): string[] {
    const column = this.byName.get(name);
    if (!column) return new Array<string>(this.length).fill(absent);
    return Array.from(column.values, (value) => (typeof value === 'number' ? formatNumber(value) : (value ?? '')));
  }

  fact(name: string, absent = ''): string {
    return Object.prototype.hasOwnProperty.call(this.facts, name) ? this.facts[name] : absent;
  }

  factNumber(name: string): number {
    const text = this.fact(name);
    return text === '' ? NaN : Number(text);
  }

  /// Rows by the column `series`, in order of first appearance; one unnamed series where there is no such column.
  series(): { name: string; rows: number[] }[] {
    return groupRows(this.texts('series'), 8);
  }
}

/// Row numbers by name, names in order of first appearance, at most `most` of them.
export function groupRows(names: string[], most = Infinity): { name: string; rows: number[] }[] {
  const groups = new Map<string, number[]>();
  names.forEach((name, row) => {
    const rows = groups.get(name);
    if (rows) rows.push(row);
    else if (groups.size < most) groups.set(name, [row]);
  });
  return Array.from(groups, ([name, rows]) => ({ name, rows }));
}

/// Different texts in order of first appearance.
export function distinct(texts: string[]): string[] {
  return Array.from(new Set(texts));
}

/// Four significant digits, as the renderer writes numbers; whole numbers in full.
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  const text =
    Number.isInteger(value) && size < 1e15
      ? size >= 1e4 ? size.toLocaleString('en-US').replace(/,/g, '\u202f') : String(size)
      : size !== 0 && (size < 1e-4 || size >= 1e6) ? size.toExponential(3).replace(/\.?0+e/, 'e').replace('e+', 'e') : String(Number(size.toPrecision(4)));
  return value < 0 ? `\u2212${text}` : text;
}

/// "0.91 [0.89, 0.93]", with the part in brackets only where both ends are known.
export function formatInterval(value: number, low: number, high: number): string {
  const bounds = Number.isNaN(low) || Number.isNaN(high) ? '' : ` [${formatNumber(low)}, ${formatNumber(high)}]`;
  return formatNumber(value) + bounds;
}
