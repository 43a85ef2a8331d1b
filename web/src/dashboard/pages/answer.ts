/// The overseer's page: one question at a time, answered by a key. It says why it is asked, what is like it, and what happens
/// if nobody answers.

import { formatInterval, formatNumber } from '../../artifact';
import { ApiError, token } from '../api';
import type { Child } from '../dom';
import { fill, h } from '../dom';
import type { Choice, Task } from '../live/choices';
import { task } from '../live/choices';
import { left, now } from '../live/clock';
import type { Question, Rater } from '../live/guard';
import { GuardApi } from '../live/guard';
import { candidates, looks, neighbours, readingsList, uncertainties } from '../live/looks';
import type { State } from '../live/overseer';
import { fallbackWords, Overseer } from '../live/overseer';
import { liveStyle } from '../live/style';
import { definePage } from '../page';
import type { Overview, Visit } from '../page';
import { failure } from '../states';
import { duration, heading, icon } from '../words';

const kName = 'plumbline-rater';

function storedName(): string {
  try {
    return window.sessionStorage.getItem(kName) ?? '';
  } catch {
    return '';
  }
}

function choiceButton(choice: Choice, state: State, choose: (choice: Choice) => void): HTMLElement {
  const chosen = state.chosen === choice.action;
  return h('button', { type: 'button', class: `choice ${choice.first ? 'first' : 'other'} ${chosen ? 'chosen-one' : ''}`.trim(), disabled: state.phase === 'sending', 'aria-pressed': chosen ? 'true' : null,
    'data-action': choice.action, on: { click: () => choose(choice) } },
  choice.key && h('kbd', { 'aria-hidden': 'true' }, choice.key), h('span', { class: 'choice-words' }, choice.words),
  choice.irreversible && h('span', { class: 'choice-note' }, icon('unsure', 'unsure'), 'cannot be undone; two people'));
}

function choicesOf(of: Task, state: State, choose: (choice: Choice) => void): HTMLElement {
  const main = of.choices.filter((choice) => choice.first);
  const rest = of.choices.filter((choice) => !choice.first);
  return h('div', { class: 'choices-area' },
    h('div', { class: `choices ${of.beside ? 'beside' : ''}`.trim(), role: 'group', 'aria-label': 'Answers' }, main.map((choice) => choiceButton(choice, state, choose))),
    rest.length > 0 && [h('p', { class: 'or muted' }, of.beside ? 'or another action' : 'or instead'),
      h('div', { class: 'choices rest', role: 'group', 'aria-label': 'Other answers' }, rest.map((choice) => choiceButton(choice, state, choose)))]);
}

function confirmation(state: State, overseer: Overseer): HTMLElement {
  const second = (state.held?.question.answers ?? 0) > 0;
  return h('div', { class: 'confirm', role: 'alertdialog', 'aria-labelledby': 'confirm-words', on: { keydown: (event: KeyboardEvent) => { if (event.key === 'Escape') overseer.back(); } } },
    h('p', { id: 'confirm-words' }, icon('unsure', 'unsure'), h('span', null, h('b', null, `“${state.chosen}” cannot be undone. `),
      second ? 'One person has answered already; it is carried out if you say the same.' : 'It counts only when a second person says the same.')),
    h('div', { class: 'actions' }, h('button', { type: 'button', class: 'primary big', id: 'confirm', on: { click: () => void overseer.answer() } }, h('kbd', { 'aria-hidden': 'true' }, 'Enter'), ' Confirm'),
      h('button', { type: 'button', class: 'quiet big', on: { click: () => overseer.back() } }, h('kbd', { 'aria-hidden': 'true' }, 'Esc'), ' Back')));
}

function peopleNote(question: Question): Child {
  if ((question.answers ?? 0) > 0) return h('p', { class: 'note' }, icon('unsure', 'unsure'), h('span', null, h('b', null, 'One person has answered.'), ' Yours is the second answer: if it differs, the safe action is taken.'));
  if (question.two_people_for.length === 0) return null;
  return h('p', { class: 'note' }, icon('unsure', 'unsure'), h('span', null, question.two_people_for.map((action, at) => [at > 0 && ', ', h('b', null, action)]), ' cannot be undone: another person must agree.'));
}

