/// How an input, a training row, an uncertainty and a reading look; used by the live guard and by the overseer's page.

import { formatNumber } from '../../artifact';
import { h } from '../dom';
import type { Detail, Looks, Measured, Neighbour, Part, Reading } from './guard';
import { measures } from './guard';
import { icon } from '../words';

export const measureWords: Record<Measured, { name: string; says: string }> = {
  aleatoric: { name: 'Noise', says: 'cases like this one have more than one right answer' },
  model: { name: 'Thin data', says: 'too few rows like this: another sample could have taught something else' },
  distributional: { name: 'Novelty', says: 'is this like the data it was fitted to? A small p-value says no' },
};

const kMostPixels = 1 << 20;

/// Bytes as a picture, enlarged without smoothing; null where they are no picture.
export function picture(image: NonNullable<Looks['image']>, words: string, side: number): HTMLElement | null {
  const { channels, height, width } = image;
  if (!(height > 0 && width > 0 && (channels === 1 || channels === 3) && height * width * channels <= kMostPixels)) return null;
  let bytes: string;
  try {
    bytes = window.atob(image.bytes);
  } catch {
    return null;
  }
  if (bytes.length !== channels * height * width) return null;
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (!context) return null;
  const pixels = context.createImageData(width, height);
  for (let at = 0; at < height * width; ++at) {
    for (let channel = 0; channel < 3; ++channel) pixels.data[4 * at + channel] = bytes.charCodeAt((channels === 3 ? channel : 0) * height * width + at);
    pixels.data[4 * at + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', words);
  canvas.className = 'looks-image';
  canvas.style.setProperty('width', `${side}px`);
  return canvas;
}

export function value(of: number | string | null): string {
  return of === null ? 'absent' : typeof of === 'number' ? formatNumber(of) : of;
}

/// A row as a picture or as its values; null where nothing of it may be seen.
export function looks(row: Looks, words: string, side: number): HTMLElement | null {
  const drawn = row.image ? picture(row.image, words, side) : null;
  if (drawn) return drawn;
  if (!row.columns || row.columns.length === 0) return null;
  return h('dl', { class: 'looks-values' }, row.columns.map((column) => h('div', null, h('dt', null, column.name), h('dd', null, value(column.value)))),
    row.left_out !== undefined && row.left_out > 0 && h('div', { class: 'muted' }, `and ${formatNumber(row.left_out)} more`));
}

/// The training rows that are most like the case at hand.
export function neighbours(rows: readonly Neighbour[]): HTMLElement {
  return h('ul', { class: 'neighbours' }, rows.map((row) => h('li', null,
    looks(row, `training example labelled ${row.label}`, 72) ?? h('p', { class: 'muted hidden-row' }, 'may not be shown'),
    h('div', { class: 'neighbour-words' }, h('b', null, row.label), h('span', { class: 'muted' }, `distance ${formatNumber(row.distance)}`),
      h('span', { class: 'muted' }, `${row.data}, row ${formatNumber(row.row)}`, row.blurred && ', blurred')))));
}

/// Where a value stands between what is usual and what is not: a p-value between 0 and 1, an entropy up to that of a coin among `options`.
function share(name: Measured, part: Part, options: number): number {
  if (part.unit === 'p-value') return part.value;
  if (part.unit === 'nat') return part.value / Math.log(Math.max(2, options));
  return name === 'distributional' ? part.value : NaN;
}

function bar(fraction: number): HTMLElement | false {
  if (!Number.isFinite(fraction)) return false;
  const shown = Math.min(1, Math.max(0, fraction));
  return h('span', { class: 'level', 'aria-hidden': 'true' }, h('span', { css: { width: `${(100 * shown).toFixed(1)}%` } }));
}

/// The three measured parts with value, unit and estimator; a part that was not measured says so.
export function uncertainties(detail: Detail | undefined, options: number): HTMLElement {
  const parts = detail?.uncertainty ?? {};
  return h('dl', { class: 'doubts' }, measures.map((name) => {
    const part = parts[name];
    const words = measureWords[name];
    return h('div', { class: `doubt ${name}` }, h('dt', null, h('b', null, words.name), h('span', { class: 'muted' }, name)),
      h('dd', null, part ? [h('span', { class: 'doubt-value' }, formatNumber(part.value), ' ', h('span', { class: 'unit' }, part.unit)), bar(share(name, part, options)),
        h('span', { class: 'muted doubt-says', title: part.estimator }, words.says)] : h('span', { class: 'muted' }, 'not measured')));
  }));
}

/// What the model holds to be right, with which probability; nothing where it does not say.
export function candidates(of: readonly { action: string; probability: number }[] | undefined): HTMLElement | false {
  if (!of || of.length === 0) return false;
  return h('dl', { class: 'chances' }, of.slice(0, 8).map((one) => h('div', null, h('dt', null, one.action), h('dd', null, bar(one.probability), formatNumber(Number(Number(one.probability).toPrecision(3)))))));
}

export function disagree(readings: readonly Reading[]): boolean {
  return readings.some((reading) => reading.action !== readings[0].action);
}

/// The fourth: what was meant may be read in several ways, and what each would have us do. Never a number.
export function readingsList(readings: readonly Reading[] | undefined): HTMLElement {
  if (!readings || readings.length === 0) return h('p', { class: 'muted' }, 'No readings of what is wanted are declared.');
  const apart = disagree(readings);
  const said = readings.length === 1 ? 'There is one reading of what is wanted.' : apart ? 'What is wanted can be read in ways that disagree here:' : 'Every reading of what is wanted recommends the same:';
  return h('div', { class: 'readings' }, h('p', { class: apart ? 'apart' : 'muted' }, apart && icon('unsure', 'unsure'), said),
    h('ul', null, readings.map((reading) => h('li', null, h('span', { class: 'reading-name' }, reading.name), h('span', { class: 'muted' }, ' recommends '), h('b', null, reading.action),
      reading.weight !== undefined && h('span', { class: 'muted' }, ` (weight ${formatNumber(reading.weight)})`)))));
}
