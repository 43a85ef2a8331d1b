/// Every page of the dashboard: its address, its place in the navigation, its file.

import type { Route } from './page';
import overview from './pages/overview';
import runs from './pages/runs';

const ready = <T>(page: T): (() => Promise<{ default: T }>) => () => Promise.resolve({ default: page });

export const routes: readonly Route[] = [
  { path: '/', nav: { label: 'Overview', key: 'o', group: 'Evidence' }, module: ready(overview) },
  { path: '/runs', nav: { label: 'Runs', key: 'r', group: 'Evidence' }, module: ready(runs) },
  { path: '/runs/:run', module: () => import('./pages/run') },
];
