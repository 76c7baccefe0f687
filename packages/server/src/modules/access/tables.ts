import type { Generated } from "kysely";

export interface AccessTables {
  /** The server's own signing key (the root its nodes pin) and other named settings. */
  access_keys: { name: string; public_key: string; private_key: string; created_at: number };
  access_api_tokens: {
    id: string;
    name: string;
    role: string;
    secret_hash: string;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
    /** Employee id: whom the token acts for. */
    employee: string | null;
  };
  /** Which body an `Idempotency-Key` came with, where what was made does not say so itself; both as digests, for a day. */
  access_idempotency_keys: { name: string; body: string; created_at: number };
  access_enrollment_tokens: {
    id: string;
    secret_hash: string;
    /** Department code new devices are put into. */
    department: string | null;
    uses_left: number | null;
    used: Generated<number>;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
  };
}
