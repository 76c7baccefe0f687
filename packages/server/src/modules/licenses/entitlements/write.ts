/**
 * Purpose: writes entitlements - what was bought (domain.md §4).
 * Invariants: an entitlement keeps its id through every edit, and what it said before stays as history; money is whole minor units with its currency,
 * both or neither; importing the same file again changes nothing.
 * Which row is which, in a file: the one with the same `id`; else one that says exactly the same (as many times as it is there); else the only one
 * of that licence and order number; else it is new.
 */
import { isUnlimited, parseAttachedRights } from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import { newId } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { rowFault, type RowFault, type WriteMode, type WriteResult } from "../../../rows.ts";
import { breathe, eachPolitely, slicesOf } from "../../../slices.ts";
import { ensureLicenses, warnOfAdded, type PolicyLicenses } from "../catalog-store.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { entitlementStore as store, type EntitlementRow } from "./store.ts";

/** Absent = as it is (nothing, for a new one); null = nothing. Times in milliseconds. */
export interface EntitlementInput {
  readonly id?: string;
  readonly license?: string;
  readonly metric?: Metric;
  readonly quantity?: number;
  /** Minor units of `currency`. */
  readonly unitPrice?: number | null;
  readonly currency?: string | null;
  readonly purchasedAt?: number | null;
  readonly startsAt?: number | null;
  readonly expiresAt?: number | null;
  /** Rights attached, `|` between. */
  readonly rights?: string | null;
  readonly contract?: string | null;
  readonly order?: string | null;
  /** Managing department's code. */
  readonly department?: string | null;
  readonly certificate?: string | null;
  readonly supplier?: string | null;
  /** Id of the entitlement it belongs to. */
  readonly parent?: string | null;
  /** Employee id. */
  readonly manager?: string | null;
  /** Licences in one of `quantity`. */
  readonly packSize?: number;
}

type Cells = Omit<EntitlementRow, "id" | "created_at" | "replaced_at">;
type CellName = keyof Cells;

export async function writeEntitlements(
  db: Database,
  trx: Trx,
  rows: readonly EntitlementInput[],
  options: { readonly mode: WriteMode; readonly at: number; readonly ofPolicy?: PolicyLicenses | undefined },
): Promise<WriteResult & { readonly ids: readonly string[] }> {
  const { mode } = options;
  await lockLedger(trx, db.dialect);
  const at = await recordingTime(trx, options.at);
  const named = await byId(db, trx, rows);
  const departments = new Map((await store.departments(trx)).map((d) => [d.code, d.ordinal]));
  const ensured = await ensureLicenses(db, trx, await metricsOf(db, trx, rows));
  const licenses = ensured.ordinals;

  const known = await knownCodes(db, trx, rows);
  const faults: RowFault[] = [];
  const parsed: Partial<Cells>[] = [];
  await eachPolitely(rows.entries(), ([row, input]) => {
    const before = input.id === undefined ? undefined : named.current.get(input.id);
    if (mode === "create" && input.id !== undefined && named.taken.has(input.id))
      faults.push(rowFault(row, "id", "already-exists", { what: "entitlement", id: input.id }));
    if (mode === "change" && before === undefined)
      faults.push(rowFault(row, "id", "not-found", { what: "entitlement", id: input.id ?? "" }));
    if (mode === "upsert" && input.id !== undefined && before === undefined)
      faults.push(rowFault(row, "id", "reference-unknown", { what: "entitlement", id: input.id }));
    parsed.push(cellsOf(row, input, before, { licenses, departments, faults }));
  });
  const parents = await parentsOf(db, trx, parsed);
  const ofPolicy = options.ofPolicy?.();
  const warnings = [...warnOfAdded(rows, ensured, ofPolicy)];
  // As it will be: rows may belong to one another.
  parsed.forEach(({ parent }, row) => {
    const id = rows[row]?.id;
    if (id !== undefined && parent !== undefined && parents.has(id)) parents.set(id, parent);
  });
  await eachPolitely(parsed.entries(), ([row, cells]) => {
    if (cells.parent != null) faults.push(...parentFaults(row, cells.parent, rows[row]?.id, parents));
    for (const { licenses: others = [] } of parseAttachedRights(cells.rights).rights)
      for (const code of others)
        if (!licenses.has(code) && !known.has(code) && ofPolicy?.has(code) !== true)
          warnings.push(rowFault(row, "rights", "reference-unknown", { what: "licence", id: code }));
  });
  const none = { created: 0, updated: 0, unchanged: 0, warnings: [], ids: [] };
  if (faults.length > 0) return { ...none, faults };

  const held = mode === "upsert" ? await ofLicenses(trx, [...new Set(licenses.values())]) : [];
  const matches = await match(rows, parsed, named.current, held);
  const created: EntitlementRow[] = [];
  const updated: EntitlementRow[] = [];
  const former: EntitlementRow[] = [];
  const ids: string[] = [];
  await eachPolitely(parsed.entries(), ([row, cells]) => {
    const before = matches[row];
    const id = before?.id ?? rows[row]?.id ?? newId(at);
    ids.push(id);
    if (before === undefined) created.push({ ...blank, ...cells, id, created_at: at, replaced_at: null });
    else if (differs(before, cells)) {
      // Two edits within one millisecond: the first was never true for any moment, but it is kept all the same.
      former.push({ ...before, id: `${id}/${newId(at)}`, replaced_at: at });
      updated.push({ ...before, ...cells, created_at: at });
    }
  });
  for await (const slice of slicesOf([...created, ...former], 1000)) await store.insert(db, trx, slice);
  for await (const slice of slicesOf(updated, 1000)) await store.update(db, trx, slice);
  if (created.length + updated.length > 0) await touchPositions(db, trx, at, { entitlements: true });
  return {
    created: created.length,
    updated: updated.length,
    unchanged: rows.length - created.length - updated.length,
    faults,
    warnings,
    ids,
  };
}

