/// Keys: one place that listens, the list under "?", and arrow keys in lists.

import { fill, h } from './dom';

interface Shortcut {
  key: string;
  words: string;
  action: () => void;
}

const kOff = 'plumbline-keys-off';

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function off(): boolean {
  try {
    return window.localStorage.getItem(kOff) === 'yes';
  } catch {
    return false;
  }
}

export class Keys {
  private always: Shortcut[] = [];
  private ofPage: Shortcut[] = [];
  private pending = '';
  private timer = 0;
  private readonly dialog = h('dialog', { class: 'help', 'aria-labelledby': 'help-title' });

  constructor() {
    document.body.append(this.dialog);
    document.addEventListener('keydown', (event) => this.press(event));
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  add(key: string, words: string, action: () => void): void {
    this.always.push({ key, words, action });
  }

  addForPage(key: string, words: string, action: () => void): void {
    this.ofPage.push({ key, words, action });
  }

  leavePage(): void {
    this.ofPage = [];
    this.dialog.close();
  }

  help(): void {
    const list = (title: string, shortcuts: Shortcut[]): HTMLElement | false => shortcuts.length > 0 && h('section', null, h('h3', null, title),
      h('dl', { class: 'keys' }, shortcuts.map((one) => [h('dt', null, one.key.split(' ').map((key) => h('kbd', null, key))), h('dd', null, one.words)])));
    const box = h('input', { type: 'checkbox', id: 'keys-on', checked: !off(), on: { change: () => {
      try {
        window.localStorage.setItem(kOff, box.checked ? 'no' : 'yes');
      } catch {
        // Then the keys stay on.
      }
    } } });
    fill(this.dialog, h('header', null, h('h2', { id: 'help-title' }, 'Keyboard'), h('button', { type: 'button', class: 'quiet', on: { click: () => this.dialog.close() } }, 'Close')),
      list('On this page', this.ofPage), list('Everywhere', [...this.always, { key: '?', words: 'this list', action: () => undefined }]),
      h('section', null, h('h3', null, 'In lists and pictures'), h('dl', { class: 'keys' },
        h('dt', null, h('kbd', null, '↑'), h('kbd', null, '↓')), h('dd', null, 'the row above, the row below; in a picture, its points'),
        h('dt', null, h('kbd', null, 'Enter')), h('dd', null, 'open it'))),
      h('label', { class: 'check-line', for: 'keys-on' }, box, 'Single keys act as shortcuts'));
    if (!this.dialog.open) this.dialog.showModal();
  }

  private press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented || typing(event.target) || this.dialog.open) return;
    if (event.key === '?') {
      event.preventDefault();
      this.help();
      return;
    }
    if (off() || event.key.length !== 1) return;
    const tried = this.pending ? `${this.pending} ${event.key}` : event.key;
    this.pending = '';
    window.clearTimeout(this.timer);
    const all = [...this.ofPage, ...this.always];
    const found = all.find((one) => one.key === tried) ?? all.find((one) => one.key === event.key);
    if (found) {
      event.preventDefault();
      found.action();
    } else if (all.some((one) => one.key.startsWith(`${event.key} `))) {
      this.pending = event.key;
      this.timer = window.setTimeout(() => { this.pending = ''; }, 1200);
    }
  }
}

/// Up, down, home and end move between the elements of `host` that `selector` finds.
export function arrows(host: HTMLElement, selector: string): void {
  host.addEventListener('keydown', (event) => {
    const keys = ['ArrowDown', 'ArrowUp', 'Home', 'End'];
    if (!keys.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && (event.target as HTMLInputElement).type !== 'checkbox') return;
    const all = Array.from(host.querySelectorAll<HTMLElement>(selector));
    if (all.length === 0) return;
    const row = (element: Element | null): number => all.findIndex((one) => one === element || (element !== null && one.closest('tr, li') !== null && one.closest('tr, li') === element.closest('tr, li')));
    const at = row(document.activeElement);
    const next = event.key === 'Home' ? 0 : event.key === 'End' ? all.length - 1 : event.key === 'ArrowDown' ? Math.min(all.length - 1, at + 1) : Math.max(0, at - 1);
    event.preventDefault();
    all[next].focus();
    all[next].scrollIntoView({ block: 'nearest' });
  });
}

/// A table whose cells are reached with the arrow keys: one of them is a stop for the tab key, the others are beside it.
export function gridKeys(host: HTMLElement, rows: string, cells: string): void {
  const grid = Array.from(host.querySelectorAll(rows), (row) => Array.from(row.querySelectorAll<HTMLElement>(cells)));
  const first = grid.find((row) => row.length > 0)?.[0];
  if (!first) return;
  let current = first;
  const stop = (element: HTMLElement): void => {
    current.tabIndex = -1;
    current = element;
    current.tabIndex = 0;
  };
  stop(first);
  host.addEventListener('focusin', (event) => { if (event.target instanceof HTMLElement && event.target.matches(cells)) stop(event.target); });
  host.addEventListener('keydown', (event) => {
    const steps: Record<string, [number, number]> = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], Home: [0, -Infinity], End: [0, Infinity] };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement) || !event.target.matches(cells)) return;
    const row = grid.findIndex((one) => one.includes(current));
    const column = grid[row].indexOf(current);
    const within = (at: number, length: number): number => Math.min(length - 1, Math.max(0, at));
    const below = grid[within(row + step[0], grid.length)];
    const next = below[within(column + step[1], below.length)];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
}