/// What else may be done with a question, for fingers as for keys.
function otherWays(question: Question, overseer: Overseer): HTMLElement {
  const way = (key: string, words: string, act: () => void): HTMLElement => h('button', { type: 'button', class: 'quiet way', on: { click: act } }, h('kbd', { 'aria-hidden': 'true' }, key), ` ${words}`);
  return h('div', { class: 'ways', role: 'group', 'aria-label': 'Without an answer' },
    way('V', question.if_nobody_answers === null ? 'Veto: refuse at once' : `Veto: “${question.if_nobody_answers}” at once`, () => void overseer.veto()),
    way('S', 'Skip', () => void overseer.release(true)), way('R', 'Give back and pause', () => void overseer.release(false)));
}

/// A question with everything that helps to answer it. Built once; the clock changes only its two countdowns.
class QuestionView {
  readonly element: HTMLElement;
  private readonly time = h('span', { class: 'time-left' });
  private readonly level = h('span', null);
  private readonly lease = h('span', { class: 'muted' });
  private readonly answers = h('div', null);
  private readonly of: Task;
  private drawn = '';

  constructor(readonly question: Question, private readonly overseer: Overseer) {
    this.of = task(question);
    const asked = question.input ? looks(question.input, 'the input at hand', 168) : null;
    const nearest = question.detail?.nearest ?? [];
    const held = candidates(question.candidates);
    this.element = h('article', { class: `question ${this.of.kind}`, 'aria-labelledby': 'question-title', 'data-question': String(question.question) },
      h('header', { class: 'question-head' }, h('p', { class: 'muted question-number' }, `Question ${question.question}`, question.unit && [' about ', h('b', null, question.unit)]),
        h('h2', { id: 'question-title', tabindex: -1 }, this.of.title), h('p', { class: 'muted' }, this.of.says, question.expected_seconds !== undefined && ` Such questions take about ${left(question.expected_seconds)}.`)),
      h('div', { class: 'deadline', role: 'group', 'aria-label': 'If nobody answers' }, h('span', { class: 'level clock', 'aria-hidden': 'true' }, this.level),
        h('p', null, this.time, h('span', { class: 'muted' }, ' left. If nobody answers, '), h('b', null, fallbackWords(question)), '. ', this.lease)),
      peopleNote(question),
      h('div', { class: 'question-body' },
        h('div', { class: 'question-left' }, asked && h('section', { class: 'input-card', 'aria-label': 'The input' }, h('h3', null, 'The case'), asked), this.answers, otherWays(question, overseer)),
        h('div', { class: 'question-right' },
          h('section', { 'aria-label': 'Why it is asked' }, h('h3', null, 'Why it is asked'), h('p', { class: 'reason-words' }, question.reason),
            uncertainties(question.detail, question.actions.length), readingsList(question.readings)),
          held && h('section', { 'aria-label': 'What the model holds to be right' }, h('h3', null, 'What the model holds to be right'), held),
          nearest.length > 0 && h('section', { 'aria-label': 'Nearest training examples' }, h('h3', null, 'Nearest training examples'), neighbours(nearest)))));
  }

  get choices(): readonly Choice[] {
    return this.of.choices;
  }

  get spoken(): string {
    return `${this.of.title} ${this.choices.map((choice) => (choice.key ? `${choice.key}: ${choice.words}` : choice.words)).join(', ')}.`;
  }

