/** The few questions that are asked over HTTP/1: is anybody there, and which version. */
import type { ServerResponse } from 'node:http';
import { protocolVersion } from './server-features.ts';

type Request = { readonly method?: string | undefined; readonly url?: string | undefined };

const infoOf = (secured: boolean) => ({
  dbVersion: protocolVersion,
  esVersion: protocolVersion,
  state: 'leader',
  features: { projections: false, userManagement: secured, atomPub: false },
  authentication: { type: secured ? 'internal' : 'insecure', properties: {} },
});

export function answerHttp1(request: Request, response: ServerResponse, secured: boolean): void {
  const path = (request.url ?? '/').split('?', 1)[0];
  const reading = request.method === 'GET' || request.method === 'HEAD';
  if (reading && path === '/ping')
    json(response, { msgTypeId: 3, text: 'Ping request successfully handled' });
  else if (reading && path === '/info') json(response, infoOf(secured));
  else if (reading && (path === '/health/live' || path === '/health/alive')) end(response, 204);
  else end(response, 404);
}

function json(response: ServerResponse, body: object): void {
  response.statusCode = 200;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(body) as string);
}

function end(response: ServerResponse, statusCode: number): void {
  response.statusCode = statusCode;
  response.end();
}
