/**
 * Purpose: the server's root key, API tokens and enrolment tokens; issues certificates to nodes.
 * Invariants: tokens are shown once and stored as SHA-256 hashes; an enrolment token's uses are taken in the same transaction that
 * records the node, so n uses never enrol n+1 nodes; there is no default password or token. A token made with an idempotency key can be
 * told again to who made it, and is stored no more readably for that: its secret follows from the key and the server's own.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import {
  createSigner,
  generateKeyPair,
  issueCertificate,
  parseEnrollmentToken,
  rootOf,
  sha256Hex,
  type NodeKind,
  type SignedDocument,
  type Signer,
  type TrustRoot,
} from "@daicho/protocol";
import { newId, newSecret, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import { accessStore, type EnrollmentTokenRow } from "./store.ts";

/**
 * Mightiest first: admin does everything; manager everything but tokens and policies; auditor reads; employee sees and does what concerns the
 * employee the token is bound to, in applications and nowhere else; provisioner - an identity provider - uses /scim/v2 and nothing else.
 */
export const apiRoles = ["admin", "manager", "auditor", "employee", "provisioner"] as const;
export type ApiRole = (typeof apiRoles)[number];

const keyLifeMs = 24 * 60 * 60 * 1000;

/** Who calls with an API token. */
export interface Caller {
  readonly tokenId: string;
  readonly role: ApiRole;
  /** Employee id: the person the token acts for. */
  readonly employee?: string;
}

