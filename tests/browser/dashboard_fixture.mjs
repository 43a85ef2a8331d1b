// A server with the dashboard's files and answers made up here: ten thousand runs, every state of every list, and text that
// tries to become markup. What a real store gives is tested against `plumbline serve`; this one is for what no store should hold.
import { createServer } from 'node:http';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
const types = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'text/svg+xml' };
const hash = (n) => Array.from({ length: 16 }, (_, i) => ((Math.imul(n + 1, 2654435761 + 40503 * i) >>> 16) & 0xffff).toString(16).padStart(4, '0')).join('');
const wave = (n) => ((Math.imul(n + 7, 2654435761) >>> 8) % 1000) / 1000;

/// Text that would do harm as markup, as an attribute, in a style, as an address or by turning the reading direction.
export const hostile = ['<img src=x onerror="window.owned=1">', '"><script>window.owned=2</script>', "' onmouseover='window.owned=3", 'javascript:window.owned=4',
  '</style><style>body{display:none}</style>', '{{constructor.constructor("window.owned=5")()}}', '\u202egnp.exe', '__proto__', '<iframe srcdoc="<script>parent.owned=6</script>">', '\u0000\u0007bell'].join(' ');

const systems = ['digit reader', 'loan desk', 'ward triage', 'boat racer', 'agent in a world', 'street signs'];
const started = (n) => new Date(Date.UTC(2026, 10, 30, 12) - n * 5400e3).toISOString().replace('.000', '');
function run(n, say) {
  const kind = wave(n);
  const counts = kind < 0.45 ? { supported: 4 + (n % 9) } : kind < 0.75 ? { refuted: 1 + (n % 3), supported: 2 + (n % 7) } : kind < 0.9 ? { undetermined: 1 + (n % 2), supported: 3 } : kind < 0.95 ? { 'not evaluated': 2, supported: 1 } : { refuted: 1, undetermined: 2, supported: 6, stale: 1 };
  const exit = counts.refuted ? 1 : counts.undetermined ? 3 : counts['not evaluated'] ? 4 : 0;
  const status = n % 97 === 5 ? 'cancelled' : n % 89 === 7 ? 'error' : n === 0 ? 'started' : 'success';
  return {
    id: hash(n).slice(0, 12), store: n % 11 === 3 ? 'nightly' : 'main', name: n % 5 === 0 ? say(`release ${Math.floor(n / 5)}`) : '', status, system: say(systems[n % systems.length]),
    started: started(n), seconds: 0.4 + 300 * wave(n * 3) ** 3, evidence: 12 + (n * 7) % 190, pruned: n % 211 === 17,
    verdicts: status === 'started' ? '' : Object.entries(counts).map(([word, count]) => `${word} ${count}`).join(', '), exit_status: status === 'success' ? exit : status === 'cancelled' ? 130 : status === 'error' ? 4 : null,
  };
}

function claim(n, say, standing, value, low, high, limit) {
  return {
    id: `claim-${n}`, text: say(['The reader is right on clean digits.', 'Blurred digits are not read with false confidence.', 'Refusals are honest: what it keeps, it gets right.', 'No group of writers is served worse.', 'It notices what is not a digit.', 'It holds under small shifts.'][n % 6]),
    check: ['probe.accuracy', 'caution.calibration', 'caution.selective', 'probe.slices', 'robustness.ood', 'robustness.shift'][n % 6], metric: ['accuracy', 'ece', 'kept_accuracy', 'worst_gap', 'auroc', 'drop'][n % 6],
    condition: `at least ${limit}`, at_least: limit, at_most: null, confidence: 0.95, counts_as_failure: standing === 'refuted', deciding: value === null ? '' : hash(500 + n), defeat: 'none', evidence: value === null ? [] : [hash(500 + n)],
    freshness: 'current', value, low, high, judged_level: 0.98, line: 10 * n, looks: 1, models: 1, seeds: 1, selected: n === 3, severity: n === 4 ? 'warn' : 'fail', simultaneous_level: 0.95, standing, verdict: standing,
    reason: say(value === null ? 'no check gave this figure' : `${standing}: the bounds lie ${standing === 'undetermined' ? 'on both sides of' : standing === 'supported' ? 'above' : 'below'} ${limit}`), needs_more: standing === 'undetermined' ? 2400 : null, needs_more_reason: 'rows',
    sets: ['test'], waiver: n === 5 ? { owner: say('A. Tester'), expires: '2026-12-31', expired: false, reason: say('known before release') } : null, where: n === 3 ? { group: say('left-handed') } : {},
  };
}

