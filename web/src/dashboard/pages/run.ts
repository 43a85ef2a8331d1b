/// One run: the answer, its claims, the argument, every check with its figures, findings and pictures, the ledger, the provenance.

import { token } from '../api';
import type { Child } from '../dom';
import { fill, h, path } from '../dom';
import type { ArgumentNode, Claim, Evidence, Finding, LedgerEntry, Run } from '../evidence';
import { isWide, lazyFigure } from '../figure';
import { interval } from '../interval';
import { head, sortable, table } from '../list';
import type { Visit } from '../page';
import { definePage } from '../page';
import { empty, region } from '../states';
import type { Look } from '../words';
import { answerLook, badge, bounds, count, duration, figure, heading, icon, ledgerLook, plural, severity, standingLook, standings, time, where } from '../words';

const kRank = ['refuted', 'defeated', 'stale', 'not evaluated', 'undetermined', 'supported'];
const words = (standing: string): string => standing.replace(/_/g, ' ');

function answer({ run, claims, not_judged: why }: Run): HTMLElement {
  if (claims === null) return h('div', { class: 'state empty' }, icon('unsure', 'unsure'), h('div', null, h('p', { class: 'state-title' }, 'Not judged.'), h('p', null, why ?? ''), h('p', { class: 'muted' }, 'The figures below are as they were computed.')));
  const look = answerLook(run.status === 'started' ? null : run.exit_status);
  const counts = standings.map((word) => [standingLook(word), claims.filter((claim) => words(claim.standing) === word).length] as const).filter(([, n]) => n > 0);
  return h('section', { id: 'answer', 'aria-label': 'The answer' }, h('div', { class: `card answer ${look.css}` }, h('p', { class: 'ask' }, `May I ship ${run.system || 'this'}?`),
    h('p', { class: 'say' }, icon(look.shape), look.word), run.exit_reason && h('p', { class: 'because' }, run.exit_reason),
    counts.length > 0 && h('p', null, h('span', { class: 'counts words' }, counts.map(([of, n]) => count(of, n))))));
}

function claimRow(claim: Claim, evidence: Map<string, Evidence>): HTMLElement {
  const look = standingLook(words(claim.standing));
  const deciding = evidence.get(claim.deciding);
  return h('tr', { id: `claim-${claim.id}` },
    h('td', { 'data-v': kRank.indexOf(look.word) }, badge(look), claim.severity !== 'fail' && [' ', h('span', { class: 'tag' }, claim.severity)]),
    h('td', { class: 'full' }, h('b', null, claim.text || claim.id), h('span', { class: 'sub' }, claim.metric, ' ', claim.condition, ', by ', h('span', { class: 'mono' }, claim.check), where(claim.where)),
      claim.reason && h('span', { class: 'sub' }, claim.reason),
      claim.waiver && h('span', { class: 'sub' }, `Waiver by ${claim.waiver.owner}, ${claim.waiver.expired ? 'expired' : 'until'} ${claim.waiver.expires}: ${claim.waiver.reason}`)),
    h('td', { class: 'number', 'data-v': claim.value ?? '' }, claim.value === null ? 'none' : h('b', null, figure(claim.value)), h('span', { class: 'sub' }, bounds(claim.low, claim.high))),
    h('td', null, claim.value !== null && interval({ value: claim.value, low: claim.low, high: claim.high }, { atLeast: claim.at_least, atMost: claim.at_most }, deciding?.unit === 'share' && claim.value >= 0)),
    h('td', { class: 'number', 'data-name': claim.judged_level === null ? null : 'level', 'data-v': claim.judged_level ?? '' }, claim.judged_level === null ? (deciding && deciding.exactness !== 'sampled' ? deciding.exactness : '') : figure(claim.judged_level)));
}

function claimsSection({ claims, evidence }: Run): HTMLElement | null {
  if (claims === null) return null;
  const byId = new Map(evidence.map((one) => [one.id, one]));
  return h('section', { id: 'claims', 'aria-labelledby': 'claims-title' }, h('h2', { id: 'claims-title' }, 'Claims'),
    claims.length === 0 ? empty('The manifest makes no claims.', 'The figures below stand for themselves.')
      : sortable(table('Claims', [head('Verdict'), head('Claim'), head('Figure', 'number'), head('Interval'), head('Level', 'number')], claims.map((claim) => claimRow(claim, byId)), 'list upper')));
}

