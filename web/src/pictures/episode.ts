import { scaleLinear } from 'd3-scale';
import { select } from 'd3-selection';
import { line } from 'd3-shape';
import type { Artifact } from '../artifact';
import { formatNumber } from '../artifact';
import { Chart, legend, shapePath } from '../chart';

const kSide = 26;
const kSpeeds = [['slow', 500], ['normal', 160], ['fast', 40]] as const;
/// The step at which a reader left the episode, for when it is drawn again in another width.
const left = new WeakMap<Artifact, number>();

/// The leading lines of equal length are a board; what follows are words (as world::split_drawing has it). Lines that hold words are
/// no board, though they may be as long as each other.
export function split(frame: string): { board: string[]; words: string[] } {
  const lines = frame.replace(/\n$/, '').split('\n');
  const length = lines[0]?.length ?? 0;
  const end = lines.findIndex((one) => one.length !== length || one === '');
  const rows = end < 0 ? lines.length : end;
  const drawn = rows >= 2 && length >= 2 && length <= 64 && !lines.slice(0, rows).some((one) => /[a-z]{3}/.test(one));
  return drawn ? { board: lines.slice(0, rows), words: lines.slice(rows) } : { board: [], words: lines };
}

function tileClass(mark: string): string {
  if (mark === '#') return 'wall';
  if (' .A^v<>'.includes(mark)) return 'floor';
  return mark === 'G' ? 'goal' : `t${mark.charCodeAt(0) % 8}`;
}

/// Walls dark, floor light, the agent a disc, every other mark a tile of its own colour with its letter.
function drawBoard(host: HTMLElement, frame: string, label: string): void {
  const { board, words } = split(frame);
  host.replaceChildren();
  if (board.length > 0) {
    const [width, height] = [board[0].length * kSide, board.length * kSide];
    const scale = Math.min(1.7, Math.max(1, 300 / Math.max(width, height)));
    const svg = select(host).append('svg').attr('width', Math.round(width * scale)).attr('height', Math.round(height * scale)).attr('viewBox', `0 0 ${width} ${height}`).attr('role', 'img').attr('aria-label', label);
    board.forEach((row, r) => Array.from(row).forEach((mark, c) => {
      svg.append('rect').attr('class', tileClass(mark)).attr('x', c * kSide).attr('y', r * kSide).attr('width', kSide).attr('height', kSide);
      if (mark === 'A') svg.append('circle').attr('class', 'agent').attr('cx', (c + 0.5) * kSide).attr('cy', (r + 0.5) * kSide).attr('r', kSide * 0.36);
      else if (!' .#'.includes(mark)) svg.append('text').attr('x', (c + 0.5) * kSide).attr('y', (r + 0.5) * kSide).attr('dy', '0.35em').attr('text-anchor', 'middle').text(mark);
    }));
  }
  if (words.some((one) => one.trim() !== '')) {
    const text = document.createElement('pre');
    text.textContent = words.join('\n');
    host.append(text);
  }
}

const running = (values: number[]): number[] => {
  let sum = 0;
  return values.map((value, i) => (sum += i > 0 && Number.isFinite(value) ? value : 0));
};

/// What the reward has paid and what was truly achieved, up to the step that is shown.
function drawSums(host: HTMLElement, width: number, earned: number[], achieved: number[]): (at: number) => void {
  const chart = new Chart(host, width, 230, { top: 14, right: 60 }, 'Reward and truth so far');
  const all = [...earned, ...achieved];
  const x = scaleLinear().domain([0, Math.max(1, earned.length - 1)]).range([0, chart.width]);
  const y = scaleLinear().domain([Math.min(0, ...all), Math.max(0.001, ...all)]).range([chart.height, 0]).nice();
  chart.axisX(x, 'step', formatNumber);
  chart.axisY(y, 'so far', formatNumber);
  chart.group('diagonal').append('line').attr('x1', 0).attr('x2', chart.width).attr('y1', y(0)).attr('y2', y(0));
  const series = [earned, achieved].map((sums, index) => {
    const group = chart.group(`s${index}`);
    const path = line<number>().x((_, i) => x(i)).y((value) => y(value));
    const drawn = group.append('path').attr('class', 'line');
    const dot = group.append('path').attr('class', 'dot').attr('d', shapePath(index, 60));
    const words = group.append('text').attr('class', 'tick-label').attr('dy', '0.35em');
    return { sums, path, drawn, dot, words };
  });
  legend(host, ['reward it is paid', 'what people want']);
  return (at) => {
    const apart = Math.abs(y(earned[at]) - y(achieved[at])) < 13 ? (earned[at] >= achieved[at] ? -7 : 7) : 0;
    series.forEach(({ sums, path, drawn, dot, words }, index) => {
      drawn.attr('d', path(sums.slice(0, at + 1)));
      dot.attr('transform', `translate(${x(at)},${y(sums[at])})`);
      words.attr('x', x(at) + 9).attr('y', y(sums[at]) + (index === 0 ? apart : -apart)).text(formatNumber(sums[at]));
    });
  };
}