const pageSize = 1000;
const blank: Cells = {
  license: 0,
  metric: "device",
  quantity: 0,
  unit_price: null,
  currency: null,
  purchased_at: null,
  starts_at: null,
  expires_at: null,
  rights: null,
  contract: null,
  order_no: null,
  department: null,
  certificate: null,
  supplier: null,
  parent: null,
  manager: null,
  pack_size: 1,
};

/** The cells that the row sets, checked together with what it leaves as it is. */
function cellsOf(
  row: number,
  input: EntitlementInput,
  before: EntitlementRow | undefined,
  known: {
    readonly licenses: ReadonlyMap<string, number>;
    readonly departments: ReadonlyMap<string, number>;
    readonly faults: RowFault[];
  },
): Partial<Cells> {
  const { faults } = known;
  const cells: { -readonly [K in CellName]?: Cells[K] } = {};
  if (input.license !== undefined) cells.license = known.licenses.get(input.license) ?? 0;
  else if (before === undefined) faults.push(rowFault(row, "license", "value-required"));
  if (input.metric !== undefined) cells.metric = input.metric;
  if (input.quantity !== undefined) cells.quantity = input.quantity;
  // Where nothing limits the use, how many were bought may stay unsaid.
  else if (before === undefined && !isUnlimited(input.metric ?? "device"))
    faults.push(rowFault(row, "quantity", "value-required"));
  if (input.unitPrice !== undefined) cells.unit_price = input.unitPrice;
  if (input.currency !== undefined) cells.currency = input.currency;
  if (input.purchasedAt !== undefined) cells.purchased_at = input.purchasedAt;
  if (input.startsAt !== undefined) cells.starts_at = input.startsAt;
  if (input.expiresAt !== undefined) cells.expires_at = input.expiresAt;
  if (input.rights !== undefined) {
    cells.rights = input.rights;
    for (const { at, message } of parseAttachedRights(input.rights).faults)
      faults.push(rowFault(row, "rights", "value-invalid", { reason: `character ${at}: ${message}` }));
  }
  if (input.contract !== undefined) cells.contract = input.contract;
  if (input.order !== undefined) cells.order_no = input.order;
  if (input.certificate !== undefined) cells.certificate = input.certificate;
  if (input.supplier !== undefined) cells.supplier = input.supplier;
  if (input.parent !== undefined) cells.parent = input.parent;
  if (input.manager !== undefined) cells.manager = input.manager;
  if (input.packSize !== undefined) cells.pack_size = input.packSize;
  if (input.department !== undefined) {
    cells.department = input.department === null ? null : (known.departments.get(input.department) ?? null);
    if (input.department !== null && cells.department === null)
      faults.push(rowFault(row, "department", "reference-unknown", { what: "department", id: input.department }));
  }
  const whole = { ...blank, ...before, ...cells };
  if (whole.unit_price !== null && whole.currency === null)
    faults.push(rowFault(row, "currency", "value-invalid", { reason: "a unitPrice needs its currency" }));
  if (whole.unit_price === null && whole.currency !== null)
    faults.push(rowFault(row, "unitPrice", "value-invalid", { reason: "a currency needs its unitPrice" }));
  if (whole.starts_at !== null && whole.expires_at !== null && whole.expires_at < whole.starts_at)
    faults.push(rowFault(row, "expiresAt", "value-invalid", { reason: "expiresAt lies before startsAt" }));
  return cells;
}