function argumentList(nodes: Map<string, ArgumentNode>, ids: string[], open: ReadonlySet<string>): HTMLElement {
  return h('ul', { class: 'argument' }, ids.map((id) => {
    const node = nodes.get(id);
    if (!node) return false;
    const below = open.has(id) ? [] : [...node.in_context_of, ...node.supported_by];
    return h('li', null, h('span', { class: 'node-kind' }, node.kind), h('span', { class: 'mono' }, id), ' ', node.text, ' ', node.standing && badge(standingLook(words(node.standing))),
      below.length > 0 && argumentList(nodes, below, new Set([...open, id])));
  }));
}

/// The drawing comes as text with the reader's token and is shown as an image: what it holds cannot act on this page.
function argumentSection({ argument }: Run, { api, params }: Visit): HTMLElement | null {
  if (argument === null) return null;
  const drawing = h('div', { class: 'argument-scroll', tabindex: 0, role: 'region', 'aria-label': 'The argument as a drawing' });
  const nodes = new Map(argument.nodes.map((node) => [node.id, node]));
  if (nodes.size > 0) {
    void region(drawing, 'Loading the drawing', () => api.text(`/api/runs/${encodeURIComponent(params.run)}/argument.svg`), (svg) => {
      const bytes = Array.from(new TextEncoder().encode(svg), (byte) => String.fromCharCode(byte)).join('');
      // A drawing wider than its frame shows its middle, where the top goal stands.
      const centre = (): void => { drawing.scrollLeft = (drawing.scrollWidth - drawing.clientWidth) / 2; };
      return h('img', { class: 'drawing', on: { load: centre }, alt: 'The argument as a drawing; the list below says the same in words.', src: `data:image/svg+xml;base64,${btoa(bytes)}` });
    });
  }
  return h('section', { id: 'argument', 'aria-labelledby': 'argument-title' }, h('h2', { id: 'argument-title' }, 'The argument'),
    nodes.size === 0 ? empty('There is nothing to argue.', 'The manifest makes no claims.')
      : h('div', { class: 'card argument-card' }, drawing, h('details', null, h('summary', null, 'The argument as a list'), argumentList(nodes, argument.roots, new Set()))));
}

function figureRow(one: Evidence, claims: Claim[]): HTMLElement {
  const exact = one.exactness === 'exact';
  const claim = claims.find((other) => other.deciding === one.id);
  return h('tr', null,
    h('td', null, h('b', null, one.metric), claim && h('span', { class: `sub ${standingLook(words(claim.standing)).css}` }, `${words(claim.standing)}: ${claim.condition}`)),
    h('td', null, one.subject, where(one.where)),
    h('td', { class: 'number', 'data-v': one.value ?? '' }, h('b', null, figure(one.value)), h('span', { class: 'sub' }, exact ? 'exact' : bounds(one.low, one.high))),
    h('td', null, one.value !== null && interval({ value: one.value, low: exact ? null : one.low, high: exact ? null : one.high }, claim ? { atLeast: claim.at_least, atMost: claim.at_most } : {}, one.unit === 'share' && one.value >= 0),
      h('span', { class: 'sub' }, one.exactness === 'sampled' ? `level ${figure(one.level)}` : one.exactness, one.unit && one.unit !== '1' && `, ${one.unit}`)),
    h('td', { class: 'number', 'data-name': 'n', 'data-v': one.n }, figure(one.n), h('span', { class: 'sub' }, one.unit_of_sampling)),
    h('td', null, one.method, one.warnings.map((warning) => h('span', { class: 'sub unsure' }, `Careful: ${warning}`))));
}

function findingBody(one: Finding): Child {
  const rows = one.rows ?? [];
  return [one.detail && h('p', null, one.detail), one.next_step && h('p', null, h('b', null, 'Next: '), one.next_step),
    rows.length > 0 && h('p', { class: 'muted' }, `${rows.length === 1 ? 'Row' : 'Rows'} of ${one.data || 'the data'}: `, h('span', { class: 'mono' }, rows.slice(0, 30).join(', '), rows.length > 30 && ' …'))];
}

interface Part {
  id: string;
  evidence: Evidence[];
  findings: Finding[];
  artifacts: Run['run']['artifacts'];
  claims: Claim[];
  errors: LedgerEntry[];
  look: Look;
}

