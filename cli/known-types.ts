/** The types of events that this version knows. The compiler sees to it that the projection of the audit names each. */
import { audit } from '../projections/access/audit.ts';

export const knownTypes: ReadonlySet<string> = new Set(Object.keys(audit.on));
