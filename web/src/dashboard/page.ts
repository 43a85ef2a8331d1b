/// What a page of the dashboard is, and what it is given while a reader is on it.

import type { Api } from './api';

/// One visit of a page. It ends when the reader goes elsewhere: `signal` then aborts, and with it every request and timer.
export interface Visit {
  /// Named parts of the address: `run` of "/runs/:run".
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
  readonly api: Api;
  /// Changes the query in the address without leaving the page; an empty value removes the name. "push" makes a step that the
  /// browser's back button undoes, "replace" (while typing) none. The page itself draws what follows from it.
  setQuery(changes: Record<string, string | number | null>, how?: 'push' | 'replace'): void;
  /// Loads and draws the page again.
  reload(): void;
  /// Goes to an address made by path().
  go(address: string): void;
  /// Runs `work` every so many seconds until the visit ends; not while the tab is hidden, and never twice at once.
  every(seconds: number, work: () => Promise<void> | void): void;
  /// A key of this page, listed under "?". Keys are not taken while someone types.
  shortcut(key: string, words: string, action: () => void): void;
  /// Says something to a screen reader.
  announce(words: string): void;
}

export interface Page<T = unknown> {
  /// The title of the window, and of the heading that takes the focus.
  title: string | ((data: T, visit: Visit) => string);
  /// Gets what the page shows. A rejection is shown as an error with a button that tries again.
  load(visit: Visit): Promise<T>;
  /// Builds the page with h() and s() of dom.ts; it should hold one <h1>.
  render(data: T, visit: Visit): Node | Promise<Node>;
}

/// A page with the type of its data checked; the default export of a file in pages/.
export function definePage<T>(page: Page<T>): Page {
  return page as unknown as Page;
}

/// A page's address, where it stands in the navigation, and the file that holds it (loaded when first visited).
export interface Route {
  path: string;
  nav?: { label: string; key?: string; group: 'Evidence' | 'Worlds' | 'Live' };
  /// Left out of the navigation where this says no (a page that needs a guard, for example).
  when?: (overview: Overview) => boolean;
  module: () => Promise<{ default: Page }>;
}

/// What GET /api/overview says.
export interface Overview {
  version: string;
  stores: { name: string; runs: number }[];
  guard: { url: string } | null;
  gauntlet: number;
  caller: { name: string; scopes: string[] };
  tokens: boolean;
}