/// What belongs to each check that ran. An artifact's id begins with its check's.
function parts({ run, claims, evidence, findings, ledger }: Run): Part[] {
  const ran = new Map<string, Part>();
  const part = (id: string): Part => {
    const made = ran.get(id) ?? { id, evidence: [], findings: [], artifacts: [], claims: [], errors: [], look: ledgerLook('ok') };
    ran.set(id, made);
    return made;
  };
  evidence.forEach((one) => part(one.check).evidence.push(one));
  findings.forEach((one) => part(one.check).findings.push(one));
  ledger.filter((one) => one.status === 'error' || one.status === 'skipped').forEach((one) => part(one.check).errors.push(one));
  for (const one of run.artifacts) {
    const owner = Array.from(ran.keys()).filter((id) => one.id.startsWith(`${id}.`)).sort((a, b) => b.length - a.length)[0];
    if (one.kind !== 'row-outcomes') part(owner ?? 'other tables').artifacts.push(one);
  }
  (claims ?? []).forEach((claim) => ran.get(claim.check)?.claims.push(claim));
  for (const one of ran.values()) {
    const worst = kRank.find((word) => one.claims.some((claim) => words(claim.standing) === word));
    one.look = worst ? standingLook(worst) : one.errors.length > 0 ? ledgerLook(one.errors[0].status) : ledgerLook('ok');
  }
  const rank = (one: Part): number => (one.claims.length > 0 ? kRank.indexOf(one.look.word) : 10);
  return Array.from(ran.values()).sort((a, b) => rank(a) - rank(b));
}

function checkBody(one: Part, { api, params }: Visit): Child {
  return h('div', { class: 'check-body' },
    one.errors.map((entry) => h('p', null, badge(ledgerLook(entry.status)), ' ', entry.subject || 'this check', ': ', entry.reason)),
    one.findings.length > 0 && [h('h4', null, 'Findings'), h('ul', { class: 'findings' }, one.findings.map((found) => h('li', null, h('div', { class: 'head' }, severity(found.severity), h('span', null, found.title)), findingBody(found))))],
    one.evidence.length > 0 && [h('h4', null, 'Figures'), sortable(table(`Figures of ${one.id}`, [head('Metric'), head('About'), head('Figure', 'number'), head('Interval'), head('n', 'number'), head('Method')], one.evidence.map((row) => figureRow(row, one.claims)), 'list upper'))],
    one.artifacts.length > 0 && [h('h4', null, 'Pictures'), h('div', { class: 'figures' }, one.artifacts.map((artifact) => lazyFigure(api, params.run, artifact.sha256, artifact.title, isWide(artifact.kind, 0))))]);
}

function checksSection(data: Run, visit: Visit): HTMLElement {
  const all = parts(data);
  return h('section', { id: 'checks', 'aria-labelledby': 'checks-title' }, h('h2', { id: 'checks-title' }, 'Checks'),
    all.length === 0 ? empty('No check ran.', 'The ledger says why.') : all.map((one, at) => {
      const body = h('div', null);
      const made = h('details', { class: 'card check-card', open: at === 0 || (at < 3 && one.look.css === 'bad') },
        h('summary', null, h('h3', null, h('span', { class: 'mono' }, one.id)), badge(one.look), h('span', { class: 'muted' },
          [[one.evidence.length, 'figure'], [one.findings.length, 'finding'], [one.artifacts.length, 'picture']].filter(([n]) => (n as number) > 0).map(([n, name]) => plural(n as number, name as string)).join(', '))), body);
      const draw = (): void => { if (made.open && body.childElementCount === 0) fill(body, checkBody(one, visit)); };
      made.addEventListener('toggle', draw);
      draw();
      return made;
    }));
}

function ledgerTable(label: string, entries: LedgerEntry[]): HTMLElement {
  const order = ['error', 'skipped', 'ok', 'not_applicable'];
  const tried = (one: LedgerEntry): boolean => one.status === 'ok' || one.status === 'error';
  return sortable(table(label, [head('Status'), head('Check'), head('Subject'), head('Why, and on which rows'), head('Took', 'number')],
    entries.slice().sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status)).map((one) => h('tr', null,
      h('td', { 'data-v': order.indexOf(one.status) }, badge(ledgerLook(one.status))), h('td', { class: 'mono' }, one.check), h('td', null, one.subject),
      h('td', null, one.reason, one.rows && h('span', { class: 'sub' }, one.rows)),
      h('td', { class: 'number', 'data-v': tried(one) ? one.seconds : '' }, one.cached ? 'cached' : tried(one) ? duration(one.seconds) : ''))), 'list upper'));
}

