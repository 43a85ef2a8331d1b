// A real guard on the example of `plumbline init --kind guard`, real requests to it, and the dashboard in front of it.
import { spawn, spawnSync } from 'node:child_process';
import { createServer, request as httpRequest } from 'node:http';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { policy } from './dashboard_fixture.mjs';

export const SURE = [0, 0];         // in the middle of the letters
export const TORN = [1.5, 0.5];     // half-way between letters and parcels
export const FOREIGN = [40, -40];   // like nothing that it was fitted to

const started = [];
const folders = [];

/// Waits until `probe` gives something, and says for what in vain.
export async function until(words, probe, milliseconds = 20000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited in vain for: ${words}`);
    await new Promise((next) => setTimeout(next, 40));
  }
}

/// Starts a program and gives the address of its line "listening on http://ADDRESS".
async function listening(program, args, cwd = undefined) {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let said = '';
  let wrong = '';
  child.stdout.on('data', (part) => { said += part; });
  child.stderr.on('data', (part) => { wrong += part; });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const address = await until(`${args[0]} to listen`, () => {
    if (child.exitCode !== null) throw new Error(`${args[0]} ended with ${child.exitCode}: ${wrong}`);
    return said.match(/listening on http:\/\/(\S+)/)?.[1];
  }, 60000);
  return { child, address, ended };
}

/// A folder with the example, its manifest changed: keys of [guard], and whole texts.
export function example(plumbline, keys = {}, replace = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-guard-'));
  folders.push(folder);
  const made = spawnSync(plumbline, ['init', join(folder, 'parcels'), '--kind', 'guard'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  const manifest = join(folder, 'parcels', 'system.toml');
  let text = readFileSync(manifest, 'utf8');
  for (const [from, to] of Object.entries(replace)) text = text.replace(from, to);
  for (const [key, value] of Object.entries(keys)) text = `${text.replace(new RegExp(`^${key} = .*\n`, 'm'), '')}${key} = ${JSON.stringify(value)}\n`;
  writeFileSync(manifest, text);
  return { folder: join(folder, 'parcels'), manifest };
}

export class Guard {
  constructor(plumbline, manifest) {
    this.plumbline = plumbline;
    this.manifest = manifest;
    this.address = '127.0.0.1:0';
  }

  /// Again on the same port after a kill, as a supervisor would start it.
  async start() {
    const { child, address, ended } = await listening(this.plumbline, ['guard', this.manifest, '--accept', 'case', '--listen', this.address]);
    Object.assign(this, { child, address, ended });
    return this;
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async call(method, path, body) {
    const reply = await fetch(`http://${this.address}${path}`, { method, headers: this.token ? { Authorization: `Bearer ${this.token}` } : {}, body: body === undefined ? undefined : JSON.stringify(body) });
    return { status: reply.status, body: await reply.json() };
  }

  decide(id, input, more = {}) {
    return this.call('POST', '/v1/decide', { id, input, ...more });
  }

  /// Requests at a steady rate until `stop` is called; what came back is counted.
  traffic(perSecond, prefix = 'traffic') {
    const counts = { sent: 0, answered: 0, failed: 0 };
    const timer = setInterval(() => {
      const id = `${prefix} ${counts.sent++}`;
      const at = counts.sent % 10;
      this.decide(id, at === 9 ? FOREIGN : [0.02 * (counts.sent % 50), 0.01 * at], { deadline_ms: 900 }).then(({ status }) => { counts[status === 200 ? 'answered' : 'failed'] += 1; }, () => { counts.failed += 1; });
    }, 1000 / perSecond);
    return { counts, stop: () => clearInterval(timer) };
  }
}

/// The dashboard as `plumbline serve --guard` shows it, where nothing was assessed.
export async function dashboard(plumbline, guard, more = []) {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-serve-'));
  folders.push(folder);
  const { child, address, ended } = await listening(plumbline, ['serve', '--guard', `http://${guard.address}`, '--listen', '127.0.0.1:0', ...more], folder);
  return { url: `http://${address}/`, close: async () => { child.kill('SIGTERM'); return ended; } };
}

/// The dashboard's files with a bare proxy to the guard, to spoil answers on their way: `change` gets path and body.
export async function proxy(assets, guard, change = null) {
  const files = new Map([['/', readFileSync(join(assets, 'index.html'))]]);
  for (const name of readdirSync(join(assets, 'assets'))) files.set(`/assets/${name}`, readFileSync(join(assets, 'assets', name)));
  const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };
  const state = { change, hang: false, calls: [] };
  const server = createServer((request, response) => {
    const send = (status, type, body) => {
      response.writeHead(status, { 'Content-Type': type, 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' });
      response.end(body);
    };
    const path = request.url.split('?')[0];
    if (files.has(path)) return send(200, types[path.split('.').pop()] ?? 'text/html; charset=utf-8', files.get(path));
    if (path === '/api/overview') return send(200, 'application/json', JSON.stringify({ version: 'test', stores: [], guard: { url: `http://${guard.address}` }, gauntlet: 0, caller: { name: 'anonymous', scopes: ['admin'] }, tokens: false }));
    if (!path.startsWith('/api/guard/')) return send(404, 'application/json', '{"error":{"code":"not_found","message":"there is nothing here","hint":""}}');
    state.calls.push({ path, at: Date.now() });
    if (state.hang) return undefined;
    const [host, port] = guard.address.split(':');
    const onward = httpRequest({ host, port, method: request.method, path: request.url.slice('/api/guard'.length), headers: { 'Content-Type': 'application/json' } }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (part) => { text += part; });
      reply.on('end', () => send(reply.statusCode, 'application/json', state.change ? JSON.stringify(state.change(path, JSON.parse(text))) : text));
    });
    onward.on('error', () => send(502, 'application/json', '{"error":{"code":"guard_unreachable","message":"the guard does not answer","hint":"Look whether it runs"}}'));
    request.pipe(onward);
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, state, close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

export async function cleanUp() {
  for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
