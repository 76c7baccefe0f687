/** Policies as written, the selection, and what was generated from them (domain.md §2). */
export interface PolicyTables {
  /** Every version ever accepted. */
  pol_documents: {
    /** enterprise | local */
    edition: string;
    id: string;
    version: number;
    text: string;
    /** The group's signed document for an enterprise policy that came from above (JSON). */
    signed: string | null;
    accepted_at: number;
  };
  /** One row (id 1): codes of the licences this company manages, JSON; null = all. */
  pol_selection: { id: number; codes: string | null; changed_at: number };
  /** At most one row (id 1): why what the group serves is not used. */
  pol_refusal: { id: number; code: string; message: string; at: number };
  /** Each dictionary generated, with the licence policy of the same moment. `version` is also the generation. */
  pol_dictionaries: {
    version: number;
    /** Enterprise and local versions it was generated from; 0 = none. */
    enterprise: number;
    local: number;
    /** The signed dictionary document (JSON). */
    signed: string;
    /** LicensePolicy (JSON). */
    license_policy: string;
    etag: string;
    generated_at: number;
  };
}
