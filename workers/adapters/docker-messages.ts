/** The messages in which the engine answers while it builds, pushes and pulls: JSON values one after the other, a line each. */

const messageBytesMax = 4 * 1024 * 1024;

/** Of the Engine API 1.41. */
export type Message = {
  stream?: string;
  status?: string;
  id?: string;
  progress?: string;
  error?: string;
  aux?: unknown;
};

export async function* readMessages(output: NodeJS.ReadableStream): AsyncIterable<Message> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of output) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Message;
    if (rest.length > messageBytesMax) throw new Error('a message of the engine is too long');
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as Message;
}

/** A field of `aux`, where that is an object with a text of this name. */
export function textOfAux(aux: unknown, field: string): string | undefined {
  if (typeof aux !== 'object' || aux === null) return undefined;
  const value = (aux as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
