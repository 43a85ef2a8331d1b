/// Artifacts as the report shows them: title, caption, picture, facts, and the table behind it. The pictures are a chunk of
/// their own that is loaded with the first of them.

import type { Embedded } from '../artifact';
import { Artifact, formatNumber } from '../artifact';
import { drawPicture } from '../draw';
import { enhanceTable } from '../table';
import type { Api } from './api';
import { clean, h } from './dom';
import { region } from './states';
import { plural } from './words';

/// What GET /api/runs/ID/artifacts/SHA says.
interface Stored {
  artifact: Embedded;
  caption?: string;
  rows?: number;
  kept?: number;
  thinned?: boolean;
  image?: string | null;
}

/// Facts that say how a picture is drawn; the others are listed under it.
const kDrawing = new Set(('x_label y_label x_scale y_scale reference reference_label marker marker_label changes changes_at level step play row_label column_label worse domain_low '
  + 'domain_high midpoint value_label size_label tile_width tile_height columns').split(' '));

/// The pictures and tables set text as it comes, so it is cleaned before they see it.
function cleaned(data: Embedded): Artifact {
  return new Artifact({ ...data, title: clean(data.title), facts: Object.fromEntries(Object.entries(data.facts ?? {}).map(([name, value]) => [name, clean(String(value))])),
    columns: data.columns.map((column) => ({ name: clean(column.name), unit: clean(column.unit ?? ''), values: column.values.map((value) => (typeof value === 'string' ? clean(value) : value)) })) });
}

/// Draws `data` into `host` once the pictures are there.
export async function picture(host: HTMLElement, data: Embedded | Artifact): Promise<void> {
  const artifact = data instanceof Artifact ? data : cleaned(data);
  const { pictures } = await import('../pictures/index');
  const kind = pictures.get(artifact.kind);
  if (kind && artifact.length > 0) drawPicture(host, artifact, kind, (drawn) => { host.dataset.drawn = drawn; });
}

function behind(artifact: Artifact): HTMLElement {
  const numeric = artifact.columns.map((column) => typeof column.values.find((value) => value !== null) === 'number');
  const texts = artifact.columns.map((column) => artifact.texts(column.name));
  const table = h('table', { class: 'artifact', 'aria-label': artifact.title || artifact.id },
    h('thead', null, h('tr', null, artifact.columns.map((column, at) => h('th', { scope: 'col', class: numeric[at] ? 'number' : null }, column.name, column.unit && column.unit !== '1' && column.unit !== column.name && ` (${column.unit})`)))),
    h('tbody', null, artifact.length < 2 && h('tr', null, texts.map((column, at) => h('td', { class: numeric[at] ? 'number' : null }, column[0])))));
  const frame = h('div', { class: 'table-scroll', tabindex: 0, role: 'region', 'aria-label': `Table: ${artifact.title || artifact.id}` }, table);
  const host = h('div', null, frame);
  enhanceTable(table, artifact);
  return host;
}

export function isWide(kind: string, rows: number): boolean {
  return ['gallery', 'treemap', 'fates', 'table', 'network', 'episode'].includes(kind) || (kind === 'grid' && rows > 60) || (kind === 'confusion' && rows > 144);
}

/// The whole figure of one artifact.
export function figure(stored: Stored): HTMLElement {
  const artifact = cleaned(stored.artifact);
  const drawn = artifact.kind !== 'table' && artifact.kind !== 'row-outcomes';
  const host = h('div', { class: 'picture' });
  const facts = Object.entries(stored.artifact.facts ?? {}).filter(([name]) => !kDrawing.has(name)).slice(0, 24);
  const image = stored.image && /^data:image\/png;base64,/.test(stored.image) ? h('img', { class: 'sheet', alt: artifact.title, src: stored.image }) : null;
  const rows = stored.rows ?? artifact.length;
  const details = h('details', null, h('summary', null, `Table behind it (${plural(rows, 'row')})`));
  details.addEventListener('toggle', () => details.append(behind(artifact)), { once: true });
  const made = h('figure', { class: isWide(artifact.kind, artifact.length) ? 'wide' : null, 'data-kind': artifact.kind },
    h('p', { class: 'title' }, artifact.title || artifact.id), stored.caption && h('figcaption', null, stored.caption), drawn && host, image,
    facts.length > 0 && h('dl', { class: 'facts' }, facts.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value)))),
    artifact.length > 0 && (drawn ? details : behind(artifact)),
    stored.kept !== undefined && stored.kept < rows && h('p', { class: 'kept' }, `${formatNumber(stored.kept)} of ${formatNumber(rows)} rows are here (${stored.thinned ? 'thinned evenly' : 'the first ones'}); the report's folder has the whole table.`));
  if (drawn) void picture(host, artifact).catch((error: unknown) => { console.error(error); host.replaceChildren(h('p', { class: 'picture-note' }, 'The pictures could not be loaded; the table is below.')); });
  return made;
}

/// A place that fetches an artifact of a run and becomes its figure when it comes into sight.
export function lazyFigure(api: Api, run: string, sha: string, title: string, wide = false): HTMLElement {
  const host = h('div', { class: wide ? 'figure-place wide' : 'figure-place' }, h('p', { class: 'muted' }, title));
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    void region(host, `Loading ${title}`, () => api.get<Stored>(`/api/runs/${encodeURIComponent(run)}/artifacts/${encodeURIComponent(sha)}`), figure);
  }, { rootMargin: '300px' });
  watch.observe(host);
  return host;
}
