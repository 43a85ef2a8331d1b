/// What the guard says, as this page reads it. Nothing of it is trusted to be there: an older guard leaves fields out.

import type { Api } from '../api';
import { ApiError } from '../api';

export type Measured = 'aleatoric' | 'model' | 'distributional';
export const measures: readonly Measured[] = ['aleatoric', 'model', 'distributional'];

export type Counts = Record<string, Record<string, number>>;

export interface Rate {
  window_seconds: number;
  seconds: number;
  arrived: number;
  refused: number;
  void: number;
  decisions: Counts;
  decided_to_refuse: number;
  could_not_decide: number;
}

export interface Times {
  count: number;
  p50?: number;
  p90?: number;
  p99?: number;
  largest?: number;
}

export interface Decision {
  number: number;
  id: string;
  time: number;
  waited: number;
  kind: string;
  cause: string;
  carried_out: string | null;
  reason: string;
  rung: string;
  propensity: number | null;
  readings: number;
  readings_disagree: boolean;
  uncertainty: Record<Measured, number | null>;
  by?: string;
  void?: boolean;
}

export interface Rater {
  answers: number;
  undone: number;
  vetoes: number;
  gold_answered: number;
  gold_right: number;
  pairs: number;
  pairs_agreed: number;
  seconds_per_answer?: number;
  gold_rate?: { value: number; low: number | null; high: number | null; level: number };
}

export interface Monitor {
  name: string;
  kind: string;  ///< "drift" or "assertion"
  severity: string;
  statistic: number;
  threshold: number | null;
  seen: number;
  alarm_since: number | null;
  violations: number;
  last: number | null;
}

export interface Live {
  time: number;
  started: number;
  running_seconds: number;
  model: string;
  policy: string;
  case: string;
  accepted: string[];
  shadow: boolean;
  draining: boolean;
  fallback: string | null;
  whole_log: { decisions: Counts; decided_to_refuse: number; could_not_decide: number; arrived: number; void: number; feedback: number };
  since_start: { refused: Record<string, number>; late: number; repeated: number; wasted: number };
  rates: Rate[];
  strip: { step_seconds: number; kinds: Record<string, number[]>; could_not_decide: number[] };
  queue: { open: number; leased: number; answered: number; limit: number; soonest_deadline_seconds: number | null };
  requests: { open: number; limit: number };
  latency: { answer: Times; decider: Times };
  log: { sync: string; stopped: boolean; away?: boolean; frames: number; not_durable: number; sync_seconds: Times };
  units: Partial<Record<Measured, { unit: string; estimator: string }>>;
  newest: number;
  decisions: Decision[];
  monitors: Monitor[];
  raters: Record<string, Rater>;
}

/// A training row, or the input at hand, as it may be seen.
export interface Looks {
  image?: { channels: number; height: number; width: number; bytes: string };
  columns?: { name: string; value: number | string | null }[];
  left_out?: number;
  blurred?: boolean;
}

export interface Neighbour extends Looks {
  data: string;
  row: number;
  label: string;
  distance: number;
}

export interface Part {
  value: number;
  unit: string;
  estimator: string;
  low?: number;
  high?: number;
}

export interface Reading {
  name: string;
  action: string;
  weight?: number;
}

export interface Detail {
  carry_out?: string | null;
  uncertainty?: Partial<Record<Measured, Part>>;
  value_of_asking?: number;
  nearest?: Neighbour[];
}

export interface Question {
  question: number;
  kind: string;
  actions: string[];
  reason: string;
  if_nobody_answers: string | null;
  two_people_for: string[];
  seconds_left: number;
  lease_seconds_left?: number;
  undo_seconds?: number;
  answers?: number;
  unit?: string;
  input?: Looks;
  readings?: Reading[];
  detail?: Detail;
  proposed?: string | null;
  candidates?: { action: string; probability: number }[];
  expected_seconds?: number;
}

/// What an answer led to; an older guard says only that it is durable.
export interface Outcome {
  ok: boolean;
  state?: 'settled' | 'counts_later' | 'needs_second' | string;
  cause?: string;
  carried_out?: string | null;
  undo_seconds?: number;
}

const kPatience = 4000;  // milliseconds; a guard that takes longer is not answering

/// Runs `ask` and gives up on it after a while, so that one answer that never comes does not hold up the next question.
export async function patient<T>(signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const leave = (): void => controller.abort();
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave);
  const timer = window.setTimeout(leave, kPatience);
  try {
    return await ask(controller.signal);
  } catch (error) {
    if (controller.signal.aborted && !signal.aborted) throw new ApiError(0, 'no_answer', 'the guard does not answer', 'Look whether it still runs.');
    throw error;
  } finally {
    window.clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

export class GuardApi {
  constructor(private readonly api: Api, private readonly signal: AbortSignal) {}

  live(after: number): Promise<Live> {
    return patient(this.signal, (signal) => this.api.get<Live>('/api/guard/v1/live', { after: after > 0 ? after : null }, signal));
  }

  decision(id: string): Promise<{ detail: Detail; record: Record<string, unknown> }> {
    return patient(this.signal, (signal) => this.api.get('/api/guard/v1/decision', { id }, signal));
  }

  queue(): Promise<{ raters: Record<string, Rater> }> {
    return patient(this.signal, (signal) => this.api.get('/api/guard/v1/queue', {}, signal));
  }

  post<T>(what: 'lease' | 'answer' | 'release' | 'veto' | 'undo', body: unknown): Promise<T> {
    return patient(this.signal, (signal) => this.api.post<T>(`/api/guard/v1/queue/${what}`, body, signal));
  }
}

/// A failure that says that no guard was reached, so that nothing on the page can be of now.
export function unreachable(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 502 || error.status === 504);
}
