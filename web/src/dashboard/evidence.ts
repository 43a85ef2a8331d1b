/// The evidence of a run as the server sends it: docs/schema/evidence.schema.json, as far as the pages read it.

export interface Claim {
  id: string;
  text: string;
  check: string;
  metric: string;
  condition: string;
  at_least: number | null;
  at_most: number | null;
  value: number | null;
  low: number | null;
  high: number | null;
  judged_level: number | null;
  standing: string;
  severity: string;
  reason: string;
  deciding: string;
  waiver: { owner: string; expires: string; expired: boolean; reason: string } | null;
  where: Record<string, string>;
}

export interface Evidence {
  id: string;
  check: string;
  metric: string;
  subject: string;
  value: number | null;
  low: number | null;
  high: number | null;
  level: number;
  unit: string;
  n: number;
  unit_of_sampling: string;
  method: string;
  exactness: string;
  warnings: string[];
  where: Record<string, string>;
}

export interface Finding {
  id: string;
  check: string;
  subject: string;
  severity: string;
  title: string;
  detail: string;
  next_step: string;
  data: string;
  rows: number[];
}

export interface LedgerEntry {
  check: string;
  subject: string;
  status: string;
  reason: string;
  rows: string;
  seconds: number;
  cached: boolean;
}

export interface ArgumentNode {
  id: string;
  kind: string;
  text: string;
  supported_by: string[];
  in_context_of: string[];
  standing: string | null;
}

export interface Run {
  run: {
    id: string;
    name: string;
    status: string;
    system: string;
    manifest: string;
    manifest_sha256: string;
    started: string;
    finished: string;
    seconds: number;
    seed: number;
    build: string;
    machine: string;
    root: string;
    previous_root: string;
    inputs: Record<string, string>;
    notes: string[];
    exit_status: number | null;
    exit_reason: string;
    artifacts: { id: string; kind: string; title: string; caption: string; sha256: string }[];
  };
  /// null, with the reason in `not_judged`, where the manifest that makes the claims cannot be read any more.
  claims: Claim[] | null;
  evidence: Evidence[];
  findings: Finding[];
  ledger: LedgerEntry[];
  argument: { nodes: ArgumentNode[]; roots: string[] } | null;
  not_judged?: string;
}