  /// Builds the answers anew only where they changed: who has stepped to one of them stays there.
  draw(state: State): void {
    const drawn = `${state.phase} ${state.chosen ?? ''}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const inside = this.answers.contains(document.activeElement);
    fill(this.answers, choicesOf(this.of, state, (choice) => this.overseer.choose(choice.action, choice.irreversible)), state.phase === 'confirming' && confirmation(state, this.overseer),
      state.phase === 'sending' && h('p', { class: 'muted sending' }, 'Sending…'));
    if (state.phase === 'confirming') this.element.querySelector<HTMLElement>('#confirm')?.focus();
    else if (inside) this.element.querySelector<HTMLElement>('#question-title')?.focus({ preventScroll: true });
    this.tick(state);
  }

  tick(state: State): void {
    const { held } = state;
    if (!held) return;
    const remaining = held.deadline - now();
    this.time.textContent = left(remaining);
    this.level.style.setProperty('width', `${(100 * Math.min(1, Math.max(0, remaining / held.asked))).toFixed(1)}%`);
    this.element.classList.toggle('hurry', remaining < 5);
    const leased = held.leaseEnds - now();
    this.lease.textContent = held.leaseEnds < held.deadline - 0.5 ? `Yours for ${left(leased)}.` : '';
  }
}

function own(rater: Rater | null | undefined, name: string): Child {
  if (rater === undefined) return h('p', { class: 'muted' }, 'Your record is not shown: the token lacks the scope read.');
  const facts: [string, Child][] = rater === null ? [] : [
    ['answers', formatNumber(rater.answers)], ['each takes', rater.seconds_per_answer === undefined ? '–' : duration(rater.seconds_per_answer)],
    ['right on known questions', rater.gold_rate ? [formatInterval(rater.gold_rate.value, rater.gold_rate.low ?? NaN, rater.gold_rate.high ?? NaN), h('span', { class: 'muted' }, ` ${rater.gold_right} of ${rater.gold_answered}`)] : 'not measured yet'],
    ['agreed with others', rater.pairs === 0 ? 'not measured yet' : `${rater.pairs_agreed} of ${rater.pairs}`], ['taken back', formatNumber(rater.undone)], ['vetoes', formatNumber(rater.vetoes)],
  ];
  return [name && h('p', { class: 'own-name' }, name), facts.length === 0 ? h('p', { class: 'muted' }, 'No answers yet.') : h('dl', { class: 'own-facts' }, facts.map(([words, value]) => h('div', null, h('dt', null, words), h('dd', null, value))))];
}

class AnswerPage {
  readonly element: HTMLElement;
  private readonly notice = h('div', { class: 'notice-host', role: 'status' });
  private readonly trouble = h('div', { class: 'stale-banner', role: 'alert', hidden: true });
  private readonly stage = h('div', { class: 'stage' });
  private readonly last = h('div', { class: 'given-host', role: 'status' });
  private readonly record = h('section', { class: 'card own', 'aria-labelledby': 'own' });
  private readonly ownBody = h('div', null);
  private readonly countdown = h('b', { 'aria-hidden': 'true' });
  private readonly guard: GuardApi;
  private readonly overseer: Overseer;
  private view: QuestionView | null = null;
  private said = -1;
  private knew = '';
  private readonly drawn = new Map<HTMLElement, unknown>();

  constructor(private readonly visit: Visit, name: string | null) {
    this.guard = new GuardApi(visit.api, visit.signal);
    this.overseer = new Overseer(this.guard, name, () => this.draw());
    fill(this.record, h('h2', { id: 'own', class: 'small' }, 'Your record'), this.ownBody);
    const keys = h('p', { class: 'key-line muted' }, ([['1–9', 'choose'], ['Enter', 'confirm or go on'], ['U', 'undo'], ['V', 'veto'], ['S', 'skip'], ['R', 'give back and pause']] as const).map(([key, words]) => h('span', null, h('kbd', null, key), ` ${words}`)));
    this.element = h('div', { class: 'answering' }, heading('Answer', 'One question at a time, the one that is worth most a second of your attention.'), this.trouble, this.notice, this.last, this.stage,
      h('div', { class: 'answer-foot' }, this.record, keys));
    this.keys();
    this.draw();
    void this.overseer.next();
    visit.every(0.7, () => this.overseer.next());
    visit.every(0.1, () => this.tick());
    visit.every(1, () => this.overseer.check());
    visit.every(60, () => this.refreshRecord());
    visit.signal.addEventListener('abort', () => this.leave(name));
    window.addEventListener('pagehide', () => this.leave(name), { signal: visit.signal });
  }

  private keys(): void {
    const { visit, overseer } = this;
    for (let digit = 1; digit <= 9; ++digit) visit.shortcut(String(digit), `choose answer ${digit}`, () => this.choose(String(digit)));
    for (const [key, words, action] of [['u', 'undo the last answer', () => void overseer.undo()], ['v', 'veto: the safe action at once', () => void overseer.veto()],
      ['s', 'skip: another question', () => void overseer.release(true)], ['r', 'give the question back and pause', () => void overseer.release(false)]] as const) visit.shortcut(key, words, action);
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.defaultPrevented || overseer.state.phase !== 'paused') return;
      const at = event.target;
      if (at instanceof HTMLElement && at.closest('a, button, input, summary, dialog')) return;
      event.preventDefault();
      overseer.resume();
    }, { signal: visit.signal });
  }

  private choose(key: string): void {
    const choice = this.view?.choices.find((one) => one.key === key);
    if (choice) this.overseer.choose(choice.action, choice.irreversible);
  }

  /// A question that is left open goes to others at once, and not only when its lease ends. Sent so that it outlives the page.
  private leave(name: string | null): void {
    const held = this.overseer.state.held;
    if (!held) return;
    const kept = token();
    void fetch('/api/guard/v1/queue/release', {
      method: 'POST', keepalive: true, credentials: 'omit', headers: { 'Content-Type': 'application/json', ...(kept === null ? {} : { Authorization: `Bearer ${kept}` }) },
      body: JSON.stringify({ question: held.question.question, ...(name === null ? {} : { rater: name }) }),
    }).catch(() => undefined);
  }

  /// Seldom, so that nobody learns from their own figures which question had a known answer.
  private async refreshRecord(): Promise<void> {
    try {
      const { raters } = await this.guard.queue();
      const name = this.overseer.state.rater;
      fill(this.ownBody, own(raters[name] ?? null, name));
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) fill(this.ownBody, own(undefined, this.overseer.state.rater));
    }
  }

  private tick(): void {
    this.overseer.tick();
    this.view?.tick(this.overseer.state);
    const { given } = this.overseer.state;
    if (given && given.words === 'counts in') this.countdown.textContent = left(given.until - now());
  }

  private draw(): void {
    const { state } = this.overseer;
    const { held } = state;
    this.element.dataset.phase = state.phase;
    if (state.rater !== this.knew) {
      this.knew = state.rater;
      void this.refreshRecord();
    }
    this.trouble.hidden = state.noAnswerSince === null;
    this.once(this.trouble, state.noAnswerSince, () => state.noAnswerSince !== null && [icon('error', 'bad'), h('p', null, h('b', null, `No answer from the guard since ${state.noAnswerSince}.`), ' Questions fall back by themselves meanwhile; asking again.')]);
    // While it may be taken back, the line below says that it was taken.
    const notice = state.given !== null && state.notice?.words.startsWith('Taken: ') ? null : state.notice;
    this.once(this.notice, notice, () => notice && h('p', { class: `notice ${notice.css}` }, icon(notice.css, notice.css), h('span', null, notice.words)));
    this.once(this.last, state.given, () => this.given(state));
    if (!held) {
      const focused = this.stage.contains(document.activeElement);
      this.view = null;
      delete this.element.dataset.question;
      const drawn = this.once(this.stage, `${state.phase} ${state.skipped.length} ${state.denied?.code ?? ''}`, () => this.rest(state));
      if (focused && drawn) this.element.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
      return;
    }
    if (this.view?.question !== held.question) {
      const focused = this.stage.contains(document.activeElement);
      this.view = new QuestionView(held.question, this.overseer);
      this.once(this.stage, held.question, () => this.view?.element);
      this.element.dataset.question = String(held.question.question);
      if (focused) this.element.querySelector<HTMLElement>('#question-title')?.focus({ preventScroll: true });
      if (this.said !== held.question.question) this.visit.announce(`New question. ${this.view.spoken} ${left(held.asked)} left; if nobody answers, ${fallbackWords(held.question)}.`);
      this.said = held.question.question;
    }
    this.view.draw(state);
  }

  /// Draws what stands in `host` when `of` is another than before: a reader hears once what is said once, and keeps the focus.
  private once(host: HTMLElement, of: unknown, draw: () => Child): boolean {
    if (this.drawn.has(host) && this.drawn.get(host) === of) return false;
    this.drawn.set(host, of);
    fill(host, draw());
    return true;
  }

  private given(state: State): Child {
    const { given } = state;
    if (!given) return null;
    const counts = given.words === 'counts in';
    if (counts) this.countdown.textContent = left(given.until - now());
    return h('div', { class: 'given' }, h('p', null, icon('good', 'good'), `Taken: “${given.action}” for question ${given.question}; `, h('span', { class: 'muted' }, given.words, ' '), counts && this.countdown),
      h('button', { type: 'button', class: 'quiet', on: { click: () => void this.overseer.undo() } }, h('kbd', { 'aria-hidden': 'true' }, 'U'), ' Undo'));
  }

  private rest(state: State): Child {
    if (state.phase === 'sending') return h('p', { class: 'muted' }, 'Sending…');
    if (state.denied) return failure(state.denied, () => this.visit.reload());
    if (state.phase === 'paused') {
      return h('div', { class: 'state empty' }, icon('skipped', 'unsure'), h('div', null, h('p', { class: 'state-title' }, 'You are paused.'), h('p', { class: 'muted' }, 'No question is kept for you while you are away.'),
        h('button', { type: 'button', class: 'primary big', on: { click: () => this.overseer.resume() } }, h('kbd', { 'aria-hidden': 'true' }, 'Enter'), ' Next question')));
    }
    return h('div', { class: 'state empty' }, icon('ok', 'good'), h('div', null, h('p', { class: 'state-title' }, 'No question waits.'), h('p', { class: 'muted' }, 'The next one appears here by itself.'),
      state.skipped.length > 0 && h('button', { type: 'button', class: 'quiet', on: { click: () => this.overseer.resume(true) } }, `Show what you skipped again (${state.skipped.length})`)));
  }
}

/// Where the guard has no tokens, a person says who they are.
function askName(begin: (name: string) => void): HTMLElement {
  const input = h('input', { id: 'rater', type: 'text', maxlength: 100, required: true, autocomplete: 'username', spellcheck: 'false', value: storedName() });
  return h('div', { class: 'answering' }, heading('Answer'), h('form', { class: 'card name-form', on: { submit: (event: Event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name === '') return;
    try {
      window.sessionStorage.setItem(kName, name);
    } catch {
      // The name then lives as long as the page.
    }
    begin(name);
  } } }, h('label', { for: 'rater' }, 'Who answers?'), h('p', { class: 'muted' }, 'Your answers are logged under this name, and your record is kept by it.'),
  h('div', { class: 'actions' }, input, h('button', { type: 'submit', class: 'primary big' }, 'Begin'))));
}

/// Who answers, as far as it is known before somebody says it: the token's name where the dashboard has tokens, and whoever the
/// guard's own token says where only the guard has.
export default definePage<Overview>({
  title: 'Answer',
  load: async (visit) => (await Promise.all([visit.api.get<Overview>('/api/overview'), liveStyle()]))[0],
  render: (overview, visit) => {
    const host = h('div', null);
    if (overview.tokens || token() !== null) host.append(new AnswerPage(visit, overview.tokens ? overview.caller.name : null).element);
    else host.append(askName((name) => {
      const page = new AnswerPage(visit, name);
      host.replaceChildren(page.element);
      page.element.querySelector<HTMLElement>('h1')?.focus();
    }));
    return host;
  },
});
