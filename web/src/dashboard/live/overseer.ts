/// The overseer's side of the queue, without its picture: one question at a time, answers, veto, undo, and what to say when
/// somebody or the clock was faster. The page draws `state` whenever `changed` is called.

import { ApiError } from '../api';
import { now, ofDay } from './clock';
import type { GuardApi, Outcome, Question } from './guard';
import { unreachable } from './guard';

export type Phase =
  | 'waiting'    // no question; asked for again and again
  | 'asking'     // a question stands there
  | 'confirming' // an action that cannot be undone was chosen
  | 'sending'    // an answer is on its way
  | 'paused';    // nothing is taken until the person says so

export interface Notice {
  css: 'good' | 'unsure' | 'bad';
  words: string;
}

/// The last answer, as long as it may be taken back.
export interface Given {
  question: number;
  action: string;
  until: number;
  words: string;
}

export interface Held {
  question: Question;
  deadline: number;       ///< on this page's clock
  leaseEnds: number;
  asked: number;          ///< seconds from when it was shown to its deadline
}

export interface State {
  phase: Phase;
  held: Held | null;
  chosen: string | null;
  notice: Notice | null;
  given: Given | null;
  skipped: number[];
  rater: string;
  noAnswerSince: string | null;
  denied: ApiError | null;  ///< no token, or one that has expired
}

const kSkips = 200;

const endings: Record<string, string> = {
  answered: 'it was answered by somebody else', expired: 'nobody answered in time', vetoed: 'somebody vetoed it', disagreed: 'two people disagreed', displaced: 'worthier questions took its place',
};

/// The action by which a question ends if nobody answers, in words.
export function fallbackWords(question: Question): string {
  return question.if_nobody_answers === null ? 'the request is refused' : `“${question.if_nobody_answers}” is carried out`;
}

export class Overseer {
  readonly state: State = { phase: 'waiting', held: null, chosen: null, notice: null, given: null, skipped: [], rater: '', noAnswerSince: null, denied: null };
  private tail: Promise<void> = Promise.resolve();
  private waiting = 0;
  private heard = Date.now();
  private checked = now();

  /// `name`: who answers, where the guard has no tokens; null where the token says it.
  constructor(private readonly guard: GuardApi, private name: string | null, private readonly changed: () => void) {}

  private body(more: Record<string, unknown> = {}): Record<string, unknown> {
    return this.name === null ? more : { ...more, rater: this.name };
  }

  private say(css: Notice['css'], words: string): void {
    this.state.notice = { css, words };
  }

  /// What a failed call means for the person, and for what is shown.
  private failed(error: unknown, doing: string): void {
    const { state } = this;
    const number = state.held?.question.question;
    if (unreachable(error)) {
      state.noAnswerSince ??= ofDay(this.heard);
      if (state.held) {
        this.say('bad', `The guard did not answer, so it is not known whether ${doing} arrived. Try again.`);
        state.phase = 'asking';
      }
      return;
    }
    const code = error instanceof ApiError ? error.code : '';
    const told = error instanceof ApiError ? error.message : 'the page failed';
    if (error instanceof ApiError && error.status === 401) {
      this.drop('paused');
      state.denied = error;
      return;
    }
    if (code === 'forbidden' && this.name !== null && told.startsWith('the token is of')) {
      this.name = null;  // the guard knows its caller by another name, and its word counts
      if (state.phase === 'sending') state.phase = 'asking';
      return;
    }
    switch (code) {
      case 'question_expired':
        this.drop('paused');
        this.say('unsure', `Too late: question ${number} was over. Your answer was not used.`);
        return;
      case 'lease_expired':
      case 'not_leased':
        this.drop('paused');
        this.say('unsure', `Your time with question ${number} was over, and it is not yours any more. Your answer was not used.`);
        return;
      case 'question_settled': {
        this.drop('waiting');
        const how = Object.keys(endings).find((word) => told.includes(word));
        this.say('unsure', `Question ${number} was settled before your answer came: ${how ? endings[how] : told}.`);
        return;
      }
      case 'unknown_question':
        this.drop('waiting');
        this.say('unsure', `The guard knows no question ${number}; it may have been restarted.`);
        return;
      case 'already_answered':
        this.drop('waiting');
        this.say('good', `Your answer to question ${number} had been taken already.`);
        return;
      default:
        state.phase = state.held ? 'asking' : 'paused';
        this.say('bad', `${told.charAt(0).toUpperCase()}${told.slice(1)}.${error instanceof ApiError && error.hint ? ` ${error.hint}.` : ''}`);
    }
  }

