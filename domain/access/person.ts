/** A person as the OIDC provider tells of him, and what his groups there may do here. */

export type PersonClaims = {
  readonly sub: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly isEmailVerified: boolean;
  readonly groups: readonly string[];
  /** What the provider calls the session there. */
  readonly sid: string | null;
};

export type PersonPolicy = {
  /** Domains of email addresses, in small letters. Empty: of any domain, and without an address too. */
  readonly allowedDomains: readonly string[];
  /** Grants by the name of a group. */
  readonly groupScopes: Readonly<Record<string, readonly string[]>>;
  /** Patterns of app ids by the name of a group. Whoever is in one of these groups reaches no other apps. */
  readonly groupApps: Readonly<Record<string, readonly string[]>>;
};

export type Person = {
  readonly subject: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly apps: readonly string[] | null;
};

const subjectPrefix = 'oidc:';

/** Whether the subject is of somebody the provider told of. */
export const isFromProvider = (subject: string): boolean => subject.startsWith(subjectPrefix);

export type PersonRefusal = 'unverified-email' | 'foreign-domain' | 'no-groups';

/** Whoever the claims tell of, with the scopes of all his groups; or why he may not come in. */
export function admit(claims: PersonClaims, policy: PersonPolicy): Person | PersonRefusal {
  const { sub, name, email, isEmailVerified } = claims;
  if (policy.allowedDomains.length > 0) {
    if (email === null || !isEmailVerified) return 'unverified-email';
    const domain = email.slice(email.lastIndexOf('@') + 1).toLowerCase();
    if (!email.includes('@') || !policy.allowedDomains.includes(domain)) return 'foreign-domain';
  }
  const scopes = ofGroups(claims.groups, policy.groupScopes);
  if (scopes.length === 0) return 'no-groups';
  const apps = ofGroups(claims.groups, policy.groupApps);
  return {
    subject: `${subjectPrefix}${sub}`,
    name: name ?? email ?? sub,
    scopes,
    apps: apps.length === 0 ? null : apps,
  };
}

/** What these groups have together. Groups that are not named in the table have nothing. */
function ofGroups(groups: readonly string[], table: Readonly<Record<string, readonly string[]>>): string[] {
  const has = new Set(groups);
  const found = Object.entries(table).filter(([group]) => has.has(group));
  return [...new Set(found.flatMap(([, all]) => all))];
}