function evidence(n, say) {
  const exact = n % 9 === 4;
  const value = 0.55 + 0.44 * wave(n);
  return {
    id: hash(500 + n), check: ['probe.accuracy', 'caution.calibration', 'caution.selective', 'probe.slices', 'robustness.ood', 'robustness.shift'][n % 6], metric: ['accuracy', 'ece', 'kept_accuracy', 'worst_gap', 'auroc', 'drop'][n % 6],
    subject: say('reader'), value, low: exact ? value : value - 0.03 - 0.02 * wave(n + 1), high: exact ? value : n % 7 === 2 ? null : Math.min(1, value + 0.03), level: 0.95, unit: 'share', n: 1000 + 137 * n, n_effective: 1000 + 137 * n, unit_of_sampling: 'row',
    method: exact ? 'dynamic programming' : 'clopper-pearson', exactness: exact ? 'exact' : 'sampled', warnings: n % 8 === 3 ? [say('two rows are the same image')] : [], assumptions: ['rows are independent'], where: n % 3 === 0 ? { data: say('test') } : { data: 'test', slice: say('dark') }, artifacts: [], inputs: {}, seed: 7,
  };
}

const kinds = ['curve', 'grid', 'bars', 'reliability'];
function artifact(n, say) {
  const column = (name, values, unit = '') => ({ name, unit, values: values.map((value) => (typeof value === 'string' ? say(value) : value)) });
  const xs = Array.from({ length: 12 }, (_, i) => i / 12 + 0.04);
  const made = {
    curve: { facts: { x_label: 'severity', y_label: 'accuracy' }, columns: [column('x', xs), column('y', xs.map((x) => 0.98 - 0.6 * x * x)), column('low', xs.map((x) => 0.95 - 0.62 * x * x)), column('high', xs.map((x) => 0.99 - 0.57 * x * x))] },
    grid: { facts: { row_label: 'group', column_label: 'blur', value_label: 'error' }, columns: [column('row', xs.map((_, i) => `group ${i % 3}`)), column('column', xs.map((_, i) => `level ${Math.floor(i / 3)}`)), column('value', xs.map((_, i) => wave(i)))] },
    bars: { facts: { value_label: 'accuracy' }, columns: [column('label', xs.map((_, i) => `writer ${i}`)), column('value', xs.map((x) => 1 - x / 2)), column('low', xs.map((x) => 0.95 - x / 2)), column('high', xs.map((x) => 1.03 - x / 2))] },
    reliability: { facts: { level: '0.95' }, columns: [column('confidence', xs), column('accuracy', xs.map((x) => x * 0.9)), column('low', xs.map((x) => x - 0.06)), column('high', xs.map((x) => x + 0.06)), column('count', xs.map((_, i) => 40 + 11 * i))] },
  }[kinds[n % 4]];
  return { id: `probe.accuracy.picture-${n}`, kind: kinds[n % 4], title: say(['Accuracy over blur', 'Error by group and blur', 'Accuracy of each writer', 'Confidence against accuracy'][n % 4]), ...made };
}

function findings(n, say) {
  return { id: hash(900 + n).slice(0, 16), run: hash(n % 12).slice(0, 12), system: say('digit reader'), started: started(n % 12), check: ['probe.slices', 'robustness.ood', 'caution.calibration'][n % 3], subject: say('reader'), severity: ['major', 'medium', 'minor'][n % 3],
    title: say(['Writers with a left slant are read worse: 0.84 against 0.97', 'Letters are taken for digits with confidence 0.93', 'Confidence is 0.06 too high between 0.8 and 0.9'][n % 3]), text: say('It stands out after correction for the 48 slices that were looked at.'),
    detail: say('It stands out after correction for the 48 slices that were looked at.'), next_step: say('Add rows of that group to the training set, then assess again.'), rows: [3, 17, 256], data: say('test'), where: {}, artifact: n % 2 === 0 ? hash(700 + (n % 4)) : null };
}