/** For each row the entitlement it is, if it is there already. */
async function match(
  rows: readonly EntitlementInput[],
  parsed: readonly Partial<Cells>[],
  named: ReadonlyMap<string, EntitlementRow>,
  held: readonly EntitlementRow[],
): Promise<(EntitlementRow | undefined)[]> {
  const found: (EntitlementRow | undefined)[] = rows.map((input) =>
    input.id === undefined ? undefined : named.get(input.id),
  );
  const free = new Set<EntitlementRow>();
  await eachPolitely(held, (row) => void (!named.has(row.id) && free.add(row)));
  const given = new Set<CellName>();
  await eachPolitely(parsed, (cells) => {
    for (const name in cells) given.add(name as CellName);
  });
  const columns = [...given].sort();
  const said = (cells: Partial<Cells>): string => JSON.stringify(columns.map((name) => cells[name] ?? blank[name]));
  const order = (cells: Partial<Cells>): string | undefined =>
    cells.order_no == null ? undefined : JSON.stringify([cells.license, cells.order_no]);

  const same = new Map<string, EntitlementRow[]>();
  await eachPolitely(free, (row) => push(same, said(row), row));
  const open = parsed.map((cells, row) => ({ cells, row })).filter(({ row }) => found[row] === undefined);
  await eachPolitely(open, ({ cells, row }) => {
    const twin = same.get(said(cells))?.shift();
    if (twin === undefined) return;
    found[row] = twin;
    free.delete(twin);
  });

  const heldByOrder = new Map<string, EntitlementRow[]>();
  await eachPolitely(free, (row) => push(heldByOrder, order(row), row));
  const rowsByOrder = new Map<string, number[]>();
  await eachPolitely(open, ({ cells, row }) => void (found[row] === undefined && push(rowsByOrder, order(cells), row)));
  await eachPolitely(rowsByOrder, ([key, wanting]) => {
    const there = heldByOrder.get(key) ?? [];
    if (wanting.length === 1 && there.length === 1) found[wanting[0] as number] = there[0];
  });
  return found;
}

function push<T>(map: Map<string, T[]>, key: string | undefined, value: T): void {
  if (key === undefined) return;
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function differs(before: EntitlementRow, cells: Partial<Cells>): boolean {
  return (Object.keys(cells) as CellName[]).some((name) => before[name] !== cells[name]);
}

interface Named {
  readonly current: ReadonlyMap<string, EntitlementRow>;
  /** Ids that are there, withdrawn ones among them. */
  readonly taken: ReadonlySet<string>;
}

async function byId(db: Database, trx: Trx, rows: readonly EntitlementInput[]): Promise<Named> {
  const ids = rows.flatMap((row) => (row.id === undefined ? [] : [row.id]));
  const current = new Map<string, EntitlementRow>();
  const taken = new Set<string>();
  for await (const slice of slicesOf(ids, 1000))
    for (const row of await store.byId(trx, db.dialect, slice)) {
      taken.add(row.id);
      if (row.replaced_at === null) current.set(row.id, row);
    }
  return { current, taken };
}

async function ofLicenses(trx: Trx, licenses: readonly number[]): Promise<EntitlementRow[]> {
  const found: EntitlementRow[] = [];
  for (const license of licenses)
    for (let after: string | undefined = ""; after !== undefined; await breathe()) {
      const page: EntitlementRow[] = await store.currentOfLicense(trx, license, after, pageSize);
      found.push(...page);
      after = page.length < pageSize ? undefined : page[page.length - 1]?.id;
    }
  return found;
}

/** Metric of each licence code named: its own, else the entitlement's, for codes no policy knows yet. */
async function metricsOf(db: Database, trx: Trx, rows: readonly EntitlementInput[]): Promise<Map<string, Metric>> {
  const wanted = new Map<string, Metric>();
  for (const { license, metric } of rows)
    if (license !== undefined && !wanted.has(license)) wanted.set(license, metric ?? "device");
  for await (const slice of slicesOf([...wanted.keys()], 1000))
    for (const row of await store.licenseMetrics(trx, db.dialect, slice)) wanted.set(row.code, row.metric as Metric);
  return wanted;
}

/** The entitlements named as parents with what they belong to in turn, upward to the last. */
async function parentsOf(
  db: Database,
  trx: Trx,
  parsed: readonly Partial<Cells>[],
): Promise<Map<string, string | null>> {
  const found = new Map<string, string | null>();
  let wanted = [...new Set(parsed.flatMap(({ parent }) => (parent == null ? [] : [parent])))];
  while (wanted.length > 0) {
    const above: string[] = [];
    for await (const slice of slicesOf(wanted, 1000))
      for (const { id, parent } of await store.parents(trx, db.dialect, slice)) {
        found.set(id, parent);
        if (parent !== null && !found.has(parent)) above.push(parent);
      }
    wanted = [...new Set(above)].filter((id) => !found.has(id));
  }
  return found;
}

function* parentFaults(
  row: number,
  parent: string,
  own: string | undefined,
  parents: ReadonlyMap<string, string | null>,
): Generator<RowFault> {
  if (!parents.has(parent)) yield rowFault(row, "parent", "reference-unknown", { what: "entitlement", id: parent });
  const seen = new Set<string>();
  for (let at: string | null | undefined = parent; at != null && !seen.has(at); at = parents.get(at)) {
    seen.add(at);
    if (at === own)
      yield rowFault(row, "parent", "value-invalid", { reason: "an entitlement cannot belong to itself" });
  }
}

/** Licences that the rights of these rows name and that are there. */
async function knownCodes(db: Database, trx: Trx, rows: readonly EntitlementInput[]): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  await eachPolitely(rows, ({ rights }) => {
    for (const { licenses = [] } of parseAttachedRights(rights).rights) for (const code of licenses) named.add(code);
  });
  const known = new Set<string>();
  for await (const slice of slicesOf([...named], 1000))
    for (const { code } of await store.licenseMetrics(trx, db.dialect, slice)) known.add(code);
  return known;
}