  private drop(phase: Phase): void {
    this.state.held = null;
    this.state.chosen = null;
    this.state.phase = phase;
  }

  private take(question: Question): void {
    const at = now();
    this.state.held = { question, deadline: at + question.seconds_left, leaseEnds: at + (question.lease_seconds_left ?? Infinity), asked: Math.max(0.1, question.seconds_left) };
    this.state.phase = 'asking';
    this.state.chosen = null;
  }

  /// Calls go out one after the other, so that what comes back is about what is held.
  private inTurn(work: () => Promise<void>): Promise<void> {
    this.waiting += 1;
    this.tail = this.tail.then(work).catch((error) => console.error(error)).finally(() => { this.waiting -= 1; });
    return this.tail;
  }

  /// Takes the question that is worth most. Called by the clock while nothing is held.
  async next(): Promise<void> {
    if (this.waiting > 0 || this.state.held || this.state.phase === 'paused') return;
    await this.inTurn(() => this.lease());
  }

  private async lease(first?: number): Promise<void> {
    const { state } = this;
    if (state.held || state.phase === 'paused') return;
    try {
      const reply = await this.guard.post<{ question: Question | null; rater?: string }>('lease', this.body({ ...(state.skipped.length > 0 ? { except: state.skipped } : {}), ...(first ? { first } : {}) }));
      this.reached();
      if (reply.rater) state.rater = reply.rater;
      if (reply.question) this.take(reply.question);
      else state.phase = 'waiting';
    } catch (error) {
      if (error instanceof DOMException) return;
      this.failed(error, 'the request');
    }
    this.changed();
  }

  private reached(): void {
    this.heard = Date.now();
    this.state.noAnswerSince = null;
  }

  /// The clock: ends what is over. Several times a second.
  tick(): void {
    const { state } = this;
    const at = now();
    if (state.given && at >= state.given.until) {
      state.given = null;
      this.changed();
    }
    const { held } = state;
    if (!held || state.phase === 'sending') return;
    if (at >= held.deadline) {
      this.drop('paused');
      this.say('unsure', `Time is up: nobody answered question ${held.question.question}, so ${fallbackWords(held.question)}.`);
      this.changed();
    } else if (at >= held.leaseEnds) {
      this.drop('paused');
      this.say('unsure', `Your time with question ${held.question.question} is over; somebody else may have it now.`);
      this.changed();
    }
  }

  /// Is what stands there still to be answered? Somebody may have vetoed it.
  async check(): Promise<void> {
    if (this.waiting > 0 || now() - this.checked < 2.5) return;
    await this.inTurn(async () => {
      const { held, phase } = this.state;
      if (!held || (phase !== 'asking' && phase !== 'confirming')) return;
      this.checked = now();
      try {
        const reply = await this.guard.post<{ question: Question | null }>('lease', this.body({ first: held.question.question }));
        this.reached();
        if (this.state.held === held && reply.question?.question !== held.question.question) {
          this.drop('waiting');
          this.say('unsure', `Question ${held.question.question} is settled: somebody else had the last word.`);
          if (reply.question) this.take(reply.question);
        }
      } catch (error) {
        if (error instanceof DOMException) return;
        if (unreachable(error)) this.state.noAnswerSince ??= ofDay(this.heard);
      }
      this.changed();
    });
  }

  choose(action: string, irreversible: boolean): void {
    const { state } = this;
    if (!state.held || (state.phase !== 'asking' && state.phase !== 'confirming')) return;
    state.chosen = action;
    if (irreversible) {
      state.phase = 'confirming';
      this.changed();
    } else {
      void this.answer();
    }
  }

  back(): void {
    if (this.state.phase !== 'confirming') return;
    this.state.phase = 'asking';
    this.state.chosen = null;
    this.changed();
  }

  /// Sends what is chosen.
  async answer(): Promise<void> {
    const { state } = this;
    const { held, chosen } = state;
    if (!held || chosen === null || state.phase === 'sending') return;
    state.phase = 'sending';
    state.notice = null;
    this.changed();
    await this.inTurn(async () => {
      try {
        const outcome = await this.guard.post<Outcome>('answer', this.body({ question: held.question.question, action: chosen }));
        this.reached();
        this.taken(held.question, chosen, outcome);
      } catch (error) {
        if (error instanceof DOMException) return;
        this.failed(error, 'your answer');
      }
      this.changed();
      await this.lease();
    });
  }