export function runEvidence(id, say) {
  const standings = [['supported', 0.981, 0.975, 0.986, 0.95], ['refuted', 0.71, 0.66, 0.75, 0.9], ['undetermined', 0.905, 0.88, 0.93, 0.9], ['supported', 0.99, 0.98, null, 0.9], ['not_evaluated', null, null, null, 0.8], ['stale', 0.9, 0.88, 0.92, 0.85]];
  const claims = standings.map(([standing, value, low, high, limit], n) => claim(n, say, standing, value, low, high, limit));
  return {
    schema: 'plumbline-evidence-1',
    run: { id, name: say('release 12'), status: 'success', system: say('digit reader'), manifest: say('system.toml'), manifest_sha256: hash(3), started: started(1), finished: started(0), seconds: 84.2, seed: 7, build: '0.1.0', machine: 'x86-64-v3, 2 cores', root: hash(4), previous_root: hash(5),
      inputs: { 'data:test': hash(6), [say('model:reader')]: hash(7) }, notes: [say('the training split is not named, so overlap with it is unknown')], exit_status: 1, exit_reason: say('1 of 5 claims refuted: claim-1'),
      artifacts: Array.from({ length: 4 }, (_, n) => ({ id: `probe.accuracy.picture-${n}`, kind: kinds[n], title: artifact(n, say).title, caption: say('How to read it in one sentence.'), sha256: hash(700 + n), facts: {}, media_type: '' })) },
    claims, evidence: Array.from({ length: 26 }, (_, n) => evidence(n, say)), findings: Array.from({ length: 3 }, (_, n) => findings(n, say)),
    ledger: Array.from({ length: 40 }, (_, n) => ({ check: n % 4 === 0 ? ['probe.accuracy', 'caution.calibration', 'caution.selective', 'probe.slices', 'robustness.ood', 'robustness.shift'][n % 6] : `room.check_${n}`, subject: n % 4 === 0 ? say('reader') : '', status: ['ok', 'not_applicable', 'error', 'skipped'][n % 4 === 0 ? 0 : n === 2 ? 2 : n === 3 ? 3 : 1], reason: n % 4 === 0 ? '' : say(n === 2 ? 'memory limit of 2 GiB' : 'the manifest names no world'), rows: n % 4 === 0 ? '10 000 rows of test' : '', seconds: n % 4 === 0 ? 0.2 + wave(n) : 0, cached: n % 12 === 8 })),
    argument: { name: say('digit reader'), brief: 'The argument', roots: ['G-top'], nodes: [{ id: 'G-top', kind: 'goal', text: say('The reader may be shipped.'), supported_by: ['G-0', 'G-1'], in_context_of: ['C-0'], challenges: [], standing: 'refuted', undeveloped: false, defeated: false, claim: null, evidence: null, doubt: null, need: 0 },
      { id: 'C-0', kind: 'context', text: say('Posted letters in Europe.'), supported_by: [], in_context_of: [], challenges: [], standing: null, undeveloped: false, defeated: false, claim: null, evidence: null, doubt: null, need: 0 },
      ...[0, 1].map((n) => ({ id: `G-${n}`, kind: 'goal', text: claims[n].text, supported_by: [], in_context_of: [], challenges: [], standing: claims[n].standing, undeveloped: false, defeated: false, claim: claims[n].id, evidence: null, doubt: null, need: 0 }))] },
  };
}

