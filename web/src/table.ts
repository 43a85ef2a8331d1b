/// Tables that sort by any column and filter by words. Without the script they are plain tables with their first rows.

import { Artifact, formatNumber } from './artifact';

interface Row {
  element: HTMLTableRowElement;
  words: string;
}

/// Rows of a table: those in the page, or made on demand from an artifact that holds more than the page shows.
interface Source {
  length: number;
  key(row: number, column: number): number | string;
  matches(row: number, words: string): boolean;
  element(row: number): HTMLTableRowElement;
}

function cellKey(cell: HTMLTableCellElement | undefined): number | string {
  if (!cell) return '';
  const value = cell.dataset.v;
  if (value !== undefined) return value === '' ? NaN : Number(value);
  return (cell.textContent ?? '').trim();
}

function pageSource(table: HTMLTableElement): Source {
  const rows: Row[] = Array.from(table.tBodies[0].rows, (element) => ({ element, words: (element.textContent ?? '').toLowerCase() }));
  return {
    length: rows.length,
    key: (row, column) => cellKey(rows[row].element.cells[column]),
    matches: (row, words) => rows[row].words.includes(words),
    element: (row) => rows[row].element,
  };
}

function artifactSource(artifact: Artifact): Source {
  const texts = artifact.columns.map((column) => artifact.texts(column.name));
  const numeric = artifact.columns.map((column) => typeof column.values.find((value) => value !== null) === 'number');
  return {
    length: artifact.length,
    key: (row, column) => {
      const value = artifact.columns[column].values[row];
      return numeric[column] ? (value === null ? NaN : Number(value)) : String(value ?? '');
    },
    matches: (row, words) => texts.some((column) => column[row].toLowerCase().includes(words)),
    element: (row) => {
      const element = document.createElement('tr');
      artifact.columns.forEach((_, column) => {
        const cell = element.insertCell();
        cell.textContent = texts[column][row];
        if (numeric[column]) cell.className = 'number';
      });
      return element;
    },
  };
}

const kFirst = 15;
const kPage = 50;

/// Makes `table` sortable and filterable.
export function enhanceTable(table: HTMLTableElement, artifact: Artifact | null): void {
  const head = table.tHead?.rows[0];
  const body = table.tBodies[0];
  if (!head || !body) return;
  const source = artifact ? artifactSource(artifact) : pageSource(table);
  if (source.length < 2) return;
  const page = artifact ? kFirst : Infinity;
  const name = table.caption?.textContent?.trim() || table.getAttribute('aria-label') || 'table';
  let order = Array.from({ length: source.length }, (_, row) => row);
  let shown = page;
  let column = -1;
  let direction = 1;
  let words = '';

  const status = document.createElement('span');
  status.className = 'table-status';
  status.setAttribute('role', 'status');
  const more = document.createElement('button');
  more.type = 'button';
  more.className = 'quiet';
  more.hidden = true;

  const draw = (): void => {
    const visible = words ? order.filter((row) => source.matches(row, words)) : order;
    body.replaceChildren(...visible.slice(0, shown).map((row) => source.element(row)));
    more.hidden = visible.length <= shown;
    more.textContent = `Show ${formatNumber(Math.min(kPage, visible.length - shown))} more of ${formatNumber(visible.length)}`;
    status.textContent = words ? `${formatNumber(visible.length)} of ${formatNumber(source.length)} rows` : '';
  };

  Array.from(head.cells).forEach((cell, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'sort';
    button.append(...Array.from(cell.childNodes));
    cell.append(button);
    button.addEventListener('click', () => {
      direction = column === index ? -direction : 1;
      column = index;
      for (const other of Array.from(head.cells)) other.removeAttribute('aria-sort');
      cell.setAttribute('aria-sort', direction > 0 ? 'ascending' : 'descending');
      const keys = order.map((row) => source.key(row, index));
      const numeric = keys.some((key) => typeof key === 'number' && !Number.isNaN(key));
      const key = new Map(order.map((row, at) => [row, keys[at]]));
      order = order.slice().sort((a, b) => {
        const left = key.get(a) as number | string;
        const right = key.get(b) as number | string;
        if (numeric) {
          const x = Number(left);
          const y = Number(right);
          if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b;
          return direction * (x - y) || a - b;
        }
        return direction * String(left).localeCompare(String(right), 'en', { numeric: true }) || a - b;
      });
      draw();
    });
  });

  if (source.length > 8) {
    const bar = document.createElement('div');
    bar.className = 'table-bar';
    const filter = document.createElement('input');
    filter.type = 'search';
    filter.placeholder = 'Filter rows';
    filter.setAttribute('aria-label', `Filter rows of ${name}`);
    filter.addEventListener('input', () => {
      words = filter.value.trim().toLowerCase();
      shown = page;
      draw();
    });
    bar.append(filter, status);
    const frame = table.closest('.table-scroll') ?? table;
    frame.before(bar);
    frame.after(more);
  }
  more.addEventListener('click', () => {
    shown += kPage;
    draw();
  });
  if (artifact) draw();
}
