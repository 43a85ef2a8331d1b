/// What a question lets a person do, by its kind: which actions in which order, under which keys, in which words.

import type { Question } from './guard';

export interface Choice {
  action: string;
  key: string;        ///< "1" to "9", or none
  words: string;      ///< of the button
  irreversible: boolean;
  first: boolean;     ///< one of those that the question is about; others stand back
}

export interface Task {
  kind: string;
  title: string;
  says: string;
  choices: Choice[];
  beside: boolean;  ///< two choices side by side
}

const others = (question: Question, named: readonly string[]): string[] => question.actions.filter((action) => !named.includes(action));

/// A kind that this page does not know, or one without what it needs, is the list of its actions.
export function task(question: Question): Task {
  const irreversible = new Set(question.two_people_for);
  const proposed = typeof question.proposed === 'string' && question.actions.includes(question.proposed) ? question.proposed : null;
  const make = (named: readonly string[], words: (action: string) => string): Choice[] => [...named, ...others(question, named)].map((action, at) => ({
    action, key: at < 9 ? String(at + 1) : '', words: named.includes(action) ? words(action) : action, irreversible: irreversible.has(action), first: named.includes(action),
  }));
  if (question.kind === 'approve' && proposed !== null) {
    return { kind: 'approve', title: `Approve “${proposed}”?`, says: 'It cannot be undone. Approve it, veto it, or choose another action.', choices: make([proposed], (action) => `Approve ${action}`), beside: false };
  }
  if (question.kind === 'correct' && proposed !== null) {
    return { kind: 'correct', title: `Is “${proposed}” right?`, says: 'Accept what is proposed, or choose another action.', choices: make([proposed], (action) => `Accept ${action}`), beside: false };
  }
  const two = (question.candidates ?? []).map((candidate) => candidate.action).filter((action) => question.actions.includes(action));
  if (question.kind === 'compare' && two.length === 2) {
    // In the order of the actions: the more probable one first would lead the eye.
    const named = question.actions.filter((action) => two.includes(action));
    return { kind: 'compare', title: `${named[0]} or ${named[1]}: which is better?`, says: 'Choose one of the two; another action may be right too.', choices: make(named, (action) => action), beside: true };
  }
  return { kind: question.kind === 'label' ? 'label' : 'decision', title: 'What is the right action?', says: 'Choose one.', choices: make(question.actions, (action) => action), beside: false };
}