const svgText = (text) => text.replace(/[&<>"'\u0000-\u001f]/g, (c) => (c < ' ' ? ' ' : `&#${c.charCodeAt(0)};`));
const argument = (say) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 190" width="520" height="190"><style>text{font:13px sans-serif;fill:#1f2328}rect{fill:#ffebe9;stroke:#cf222e}.s{fill:#dafbe1;stroke:#1a7f37}@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#3d1a19}.s{fill:#12332a}}</style><script>window.owned=9</script>
<path d="M260 60L130 120M260 60L390 120" stroke="#888" fill="none"/><rect x="150" y="20" width="220" height="44"/><text x="162" y="46">${svgText(say('The reader may be shipped.')).slice(0, 60)}</text><rect class="s" x="20" y="120" width="220" height="44"/><text x="32" y="146">Right on clean digits.</text><rect x="280" y="120" width="220" height="44"/><text x="292" y="146">No false confidence.</text></svg>`;

const agents = ['optimal', 'q_learning', 'cautious', 'quantilizer', 'lookahead:5', 'random'];
const worlds = ['boat_race', 'absent_supervisor', 'sokoban', 'conveyor', 'island', 'whisky_and_gold', 'tomato', 'friend_or_foe', 'vase', 'treacherous_turn', 'office', 'burning'];
function gauntlet(say) {
  const fates = ['safe', 'hacks', 'incapable', 'undetermined', 'safe', 'hacks', 'not_run', 'safe', 'error'];
  return { schema: 'plumbline-gauntlet-1', seed: 1, seeds: 10, steps: 2000, complete: true,
    cells: worlds.flatMap((world, w) => agents.map((agent, a) => {
      const verdict = fates[(w * 5 + a * 3 + ((w * a) % 4)) % 9];
      return { world: say(world), agent, level: 'default', dials: {}, verdict, truth: verdict === 'not_run' ? null : wave(w * 6 + a), observed: 10 * wave(w + a), hidden: 8 * wave(w - a), reason: say('exact'), share: { value: wave(w), low: wave(w) * 0.8, high: 1, n: 10 } };
    })),
    standings: agents.map((agent, a) => ({ agent, worlds: 12, truth: a === 5 ? { value: 0.02, low: null, high: null, n: 6, method: 'interquartile mean', warnings: ['no bounds: n = 6 units, expected at least 10'] } : { value: 0.9 - 0.13 * a, low: 0.82 - 0.14 * a, high: 0.95 - 0.11 * a, n: 120, method: 'interquartile mean, percentile bootstrap within worlds', warnings: [] }, verdicts: { safe: 8 - a, hacks: a, incapable: 2, undetermined: 1 } })),
    ordering: { level: 0.05, correction: 'holm', order: agents.map((approach, a) => ({ approach, lead: 0.3 - 0.1 * a })), pairs: [] } };
}

function episode(name, say) {
  const frames = ['#####\n#A> #\n#^#v#\n# < #\n#####', '#####\n# A #\n#^#v#\n# < #\n#####', '#####\n# >A#\n#^#v#\n# < #\n#####'];
  if (name === 'vase') frames.fill('city A  people ##\ncity B  people #.\n');
  const rows = Array.from({ length: 41 }, (_, i) => i);
  return { world: name, level: 'default', agent: 'optimal', seed: 1, artifact: { id: 'episode', kind: 'episode', title: say(`optimal in ${name}`), facts: {}, columns: [{ name: 'step', unit: '', values: rows },
    { name: 'action', unit: '', values: rows.map((i) => (i === 0 ? '' : say(i % 2 ? 'right' : 'left'))) }, { name: 'reward', unit: '', values: rows.map((i) => (i === 0 ? 0 : i % 2 ? 2 : -1)) }, { name: 'truth', unit: '', values: rows.map((i) => (i === 0 ? 0 : i % 7 === 0 ? 1 : 0)) },
    { name: 'frame', unit: '', values: rows.map((i) => frames[i % 3]) }] } };
}

/// One answer: [status, body] with a body that is an object (JSON) or {type, text}.
function answer(method, url, body, state) {
  const { say } = state;
  const get = (name, absent = '') => url.searchParams.get(name) ?? absent;
  const number = (name, absent) => (url.searchParams.has(name) ? Number(get(name)) : absent);
  const wrong = (status, code, message, hint) => [status, { error: { code, message: say(message), hint: say(hint) } }];
  const path = url.pathname;
  const page = (all, key) => {
    const offset = number('offset', 0);
    return [200, { total: all.length, offset, [key]: all.slice(offset, offset + number('limit', 50)) }];
  };
  if (path === '/api/overview') return [200, { version: '0.1.0', stores: state.runs.length ? [{ name: say('main'), runs: state.runs.length - 900 }, { name: 'nightly', runs: 900 }] : [{ name: 'main', runs: 0 }], guard: null, gauntlet: 2, caller: { name: state.token ? say('ada') : '', scopes: state.scopes }, tokens: state.token !== '' }];
  if (path === '/api/runs') {
    const [query, status, verdict, sort] = ['query', 'status', 'verdict', 'sort'].map((name) => get(name));
    const chosen = state.runs.filter((one) => (!query || `${one.id} ${one.system} ${one.name}`.toLowerCase().includes(query.toLowerCase())) && (!status || one.status === status) && (!verdict || one.verdicts.includes(verdict)));
    const key = sort.replace('-', '');
    if (key) chosen.sort((a, b) => (sort.startsWith('-') ? -1 : 1) * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
    return page(chosen, 'runs');
  }
  const of = /^\/api\/runs\/([^/]+)(?:\/(.*))?$/.exec(path);
  if (of) {
    const id = decodeURIComponent(of[1]);
    if (state.unjudged && !of[2]) return [200, { ...runEvidence(id, say), claims: null, argument: null, not_judged: say('system.toml cannot be read any more') }];
    if (!state.runs.some((one) => one.id === id)) return wrong(404, 'run_unknown', `there is no run ${id}`, 'plumbline runs lists those that there are');
    if (!of[2]) return [200, runEvidence(id, say)];
    if (of[2] === 'argument.svg') return [200, { type: 'image/svg+xml', text: argument(say) }];
    if (of[2] === 'report.html') return [200, { type: types.html, text: '<!DOCTYPE html><title>report</title><p>the report</p>' }];
    const n = [0, 1, 2, 3].find((one) => of[2] === `artifacts/${hash(700 + one)}`);
    return n === undefined ? wrong(404, 'artifact_unknown', 'there is no such artifact', 'look at the list of the run') : [200, { artifact: artifact(n, say), caption: say('How to read it in one sentence.'), rows: 12, kept: 12, thinned: false, image: null }];
  }
  if (path === '/api/metrics') return [200, { metrics: state.runs.length ? ['probe.accuracy accuracy', 'probe.accuracy top_5', 'caution.calibration ece', 'robustness.ood auroc'].map((one, n) => ({ check: one.split(' ')[0], metric: say(one.split(' ')[1]), subjects: n === 0 ? [say('reader'), 'reader-small'] : [say('reader')], points: 40 + n })) : [] }];
  if (path === '/api/trend') {
    // Two series: the first falls at its run 23 of 40, the second does not.
    const subject = say(get('subject').split(' <')[0]);
    const series = [{ subject, where: { data: say('test') }, points: 40 }, { subject, where: { data: 'test', slice: say('dark') }, points: 40 }];
    const where = get('where') ? JSON.parse(get('where')) : null;
    const second = where !== null && where.slice !== '';
    const shown = series[second ? 1 : 0];
    const points = Array.from({ length: 40 }, (_, n) => { const level = second ? 0.7 : n < 22 ? 0.95 : 0.88; const value = level + 0.02 * (wave(n + 40 * second) - 0.5); return { run: hash(39 - n).slice(0, 12), started: started(39 - n), value, low: value - 0.02, high: value + 0.02, n: 2000, evidence: hash(n) }; }).slice(-number('limit', 200));
    const changes = [{ at: 22, run: hash(17).slice(0, 12), started: started(17), low: 21, high: 23, level: 0.95, before: 0.95, after: 0.88, before_interval: { value: 0.95, low: 0.946, high: 0.954 }, after_interval: { value: 0.88, low: 0.876, high: 0.884 }, step: -0.07, p: 0.0004 }];
    const told = { check: get('check'), metric: get('metric'), subject, where: shown.where, unit: 'share', points, series: where ? [shown] : series, changes: null, method: null };
    if (state.changes === false) return [200, told];
    if (state.changes === 'few') return [200, { ...told, why_not: say('2 points are too few to tell a change from noise (5 needed)') }];
    return [200, { ...told, changes: second ? [] : changes, method: 'likelihood over all places, p by permutation', p: second ? 0.41 : 0.0004, noise: say('the figures\u2019 own standard errors'), repeated: second ? 0 : 2 }];
  }
  if (path === '/api/compare') {
    if (get('first') === get('second')) return wrong(422, 'same_run', 'both runs are the same', 'choose two');
    return [200, { first: { id: get('first'), started: started(9), system: say('digit reader') }, second: { id: get('second'), started: started(2), system: say('digit reader') }, not_compared: state.unjudged ? [say('the manifest of the first run cannot be read')] : [],
      claims: state.unjudged ? [] : [{ id: say('blur'), text: say('Blurred digits are not read with false confidence.'), before: 'supported', after: 'refuted' }, { id: 'slices', text: say('No group of writers is served worse.'), before: 'undetermined', after: 'supported' }, { id: 'new', text: 'It notices what is not a digit.', before: null, after: 'supported' }],
      figures: Array.from({ length: 14 }, (_, n) => ({ what: say(`probe.slices accuracy, group ${n}`), change: n === 12 ? 'added' : n === 13 ? 'removed' : 'changed', before: n === 12 ? null : { value: 0.9 - 0.01 * n, low: 0.87 - 0.01 * n, high: 0.93 - 0.01 * n }, after: n === 13 ? null : { value: 0.86 + 0.008 * n, low: 0.83 + 0.008 * n, high: 0.89 + 0.008 * n } })), same: 143 }];
  }
  if (path === '/api/findings' && method === 'GET') return page((state.runs.length ? Array.from({ length: 45 }, (_, n) => findings(n, say)) : []).filter((one) => !get('check') || one.check === get('check')), 'findings');
  if (path === '/api/findings/replay' && method === 'POST') {
    if (!state.scopes.includes('admin')) return wrong(403, 'scope', 'this needs the scope admin', 'use a token that has it');
    return [200, body.id === findings(1, say).id ? { same: false, text: say('accuracy was 0.84, now 0.86: first difference in row 17') } : { same: true, text: say('the same to the bit: 3 figures') }];
  }
  if (path === '/api/gauntlet') return [200, { tables: [{ name: 'built in', source: 'built in', table: gauntlet(say) }, { name: say('mine.json'), source: say('mine.json'), table: { ...gauntlet(say), standings: [], cells: gauntlet(say).cells.slice(0, 12) } }] }];
  if (path === '/api/worlds') return [200, { worlds: worlds.map((id, n) => ({ id, title: say(id.replace(/_/g, ' ')), family: ['classics', 'side_effects', 'treachery'][n % 3], story: say('It is paid for passing arrows; people want it to finish the round.'), levels: ['default', 'wide'].slice(0, 1 + (n % 2)), agents, scripts: n % 2 ? ['race'] : [] })) }];
  const played = /^\/api\/worlds\/([^/]+)\/episode$/.exec(path);
  if (played) return worlds.includes(decodeURIComponent(played[1])) ? [200, episode(decodeURIComponent(played[1]), say)] : wrong(404, 'world_unknown', 'there is no such world', 'plumbline worlds list names them');
  return wrong(404, 'not_found', `nothing is at ${path}`, 'see the API in docs/user/dashboard.md');
}

/// Starts the server on a free port of loopback. `options`: runs (how many), say (what every text becomes), token (asked for when not empty), scopes, changes, delay (ms), port.
/// `state` may be changed while it runs; `state.spoil` is sent in place of every answer.
export async function serve(folder, options = {}) {
  const say = options.say ?? ((text) => text);
  const state = { say, token: options.token ?? '', scopes: options.scopes ?? ['read', 'admin'], changes: options.changes ?? true, delay: options.delay ?? 0, runs: Array.from({ length: options.runs ?? 10000 }, (_, n) => run(n, say)) };
  const files = new Map(readdirSync(join(folder, 'assets')).map((name) => [`/assets/${name}`, readFileSync(join(folder, 'assets', name))]));
  files.set('/', readFileSync(join(folder, 'index.html')));
  const sent = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const send = (status, type, body, more = {}) => {
      const bytes = Buffer.from(body);
      sent.push({ path: url.pathname + url.search, status, bytes: bytes.length });
      response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length, 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', ...more });
      response.end(bytes);
    };
    const file = files.get(url.pathname);
    if (file) return send(200, types[url.pathname.split('.').pop()] ?? types.html, file, { 'Cache-Control': url.pathname === '/' ? 'no-cache' : 'max-age=31536000, immutable' });
    let text = '';
    request.on('data', (part) => { text += part; });
    return request.on('end', () => setTimeout(() => {
      if (state.token && request.headers.authorization !== `Bearer ${state.token}`) return send(401, 'application/json', JSON.stringify({ error: { code: 'token', message: 'a token is needed', hint: 'one of those in the file that --tokens names' } }));
      if (state.spoil) return send(200, 'application/json', state.spoil);
      const [status, body] = answer(request.method, url, text ? JSON.parse(text) : {}, state);
      return body.type && body.text !== undefined && !body.error && status === 200 && Object.keys(body).length === 2 ? send(status, body.type, body.text) : send(status, 'application/json; charset=utf-8', JSON.stringify(body));
    }, state.delay));
  });
  await new Promise((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, sent, state, close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}
