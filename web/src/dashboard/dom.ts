/// Elements built from values. Text becomes text nodes and attributes come from an allow-list, so nothing that a run, a model
/// or a person wrote can become markup, a script or an address outside this server.

export type Child = Node | string | number | false | null | undefined | Child[];
export type Attributes = Record<string, string | number | boolean | null | undefined | Listeners | Styles>;
type Listeners = { [event: string]: (event: never) => void };
type Styles = { [property: string]: string };

const kElements = new Set(('a abbr article aside b br button caption code datalist dd details dialog div dl dt em fieldset figcaption figure footer form h1 h2 h3 h4 '
  + 'header hr i img input kbd label legend li main nav ol optgroup option output p pre progress section select small span strong sub summary sup table tbody td '
  + 'textarea tfoot th thead time tr ul').split(' '));
const kSvgElements = new Set('circle desc ellipse g line path polygon polyline rect svg symbol text title tspan use'.split(' '));
const kAttributes = new Set(('abbr alt autocomplete checked class cols colspan datetime dir disabled download enterkeyhint for headers height hidden href id inputmode '
  + 'label lang list max maxlength min minlength multiple name open pattern placeholder readonly rel required role rows rowspan scope selected size span spellcheck src '
  + 'start step tabindex target title translate type value width').split(' '));
const kSvgAttributes = new Set(('class cx cy d dx dy fill focusable height href id opacity points preserveAspectRatio r role rx ry stroke stroke-dasharray '
  + 'stroke-linecap stroke-width tabindex text-anchor transform viewBox width x x1 x2 y y1 y2').split(' '));

/// Text as it may be shown: control characters, and those that make text read in another order than it is written, as U+FFFD.
export function clean(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g, '\ufffd');
}

/// Addresses of this page or this server only; images only as data.
function allowed(name: string, value: string): boolean {
  if (name === 'href') return value.startsWith('#') || /^\/(?![/\\])/.test(value);
  if (name === 'src') return /^data:image\/(png|svg\+xml);base64,/.test(value);
  return true;
}

function apply(element: Element, attributes: Attributes | null, known: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value as Listeners)) element.addEventListener(event, listener as unknown as EventListener);
    } else if (name === 'css') {
      for (const [property, setting] of Object.entries(value as Styles)) (element as HTMLElement).style.setProperty(property, setting);
    } else if (known.has(name) || /^(aria|data)-[a-z-]+$/.test(name)) {
      const words = value === true ? '' : String(value);
      if (!allowed(name, words)) throw new Error(`${name} may not be ${words.slice(0, 60)}`);
      element.setAttribute(name, name === 'href' || name === 'src' ? words : clean(words));
    } else {
      throw new Error(`<${element.localName}> takes no attribute ${name}`);
    }
  }
}

export function append(parent: Node, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.appendChild(child);
    else if (child !== null && child !== undefined && child !== false) parent.appendChild(document.createTextNode(clean(String(child))));
  }
}

/// An element of HTML: h('a', {href: '#/runs', class: 'quiet'}, 'Runs'). `on` holds listeners, `css` single properties.
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes?: Attributes | null, ...children: Child[]): HTMLElementTagNameMap[K] {
  if (!kElements.has(tag)) throw new Error(`<${tag}> is not built here`);
  const element = document.createElement(tag);
  apply(element, attributes ?? null, kAttributes);
  append(element, children);
  return element;
}

/// An element of SVG.
export function s<K extends keyof SVGElementTagNameMap>(tag: K, attributes?: Attributes | null, ...children: Child[]): SVGElementTagNameMap[K] {
  if (!kSvgElements.has(tag)) throw new Error(`<${tag}> is not built here`);
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  apply(element, attributes ?? null, kSvgAttributes);
  append(element, children);
  return element;
}

/// What stands in `host` becomes `children`.
export function fill(host: Element, ...children: Child[]): void {
  host.replaceChildren();
  append(host, children);
}

/// An address inside this page: path('runs', id) is "#/runs/ID" with every part encoded; `query` leaves out what is empty.
export function path(...parts: (string | number | Record<string, string | number | null | undefined>)[]): string {
  const last = parts[parts.length - 1];
  const query = typeof last === 'object' ? new URLSearchParams() : null;
  if (query && typeof last === 'object') for (const [key, value] of Object.entries(last)) if (value !== null && value !== undefined && value !== '') query.set(key, String(value));
  const names = (query ? parts.slice(0, -1) : parts) as (string | number)[];
  const tail = query ? query.toString() : '';
  return `#/${names.map((name) => encodeURIComponent(String(name))).join('/')}${tail ? `?${tail}` : ''}`;
}