/// An episode step by step: the board, what was earned and achieved so far, and the means to play, pause, step and jump.
export function episode(host: HTMLElement, artifact: Artifact, width: number): void {
  const frames = artifact.texts('frame');
  const actions = artifact.texts('action');
  const rewards = artifact.numbers('reward');
  const truths = artifact.numbers('truth');
  const earned = running(rewards);
  const achieved = running(truths);
  const last = frames.length - 1;
  const element = <K extends keyof HTMLElementTagNameMap>(tag: K, name: string): HTMLElementTagNameMap[K] => {
    const made = document.createElement(tag);
    made.className = name;
    return made;
  };
  const stage = element('div', 'episode');
  const board = element('div', 'episode-board');
  const sums = element('div', 'episode-sums');
  const words = element('p', 'episode-words');
  words.setAttribute('aria-live', 'polite');
  const controls = element('div', 'episode-controls');
  const button = (label: string, name: string, act: () => void, css = 'quiet'): HTMLButtonElement => {
    const made = element('button', css);
    made.type = 'button';
    made.textContent = label;
    if (name) made.setAttribute('aria-label', name);
    made.addEventListener('click', act);
    controls.append(made);
    return made;
  };
  stage.append(board, sums);
  host.append(stage, controls, words);
  const known = truths.some((value) => Number.isFinite(value)) || rewards.some((value) => Number.isFinite(value));
  const grow = known ? drawSums(sums, Math.max(220, width > 660 ? Math.floor(width / 2) - 12 : width), earned, achieved) : () => undefined;
  let at = 0;
  let timer = 0;
  let pause = 160;
  const slider = element('input', '');
  const show = (step: number): void => {
    at = Math.min(last, Math.max(0, step));
    left.set(artifact, at);
    drawBoard(board, frames[at], `${artifact.title}, step ${at}`);
    grow(at);
    words.textContent = `Step ${at} of ${last}${actions[at] ? `: ${actions[at]}` : ''}${Number.isFinite(rewards[at]) && at > 0 ? `; this step paid ${formatNumber(rewards[at])}` : ''}; earned ${formatNumber(earned[at])}, achieved ${formatNumber(achieved[at])}`;
    slider.value = String(at);
  };
  const stop = (): void => {
    window.clearInterval(timer);
    timer = 0;
    play.textContent = 'Play';
    words.setAttribute('aria-live', 'polite');
  };
  const start = (): void => {
    if (at === last) show(0);
    play.textContent = 'Pause';
    words.setAttribute('aria-live', 'off');
    timer = window.setInterval(() => {
      if (!host.isConnected || at >= last) stop();
      else show(at + 1);
    }, pause);
  };
  const step = (to: number): void => {
    if (timer !== 0) stop();
    show(to);
  };
  button('«', 'First step', () => step(0));
  button('‹', 'Step back', () => step(at - 1));
  const play = button('Play', '', () => (timer !== 0 ? stop() : start()), 'quiet play');
  button('›', 'Step on', () => step(at + 1));
  button('»', 'Last step', () => step(last));
  slider.type = 'range';
  slider.min = '0';
  slider.max = String(last);
  slider.setAttribute('aria-label', `Step of ${artifact.title}`);
  slider.addEventListener('input', () => step(Number(slider.value)));
  controls.append(slider);
  const speed = button('normal', 'Speed: normal', () => {
    const next = (kSpeeds.findIndex(([name]) => name === speed.textContent) + 1) % kSpeeds.length;
    speed.textContent = kSpeeds[next][0];
    speed.setAttribute('aria-label', `Speed: ${kSpeeds[next][0]}`);
    pause = kSpeeds[next][1];
    if (timer !== 0) {
      stop();
      start();
    }
  });
  controls.addEventListener('keydown', (event) => {
    const to: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last };
    if (event.target === slider || !(event.key in to)) return;
    event.preventDefault();
    step(to[event.key]);
  });
  show(left.get(artifact) ?? 0);
}