export interface AccessService {
  root(): TrustRoot;
  signer(): Signer;
  /** `idempotency` names the caller and the key: the same again is the same token. @throws conflict */
  createApiToken(
    input: {
      readonly name: string;
      readonly role: ApiRole;
      readonly expiresAt?: number;
      readonly employee?: string;
    },
    idempotency?: string,
  ): Promise<{ id: string; token: string }>;
  /** The token's caller, or undefined. Asked anew each time: another server may have revoked it. */
  authenticate(token: string): Promise<Caller | undefined>;
  listApiTokens(): Promise<
    readonly {
      id: string;
      name: string;
      role: string;
      createdAt: number;
      expiresAt: number | null;
      revokedAt: number | null;
      employee: string | null;
    }[]
  >;
  revokeApiToken(id: string): Promise<boolean>;
  /** `idempotency` as with an API token. @throws conflict */
  createEnrollmentToken(
    input: { readonly department?: string; readonly uses?: number; readonly expiresAt?: number },
    idempotency?: string,
  ): Promise<{ id: string; token: string }>;
  listEnrollmentTokens(): Promise<readonly EnrollmentTokenRow[]>;
  revokeEnrollmentToken(id: string): Promise<boolean>;
  /** The token's row, whatever its state; undefined where there is none. Takes no use. */
  findEnrollmentToken(trx: Trx, token: string): Promise<EnrollmentTokenRow | undefined>;
  /** Takes one use of the token inside the caller's transaction. @throws enrollment-token-invalid */
  takeEnrollmentToken(trx: Trx, token: string): Promise<EnrollmentTokenRow>;
  /** Tokens that put devices into a department follow its new code. */
  departmentsChanged(trx: Trx, changed: { readonly codes: ReadonlyMap<string, string> }): Promise<void>;
  /**
   * An idempotency key, named with its caller, comes with this body: true the first time, false where it came with the same before. It is known
   * for a day. @throws conflict where it came with another body
   */
  claimKey(name: string, body: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** What the key was claimed for came to nothing: it can come with another body. */
  releaseKey(name: string): Promise<void>;
  issueCertificate(node: {
    readonly id: string;
    readonly kind: NodeKind;
    readonly name: string;
    readonly publicKey: string;
  }): SignedDocument;
}

export async function createAccessService(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly company: string;
}): Promise<AccessService> {
  const { db, clock } = deps;
  const pair = await rootKey(db, clock);
  const signer = createSigner(pair);
  const root = rootOf(deps.company, pair);

  /** The same idempotency makes the same token; nobody without the server's private key can make its secret. */
  const newToken = (kind: string, idempotency: string | undefined): { id: string; secret: string } => {
    if (idempotency === undefined) return { id: newId(clock.now()), secret: newSecret() };
    const derive = (what: string): Buffer =>
      createHmac("sha256", pair.privateKey).update(`${kind} token ${what}\n${idempotency}`).digest();
    return { id: `i${derive("id").toString("hex").slice(0, 25)}`, secret: derive("secret").toString("base64url") };
  };
  const keyTaken = () => serverErrors.make("conflict", { reason: "This Idempotency-Key was used for another token" });

  const findEnrollmentToken = async (trx: Trx, token: string): Promise<EnrollmentTokenRow | undefined> => {
    const parsed = parseEnrollmentToken(token);
    return parsed === undefined ? undefined : accessStore.findEnrollmentToken(trx, sha256Hex(parsed.secret));
  };

  return {
    root: () => root,
    signer: () => signer,

    async createApiToken({ name, role, expiresAt, employee }, idempotency) {
      const { id, secret } = newToken("api", idempotency);
      const asked = { name, role, expires_at: expiresAt ?? null, employee: employee ?? null };
      const row = { id, ...asked, secret_hash: sha256Hex(secret), created_at: clock.now(), revoked_at: null };
      if (!(await accessStore.insertApiToken(db.kysely, row))) {
        const made = await accessStore.findApiToken(db.kysely, id);
        if (made === undefined || !isDeepStrictEqual({ ...made, ...asked }, { ...made })) throw keyTaken();
      }
      return { id, token: `dat1.${id}.${secret}` };
    },

    async authenticate(token) {
      const match = /^dat1\.([0-9a-z]{26})\.([A-Za-z0-9_-]{43})$/.exec(token);
      if (match === null) return undefined;
      const row = await db.latest((from) => accessStore.findApiToken(from, match[1] as string));
      const given = Buffer.from(sha256Hex(match[2] as string));
      const valid =
        row !== undefined &&
        timingSafeEqual(Buffer.from(row.secret_hash), given) &&
        row.revoked_at === null &&
        (row.expires_at === null || row.expires_at > clock.now());
      return valid
        ? { tokenId: row.id, role: row.role as ApiRole, ...(row.employee !== null && { employee: row.employee }) }
        : undefined;
    },

    async listApiTokens() {
      const rows = await accessStore.listApiTokens(db.kysely);
      return rows.map((r) => ({
        id: r.id,
        name: r.name,
        role: r.role,
        createdAt: r.created_at,
        expiresAt: r.expires_at,
        revokedAt: r.revoked_at,
        employee: r.employee,
      }));
    },

    async revokeApiToken(id) {
      const result = await accessStore.revokeApiToken(db.kysely, id, clock.now());
      return Number(result.numUpdatedRows) === 1;
    },

    async createEnrollmentToken({ department, uses, expiresAt }, idempotency) {
      const { id, secret } = newToken("enrollment", idempotency);
      const asked = { department: department ?? null, expires_at: expiresAt ?? null };
      const row = { id, ...asked, uses_left: uses ?? null, created_at: clock.now(), revoked_at: null };
      if (!(await accessStore.insertEnrollmentToken(db.kysely, { ...row, secret_hash: sha256Hex(secret) }))) {
        const made = await accessStore.findEnrollmentToken(db.kysely, sha256Hex(secret));
        const given = made === undefined || made.uses_left === null ? null : made.uses_left + made.used;
        if (made === undefined || given !== row.uses_left || !isDeepStrictEqual({ ...made, ...asked }, { ...made }))
          throw keyTaken();
      }
      return { id, token: `dct1.${secret}.${signer.keyId}` };
    },

    listEnrollmentTokens: () => accessStore.listEnrollmentTokens(db.kysely),

    async departmentsChanged(trx, { codes }) {
      const tokens = await accessStore.listEnrollmentTokens(trx);
      for (const { id, department } of tokens) {
        const now = department === null ? undefined : codes.get(department);
        if (now !== undefined) await accessStore.setEnrollmentDepartment(trx, id, now);
      }
    },

    async revokeEnrollmentToken(id) {
      const result = await accessStore.revokeEnrollmentToken(db.kysely, id, clock.now());
      return Number(result.numUpdatedRows) === 1;
    },

    findEnrollmentToken,

    async takeEnrollmentToken(trx, token) {
      const row = await findEnrollmentToken(trx, token);
      if (row === undefined || !(await accessStore.takeEnrollmentUse(trx, row.id, clock.now())))
        throw serverErrors.make("enrollment-token-invalid");
      return row;
    },

    async claimKey(name, body) {
      const now = clock.now();
      const row = {
        name: sha256Hex(name),
        body: sha256Hex(JSON.stringify(Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1)))),
        created_at: now,
      };
      await accessStore.forgetKeys(db.kysely, now - keyLifeMs);
      if (await accessStore.claimKey(db.kysely, row)) return true;
      const claim = await accessStore.findClaim(db.kysely, row.name);
      if (claim !== undefined && claim.body !== row.body)
        throw serverErrors.make("conflict", { reason: "This Idempotency-Key came with another request before" });
      return false;
    },

    async releaseKey(name) {
      await accessStore.releaseKey(db.kysely, sha256Hex(name));
    },

    issueCertificate: (node) =>
      issueCertificate(
        { daicho: "certificate/v1", ...node, company: deps.company, issuedAt: new Date(clock.now()).toISOString() },
        signer,
      ),
  };
}

async function rootKey(db: Database, clock: Clock): Promise<{ publicKey: string; privateKey: string }> {
  if ((await accessStore.findKey(db.kysely, "root")) === undefined) {
    const made = generateKeyPair();
    await accessStore.insertKey(db.kysely, {
      name: "root",
      public_key: made.publicKey,
      private_key: made.privateKey,
      created_at: clock.now(),
    });
  }
  // Read back: with several servers on one database the first one's key counts.
  const row = await accessStore.findKey(db.kysely, "root");
  if (row === undefined) throw serverErrors.make("database-unusable", { reason: "the root key could not be stored" });
  return { publicKey: row.public_key, privateKey: row.private_key };
}
