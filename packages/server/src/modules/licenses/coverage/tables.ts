import type { Generated } from "kysely";

/** What decides which entitlement covers which installation, beside entitlements and the repository. Allocations and paths keep their history in their rows. */
export interface CoverageTables {
  /** A licence set aside for a device or a person. */
  lic_allocations: {
    id: string;
    license: number;
    /** Id of an entitlement of that licence; null = any. */
    entitlement: string | null;
    device: number | null;
    employee: number | null;
    quantity: number;
    since: number;
    /** null = now. */
    until: number | null;
  };
  /** Licences of one product, oldest version first: what upgrade and downgrade mean. */
  lic_version_paths: {
    id: Generated<number>;
    name: string;
    /** JSON list of codes. */
    licenses: string;
    created_at: number;
    replaced_at: number | null;
  };
  /** What a device's chassis was until then; rare, because machines seldom change theirs. */
  lic_traits_history: {
    id: Generated<number>;
    device: number;
    until: number;
    portable: number;
    virtual: number;
  };
}
