/** Users as a service: who may log in, and what they belong to. */
import { bool, empty, int, message, nested, repeated, string } from './codec.ts';
import { AccessDenied } from './log-errors.ts';
import type { Access } from './server-access.ts';
import { type Call, type Method, onlyMessage, unary } from './server-call.ts';
import type { User, Users } from './users.ts';

const inOptions = <T extends Parameters<typeof message>[0]>(fields: T) =>
  message({ options: nested(1, message(fields)) });
const named = inOptions({ loginName: string(1) });
const described = inOptions({
  loginName: string(1),
  password: string(2),
  fullName: string(3),
  groups: repeated(string(4)),
});
const changed = inOptions({ loginName: string(1), current: string(2), next: string(3) });
const reset = inOptions({ loginName: string(1), next: string(2) });
const details = message({
  details: nested(
    1,
    message({
      loginName: string(1),
      fullName: string(2),
      groups: repeated(string(3)),
      lastUpdated: nested(4, message({ ticks: int(1) })),
      disabled: bool(5),
    }),
  ),
});
const ticksPerMs = 10_000;

/** Every method by its path. Only administrators may, except to look at oneself and change the own password. */
export function usersMethods(users: Users, access: Access): [string, Method][] {
  const admin = (call: Call) => access.checkAdmin(call.caller);
  const one = (work: (loginName: string) => Promise<void>) =>
    unary(named, empty, async ({ options }, call) => {
      admin(call);
      await work(options?.loginName ?? '');
      return {};
    });
  const methods: Readonly<Record<string, Method>> = {
    Create: unary(described, empty, async ({ options }, call) => {
      admin(call);
      await users.create(options ?? { loginName: '', fullName: '', groups: [], password: '' });
      return {};
    }),
    Update: unary(described, empty, async ({ options }, call) => {
      admin(call);
      const { loginName = '', fullName = '', groups = [], password = '' } = options ?? {};
      await users.change(loginName, { fullName, groups, ...(password === '' ? {} : { password }) });
      return {};
    }),
    Delete: one(loginName => users.delete(loginName)),
    Enable: one(loginName => users.change(loginName, { disabled: false })),
    Disable: one(loginName => users.change(loginName, { disabled: true })),
    ChangePassword: unary(changed, empty, async ({ options }) => {
      const { loginName = '', current = '', next = '' } = options ?? {};
      // The password that is there says who asks.
      if ((await users.verify(loginName, current)) === undefined) throw new AccessDenied();
      await users.change(loginName, { password: next });
      return {};
    }),
    ResetPassword: unary(reset, empty, async ({ options }, call) => {
      admin(call);
      await users.change(options?.loginName ?? '', { password: options?.next ?? '' });
      return {};
    }),
    Details: async call => {
      const { options } = named.decode(await onlyMessage(call));
      const loginName = options?.loginName ?? '';
      if (loginName === '' || call.caller?.name !== loginName) admin(call);
      const found = loginName === '' ? await users.list() : [await users.get(loginName)];
      for (const user of found) call.send(details.frame({ details: detailsOf(user) }));
    },
  };
  return Object.entries(methods).map(([name, method]) => [`/event_store.client.users.Users/${name}`, method]);
}

function detailsOf({ loginName, fullName, groups, disabled, changedMs }: User) {
  return { loginName, fullName, groups, disabled, lastUpdated: { ticks: changedMs * ticksPerMs } };
}
