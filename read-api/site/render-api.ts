/** An OpenAPI document as one page of HTML that needs no script. */

type Schema = {
  type?: string | string[];
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  description?: string;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
};
type Parameter = { name: string; in: string; required?: boolean; description?: string; schema?: Schema };
type Content = { content?: Record<string, { schema?: Schema }>; description?: string };
type Operation = {
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: Content;
  responses?: Record<string, Content>;
};
export type ApiDocument = {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
};

const depthMax = 6;

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: unknown) =>
  String(text).replace(/[&<>"]/g, character => escapes[character] ?? character);

export function renderApi({ info, paths }: ApiDocument): string {
  const operations = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, operation]) => ({ path, verb: verb.toUpperCase(), operation })),
  );
  const groups = Map.groupBy(operations, ({ operation }) => operation.tags?.[0] ?? 'platform');
  const sections = [...groups]
    .map(
      ([name, members]) =>
        `<h2 id="${escaped(name)}">${escaped(name)}</h2>${members.map(renderOperation).join('')}`,
    )
    .join('');
  const index = [...groups.keys()]
    .map(name => `<a href="#${escaped(name)}">${escaped(name)}</a>`)
    .join(' · ');
  return `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(info.title)} API</title>
<style>${style}</style><main><h1>${escaped(info.title)} API <small>${escaped(info.version)}</small></h1>
<p>${escaped(info.description ?? '')} Also as <a href="/openapi.json">OpenAPI 3.1</a>.</p>
<nav>${index}</nav>${sections}</main></html>`;
}

function renderOperation({
  path,
  verb,
  operation,
}: {
  path: string;
  verb: string;
  operation: Operation;
}): string {
  const {
    summary = '',
    description = 'For everybody.',
    parameters = [],
    requestBody,
    responses = {},
  } = operation;
  const rows = parameters
    .map(
      ({ name, in: where, required, description, schema }) =>
        `<tr><td>${renderName(name, required)}<td>${escaped(where)}` +
        `<td>${renderType(schema)} ${escaped(description ?? schema?.description ?? '')}`,
    )
    .join('');
  const body = Object.values(requestBody?.content ?? {})[0]?.schema;
  const answers = Object.entries(responses)
    .map(([status, { content }]) => {
      const schema = Object.values(content ?? {})[0]?.schema;
      return `<h4>${escaped(status)}</h4>${schema === undefined ? '' : renderSchema(schema)}`;
    })
    .join('');
  return `<details><summary><b class="${verb}">${verb}</b> <code>${escaped(path)}</code> ${escaped(summary)}</summary>
<p>${escaped(description)}</p>
${rows === '' ? '' : `<h4>Parameters</h4><table>${rows}</table>`}
${body === undefined ? '' : `<h4>Body</h4>${renderSchema(body)}`}${answers}</details>`;
}

function renderName(name: string, isRequired: boolean | undefined): string {
  return `<code>${escaped(name)}</code>${isRequired ? ' *' : ''}`;
}

function renderSchema(schema: Schema, depth = 0): string {
  const inner = schema.items ?? schema.anyOf?.find(one => one.properties) ?? schema;
  if (inner.properties === undefined || depth >= depthMax) return `<p>${renderType(schema)}</p>`;
  const rows = Object.entries(inner.properties).map(([name, property]) => {
    const nested = property.items ?? property.anyOf?.find(one => one.properties) ?? property;
    const more = nested.properties === undefined ? '' : renderSchema(nested, depth + 1);
    const isRequired = inner.required?.includes(name);
    const what = `${renderType(property)} ${escaped(property.description ?? '')}${more}`;
    return `<tr><td>${renderName(name, isRequired)}<td>${what}`;
  });
  return `<table>${rows.join('')}</table>`;
}

function renderType(schema: Schema | undefined): string {
  if (schema === undefined) return '';
  const { anyOf, const: constant, enum: values, items, type } = schema;
  if (anyOf !== undefined) return anyOf.map(renderType).join(' or ');
  if (constant !== undefined) return `<code>${escaped(JSON.stringify(constant))}</code>`;
  if (values !== undefined)
    return values.map(value => `<code>${escaped(JSON.stringify(value))}</code>`).join(' or ');
  if (items !== undefined) return `list of ${renderType(items)}`;
  const limits = (['format', 'pattern', 'minimum', 'maximum', 'minLength', 'maxLength', 'maxItems'] as const)
    .filter(limit => schema[limit] !== undefined)
    .map(limit => `${limit} <code>${escaped(schema[limit])}</code>`);
  return [`<i>${escaped(type ?? 'anything')}</i>`, ...limits].join(', ');
}

const style = `
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:auto;padding:1rem}
details{border-bottom:1px solid #8884;padding:.5rem 0}summary{cursor:pointer}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td{vertical-align:top;padding:.2rem .5rem;border-top:1px solid #8883;overflow-wrap:anywhere}
code{font-size:.9em;overflow-wrap:anywhere}h2{margin-top:2rem}h4{margin:.8rem 0 .2rem}
b{display:inline-block;min-width:4.5rem}small{font-weight:normal;opacity:.7}`;