/// What was tried first; what did not apply, mostly many, is one step away and never left out.
function ledgerSection({ ledger }: Run): HTMLElement {
  const rest = ledger.filter((one) => one.status === 'not_applicable');
  const tried = ledger.filter((one) => one.status !== 'not_applicable');
  const body = h('div', null);
  const details = h('details', null, h('summary', null, `${plural(rest.length, 'check')} that did not apply, with the reason`), body);
  details.addEventListener('toggle', () => fill(body, ledgerTable('Checks that did not apply', rest)), { once: true });
  return h('section', { id: 'ledger', 'aria-labelledby': 'ledger-title' }, h('div', { class: 'section-head' }, h('h2', { id: 'ledger-title' }, 'Ledger'), h('p', { class: 'muted' }, 'Every check that was considered, and what became of it.')),
    tried.length > 0 ? ledgerTable('Ledger', tried) : empty('No check ran.'), rest.length > 0 && details);
}

function provenanceSection({ run }: Run): HTMLElement {
  const rows: [string, Child, boolean?][] = [['Run', run.id, true], ['Name', run.name], ['Manifest', run.manifest, true], ['Manifest SHA-256', run.manifest_sha256, true], ['Started', time(run.started)], ['Finished', time(run.finished)], ['Took', duration(run.seconds)],
    ['Seed', Number.isSafeInteger(run.seed) ? String(run.seed) : 'see the report', true], ['Build', run.build, true], ['Machine', run.machine], ['Evidence root', run.root, true], ['Root of the run before', run.previous_root, true],
    ...Object.entries(run.inputs ?? {}).map(([name, value]): [string, Child, boolean] => [name, value, true])];
  return h('section', { id: 'provenance', 'aria-labelledby': 'provenance-title' }, h('h2', { id: 'provenance-title' }, 'Provenance'),
    h('div', { class: 'card' }, h('dl', { class: 'provenance' }, rows.filter(([, value]) => value !== '' && value !== null && value !== undefined).map(([name, value, mono]) => [h('dt', null, name), h('dd', { class: mono ? 'mono' : null }, value)]))));
}

/// A link where none needs a token; else a button that fetches the page with it and saves it, since a link cannot carry one.
function reportLink({ api, params }: Visit): HTMLElement {
  const address = `/api/runs/${encodeURIComponent(params.run)}/report.html`;
  if (token() === null) return h('a', { class: 'button', href: address, target: '_blank', rel: 'noopener' }, 'Whole report');
  const button = h('button', { type: 'button', class: 'quiet' }, 'Save the report');
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      const url = URL.createObjectURL(new Blob([await api.text(address)], { type: 'text/html' }));
      const link = document.createElement('a');
      link.href = url;
      link.download = `report-${params.run.replace(/[^\w-]/g, '')}.html`;
      link.click();
      URL.revokeObjectURL(url);
      button.textContent = 'Save the report';
    } catch {
      button.textContent = 'The report could not be fetched; try again';
    }
    button.disabled = false;
  });
  return button;
}

export default definePage<Run>({
  title: ({ run }) => `${run.system} ${run.id.slice(0, 8)}`,
  load: ({ api, params }) => api.get<Run>(`/api/runs/${encodeURIComponent(params.run)}`),
  render: (data, visit) => {
    const { run } = data;
    const jump = (id: string, label: string): HTMLElement => h('li', null, h('a', { href: path('runs', visit.params.run, { at: id }) }, label));
    return h('div', null,
      heading(run.system || run.id, [run.name && [run.name, ', '], 'run ', h('span', { class: 'mono' }, run.id), ', ', time(run.started), ' UTC'],
        h('a', { class: 'button', href: path('compare', { second: run.id }) }, 'Compare'), data.claims !== null && reportLink(visit)),
      answer(data),
      (run.notes ?? []).length > 0 && h('details', { class: 'notes' }, h('summary', null, plural(run.notes.length, 'note')), h('ul', null, run.notes.map((note) => h('li', null, note)))),
      h('ul', { class: 'jump', 'aria-label': 'Parts of this page' }, data.claims !== null && [jump('claims', 'Claims'), jump('argument', 'Argument')], jump('checks', 'Checks'), jump('ledger', 'Ledger'), jump('provenance', 'Provenance')),
      claimsSection(data), argumentSection(data, visit), checksSection(data, visit), ledgerSection(data), provenanceSection(data));
  },
});
