import { Artifact, formatNumber, groupRows } from '../artifact';
import { note } from './lines';

/// Tiles of one sheet, each with its words. The sheet itself is an image of the page that this picture stands in for.
export function gallery(host: HTMLElement, artifact: Artifact, width: number): void {
  const sheet = host.closest('figure')?.querySelector<HTMLImageElement>('img.sheet');
  if (!sheet) return;
  const tileWidth = artifact.factNumber('tile_width');
  const tileHeight = artifact.factNumber('tile_height');
  const across = artifact.factNumber('columns');
  if (!(tileWidth > 0 && tileHeight > 0 && across > 0)) return;
  const scale = Math.max(1, Math.round(84 / Math.max(tileWidth, tileHeight)));
  const rowsDown = Math.ceil(artifact.length / across);
  const caption = artifact.texts('caption');
  const row = artifact.numbers('row');
  const label = artifact.texts('label');
  const predicted = artifact.texts('predicted');
  const confidence = artifact.numbers('confidence');
  const most = width < 600 ? 40 : 120;
  let left = most;
  for (const { name, rows } of groupRows(artifact.texts('group'))) {
    if (left <= 0) break;
    if (name) {
      const title = document.createElement('p');
      title.className = 'tile-group';
      title.textContent = name;
      host.append(title);
    }
    const list = document.createElement('ul');
    list.className = 'tiles';
    for (const i of rows.slice(0, left)) {
      const item = document.createElement('li');
      const wrong = label[i] !== '' && predicted[i] !== '' && label[i] !== predicted[i];
      const picture = document.createElement('div');
      picture.className = scale > 1 ? 'tile pixels' : 'tile';
      picture.setAttribute('role', 'img');
      picture.setAttribute('aria-label', caption[i] || `example ${i + 1}`);
      picture.style.width = `${tileWidth * scale}px`;
      picture.style.height = `${tileHeight * scale}px`;
      picture.style.backgroundImage = `url("${sheet.src}")`;
      picture.style.backgroundSize = `${tileWidth * across * scale}px ${tileHeight * rowsDown * scale}px`;
      picture.style.backgroundPosition = `${-(i % across) * tileWidth * scale}px ${-Math.floor(i / across) * tileHeight * scale}px`;
      item.append(picture);
      const words = document.createElement('div');
      words.className = 'tile-words';
      add(words, 'tile-caption', caption[i]);
      if (predicted[i] !== '' || label[i] !== '') {
        add(words, wrong ? 'tile-verdict wrong' : 'tile-verdict', [label[i] && `is ${label[i]}`, predicted[i] && `read as ${predicted[i]}${Number.isFinite(confidence[i]) ? ` (${formatNumber(confidence[i])})` : ''}`].filter(Boolean).join(', '));
      }
      if (Number.isFinite(row[i])) add(words, 'tile-row', `row ${formatNumber(row[i])}`);
      item.append(words);
      list.append(item);
    }
    left -= rows.length;
    host.append(list);
  }
  sheet.hidden = true;
  if (artifact.length > most) note(host, `The first ${most} of ${artifact.length} examples; the sheet in the artifacts folder has the others.`);
}

function add(parent: HTMLElement, className: string, text: string): void {
  if (!text) return;
  const line = document.createElement('div');
  line.className = className;
  line.textContent = text;
  parent.append(line);
}
