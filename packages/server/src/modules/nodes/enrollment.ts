/**
 * Purpose: makes a node part of this company: token and proof in, certificate and trust root out.
 * Invariants: the proof is checked before the store is asked; a token's use is taken in the transaction that records the node; the
 * same key with the token that let it in gets its certificate again and takes no further use, so a lost answer costs nothing;
 * a company has one server here - another key under its name is refused until an administrator removes the old one.
 */
import {
  enrollProofText,
  importPublicKey,
  keyIdOf,
  verifySignature,
  type EnrollRequest,
  type EnrollResponse,
} from "@daicho/protocol";
import { isDaichoError, type Clock, type Log } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { createGroupCommit } from "../../db/group.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { inputInvalid } from "../../http/problem.ts";
import type { AccessService } from "../access/index.ts";
import type { Removed } from "./removed.ts";
import { nodeStore } from "./store.ts";

export type TokenRow = Awaited<ReturnType<AccessService["takeEnrollmentToken"]>>;

/** Agents are devices: whoever keeps those records them. Both run inside the enrolment's transaction. */
export interface AgentEnrollment {
  /** The token that let this key in, null where it is not known, undefined where the key is unknown. */
  enrolledWith(trx: Trx, id: string): Promise<string | null | undefined>;
  enroll(trx: Trx, request: EnrollRequest & { readonly id: string }, token: TokenRow): Promise<void>;
}

export interface Enrollment {
  /** @throws enrollment-proof-invalid, enrollment-token-invalid, wrong-role, already-exists */
  enroll(request: EnrollRequest): Promise<EnrollResponse>;
}

const companyName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function createEnrollment(deps: {
  readonly db: Database;
  readonly access: AccessService;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly removed: Pick<Removed, "has" | "changed">;
  readonly company: string;
  readonly role: "corporate" | "group" | "both";
  /** Absent at a pure group server: it has no agents. */
  readonly agents: AgentEnrollment | undefined;
}): Enrollment {
  const { db, access, clock, agents } = deps;

  const enrolledWith = async (trx: Trx, request: EnrollRequest, id: string): Promise<string | null | undefined> => {
    if (request.kind === "agent") return deps.removed.has(id) ? undefined : agents?.enrolledWith(trx, id);
    const row = await nodeStore.find(trx, id);
    return row?.enrolled_at == null || row.removed_at !== null || row.kind !== request.kind ? undefined : row.token;
  };

  /** The token again that already let this key in. */
  const isAgain = async (trx: Trx, request: EnrollRequest, id: string): Promise<boolean> => {
    const token = await access.findEnrollmentToken(trx, request.token);
    return token?.revoked_at === null && (await enrolledWith(trx, request, id)) === token.id;
  };

  async function record(trx: Trx, request: EnrollRequest, id: string): Promise<void> {
    if (await isAgain(trx, request, id)) return;
    let token: TokenRow;
    try {
      token = await access.takeEnrollmentToken(trx, request.token);
    } catch (error) {
      // Its twin, sent again while this one waited, may have taken the last use a moment ago.
      if (isDaichoError(error, "enrollment-token-invalid") && (await isAgain(trx, request, id))) return;
      throw error;
    }
    if (request.kind === "agent") {
      if (deps.removed.has(id)) await nodeStore.forgetRemoved(trx, id);
      return agents?.enroll(trx, { ...request, id }, token);
    }
    if (request.kind === "server") {
      await nodeStore.lockNames(trx, db.dialect);
      const other = await nodeStore.serverOf(trx, request.name);
      if (request.name === deps.company || (other !== undefined && other.id !== id))
        throw serverErrors.make("already-exists", { what: "A server of the company", id: request.name });
      await nodeStore.dropClaims(trx, request.name, id);
    }
    await nodeStore.saveEnrolled(trx, {
      id,
      kind: request.kind,
      name: request.name,
      company: request.kind === "server" ? request.name : deps.company,
      public_key: request.publicKey,
      enrolled_at: clock.now(),
      last_seen_at: clock.now(),
      via: null,
      token: token.id,
    });
  }

  const recordAgent = createGroupCommit<{ request: EnrollRequest; id: string }, void>({
    db,
    most: 64,
    work: (trx, { request, id }) => record(trx, request, id),
  });

  return {
    async enroll(request) {
      const { kind, name, publicKey } = request;
      const key = importPublicKey(publicKey);
      if (key === undefined || !verifySignature(key, enrollProofText(request), Buffer.from(request.proof, "base64url")))
        throw serverErrors.make("enrollment-proof-invalid");
      if (/[\u0000-\u001f\u007f]/.test(name))
        throw inputInvalid([{ path: "/name", message: "has control characters" }]);
      if (kind === "server") {
        if (deps.role === "corporate")
          throw serverErrors.make("wrong-role", { role: deps.role, what: "a company's server", needed: "group" });
        if (!companyName.test(name)) throw inputInvalid([{ path: "/name", message: "is no company code" }]);
      } else if (deps.role === "group")
        throw serverErrors.make("wrong-role", { role: deps.role, what: `a node of kind ${kind}`, needed: "corporate" });
      if (kind === "agent" && agents === undefined)
        throw serverErrors.make("wrong-role", { role: deps.role, what: "an agent", needed: "corporate" });
      // One text for one key: base64url has several spellings of the same bytes.
      const canonical = Buffer.from(publicKey, "base64url").toString("base64url");
      const id = keyIdOf(canonical);
      const entry = { request: { ...request, publicKey: canonical }, id };
      // Agents come in crowds and share a commit; the few others take locks that no crowd should wait for.
      await (kind === "agent" ? recordAgent(entry) : db.transaction((trx) => record(trx, entry.request, id)));
      if (deps.removed.has(id)) await deps.removed.changed();
      deps.log.info("node-enrolled", { node: id, kind });
      if (kind !== "agent") deps.events.emit("status-changed", {});
      return {
        id,
        certificate: access.issueCertificate({ id, kind, name, publicKey: canonical }),
        root: access.root(),
        time: new Date(clock.now()).toISOString(),
      };
    },
  };
}

/** Failed attempts per address: a bucket that fills again, bounded in number. */
export interface AttemptLimit {
  /** @throws rate-limited */
  check(address: string): void;
  failed(address: string): void;
}

export function createAttemptLimit(options: {
  readonly clock: Clock;
  readonly burst?: number;
  readonly perSecond?: number;
}): AttemptLimit {
  const { clock, burst = 30, perSecond = 0.5 } = options;
  const buckets = new Map<string, { left: number; at: number }>();
  const read = (address: string): { left: number; at: number } => {
    const now = clock.now();
    const known = buckets.get(address) ?? { left: burst, at: now };
    return { left: Math.min(burst, known.left + (Math.max(0, now - known.at) / 1000) * perSecond), at: now };
  };
  return {
    check(address) {
      const { left } = read(address);
      if (left < 1) throw serverErrors.make("rate-limited", {}, { retryAfter: Math.ceil((1 - left) / perSecond) });
    },
    failed(address) {
      const { left, at } = read(address);
      buckets.delete(address);
      // The address that failed longest ago is forgotten first.
      if (buckets.size >= 10_000) buckets.delete(buckets.keys().next().value as string);
      buckets.set(address, { left: Math.max(0, left - 1), at });
    },
  };
}
