/**
 * Purpose: the rules of applications (domain.md §6): who approves, which idle rights go to the applicant first, which application a grant settles.
 * Invariants: nobody approves an application of their own, and nobody twice; a route is never empty; taking idle rights takes no right that
 * is used or awaited, and adds rights only as far as the company holds some that no department has or uses; a grant settles the oldest first and never
 * more than is outstanding.
 */

/** One department of the chain that an application climbs. */
export interface ChainDepartment<K> {
  readonly department: K;
  /** Employee id. */
  readonly manager: string | null;
}

export interface RouteStep<K> {
  /** undefined: whoever has the role of the licence manager. */
  readonly approver?: string;
  /** Whose manager it is. */
  readonly department?: K;
}

/**
 * The managers from the applying department upward. `mayApprove` says whether someone is there to do so: known to the directory and not gone;
 * `excluded` are the applicant and those who have decided already.
 */
export function approvalRoute<K>(
  chain: Iterable<ChainDepartment<K>>,
  options: { readonly excluded: Iterable<string>; readonly mayApprove: (employee: string) => boolean },
): readonly RouteStep<K>[] {
  const asked = new Set(options.excluded);
  const route: RouteStep<K>[] = [];
  for (const { department, manager } of chain) {
    if (manager === null || asked.has(manager) || !options.mayApprove(manager)) continue;
    asked.add(manager);
    route.push({ approver: manager, department });
  }
  return route.length === 0 ? [{}] : route;
}

/** One department's numbers of the licence applied for. */
export interface IdleSource<K> {
  readonly department: K;
  /** Decides between departments that have the same number idle. */
  readonly code: string;
  readonly rights: number;
  readonly used: number;
  readonly requested: number;
}

export interface IdleTaken<K> {
  /** Held by the company, and no department's. */
  readonly fromCompany: number;
  readonly fromDepartments: readonly { readonly department: K; readonly quantity: number }[];
  /** What idle rights do not cover. */
  readonly rest: number;
}

/**
 * Idle rights for `quantity` of an application: first what the company holds beyond every department's rights and use, then what other departments
 * have and neither use nor await - the one with the most first, equals in the order of their codes.
 */
export function takeIdle<K>(input: {
  readonly quantity: number;
  readonly applicant: K;
  /** What the company's entitlements are worth; Infinity where nothing limits the use. */
  readonly held: number;
  /** Every department with numbers, the applicant and the unassigned among them. */
  readonly departments: readonly IdleSource<K>[];
}): IdleTaken<K> {
  const claimed = input.departments.reduce((sum, d) => sum + Math.max(d.rights, d.used), 0);
  const fromCompany = Math.min(input.quantity, Math.max(0, input.held - claimed));
  let rest = input.quantity - fromCompany;
  const sources = input.departments
    .filter((d) => d.department !== input.applicant)
    .map((d) => ({ ...d, idle: Math.min(d.rights, d.rights - d.used - d.requested) }))
    .filter((d) => d.idle > 0)
    .sort((a, b) => b.idle - a.idle || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0));
  const fromDepartments: { department: K; quantity: number }[] = [];
  for (const { department, idle } of sources) {
    if (rest === 0) break;
    const quantity = Math.min(idle, rest);
    fromDepartments.push({ department, quantity });
    rest -= quantity;
  }
  return { fromCompany, fromDepartments, rest };
}

/** Shares out what was granted among applications, the first first; those that get nothing are left out. */
export function settleInOrder<A extends { readonly outstanding: number }>(
  applications: Iterable<A>,
  granted: number,
): { readonly application: A; readonly quantity: number }[] {
  const settled: { application: A; quantity: number }[] = [];
  let left = granted;
  for (const application of applications) {
    const quantity = Math.min(left, application.outstanding);
    if (quantity <= 0) continue;
    settled.push({ application, quantity });
    left -= quantity;
  }
  return settled;
}