  private taken(question: Question, action: string, outcome: Outcome): void {
    const undo = outcome.undo_seconds ?? question.undo_seconds ?? 0;
    const second = outcome.state === 'needs_second' || (outcome.state === undefined && question.two_people_for.includes(action) && (question.answers ?? 0) === 0);
    const held = this.state.held;
    this.drop('waiting');
    const mine = `“${action}” for question ${question.question}`;
    this.state.given = null;
    if (second) {
      this.say('good', `Taken: ${mine}. It counts when a second person says the same.`);
      if (held) this.state.given = { question: question.question, action, until: held.deadline, words: 'counts when a second person says the same' };
    } else if (outcome.state === 'settled' || undo <= 0) {
      const other = outcome.state === 'settled' && outcome.carried_out !== undefined && outcome.carried_out !== action;
      if (other) this.say('unsure', `Taken: ${mine}. ${outcome.cause === 'disagreed' ? 'The two of you differ, so' : 'But'} ${outcome.carried_out === null ? 'the request is refused' : `“${outcome.carried_out}” is carried out`}.`);
      else this.say('good', `Taken: ${mine}.`);
    } else {
      this.say('good', `Taken: ${mine}.`);
      this.state.given = { question: question.question, action, until: now() + undo, words: 'counts in' };
    }
  }

  /// Takes the last answer back, and its question up again.
  async undo(): Promise<void> {
    const { state } = this;
    const { given } = state;
    if (!given || state.phase === 'sending') return;
    state.given = null;
    this.changed();
    await this.inTurn(async () => {
      try {
        await this.guard.post<Outcome>('undo', this.body({ question: given.question }));
        this.reached();
        if (state.held) await this.guard.post('release', this.body({ question: state.held.question.question })).catch(() => undefined);
        this.drop('waiting');
        this.say('good', `Taken back: “${given.action}” for question ${given.question}.`);
        state.skipped = state.skipped.filter((number) => number !== given.question);
      } catch (error) {
        if (error instanceof DOMException) return;
        const code = error instanceof ApiError ? error.code : '';
        if (['nothing_to_undo', 'question_settled', 'question_expired', 'unknown_question'].includes(code)) this.say('unsure', `Too late to take it back: “${given.action}” for question ${given.question} counts.`);
        else if (unreachable(error)) this.say('bad', 'The guard did not answer; the answer may still count.');
        else this.failed(error, 'taking it back');
      }
      this.changed();
      await this.lease(given.question);
    });
  }

  /// The safe action at once, whoever holds the question.
  async veto(): Promise<void> {
    await this.part('veto', 'your veto', (question) => {
      this.drop('waiting');
      this.say('good', `Vetoed: for question ${question.question} ${fallbackWords(question)}.`);
    });
  }

  /// Gives the question to whoever comes: to take another one (skip), or to stop.
  async release(skip: boolean): Promise<void> {
    await this.part('release', 'that', (question) => {
      this.drop(skip ? 'waiting' : 'paused');
      if (skip) this.state.skipped = [...this.state.skipped, question.question].slice(-kSkips);
      this.say('good', skip ? `Skipped question ${question.question}; others may answer it.` : `Given back: question ${question.question}. You are paused.`);
    });
  }

  /// Ends with the question that is held without an answer to it, and takes the next.
  private async part(how: 'veto' | 'release', doing: string, done: (question: Question) => void): Promise<void> {
    const { state } = this;
    const { held } = state;
    if (!held || state.phase === 'sending') return;
    state.phase = 'sending';
    this.changed();
    await this.inTurn(async () => {
      try {
        await this.guard.post<Outcome>(how, this.body({ question: held.question.question }));
        this.reached();
        done(held.question);
      } catch (error) {
        if (error instanceof DOMException) return;
        this.failed(error, doing);
      }
      this.changed();
      await this.lease();
    });
  }

  /// Goes on after a pause.
  resume(again = false): void {
    if (again) this.state.skipped = [];
    if (this.state.phase === 'paused') this.state.phase = 'waiting';
    this.state.notice = null;
    this.changed();
    void this.next();
  }
}
