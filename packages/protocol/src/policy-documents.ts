/**
 * Purpose: the policy documents that travel: the enterprise or local policy as written (domain.md §2), and the two
 * documents generated from them - the software dictionary (agents get it) and the licence policy (stays on the server).
 * The language inside `detect` and `rule` belongs to @daicho/policy; here it is text.
 */
import { Type, type Static } from "./type.ts";
import { MetricRule } from "./metric-rules.ts";
import { validator } from "./schema.ts";

export const metrics = ["device", "user", "core", "processor", "site", "free"] as const;
export type Metric = (typeof metrics)[number];

export const SoftwareDefinition = Type.Object(
  {
    code: Type.String({ minLength: 2, maxLength: 64 }),
    name: Type.String({ minLength: 1, maxLength: 256 }),
    publisher: Type.Optional(Type.String({ maxLength: 256 })),
    version: Type.Optional(Type.String({ maxLength: 128 })),
    detect: Type.String({ minLength: 1, maxLength: 8192 }),
  },
  { additionalProperties: false },
);
export type SoftwareDefinition = Static<typeof SoftwareDefinition>;

export const LicenseRule = Type.Object(
  {
    /** `expression = @CODE` */
    rule: Type.String({ minLength: 1, maxLength: 8192 }),
    name: Type.Optional(Type.String({ maxLength: 256 })),
    metric: Type.Optional(Type.Unsafe<Metric>({ type: "string", enum: [...metrics] })),
    /** The metric rule that counts it, for licences by core or processor. */
    count: Type.Optional(Type.String({ maxLength: 64 })),
    shares: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type LicenseRule = Static<typeof LicenseRule>;

/** What agents get: recognition conditions only. Signed, with a version that only rises. */
export const Dictionary = Type.Object(
  {
    daicho: Type.Literal("dictionary/v1"),
    /** The corporate server that generated it. */
    company: Type.String({ maxLength: 128 }),
    version: Type.Integer({ minimum: 1 }),
    generatedAt: Type.String({ maxLength: 40 }),
    software: Type.Array(SoftwareDefinition, { maxItems: 50_000 }),
  },
  { additionalProperties: false },
);
export type Dictionary = Static<typeof Dictionary>;
export const validateDictionary = validator(Dictionary);

/** What stays on the server: rules in document order, and names and metrics of every code that can count as a licence. */
export const LicensePolicy = Type.Object(
  {
    daicho: Type.Literal("license-policy/v1"),
    version: Type.Integer({ minimum: 0 }),
    rules: Type.Array(
      Type.Intersect([
        LicenseRule,
        Type.Object({
          /** Where the rule stands: `group-standard:12:9` = policy id, line, column. */
          place: Type.String(),
        }),
      ]),
    ),
    software: Type.Array(
      Type.Object({ code: Type.String(), name: Type.String(), metric: Type.Optional(Type.String()) }),
    ),
    /** Absent where the policies have none. */
    metrics: Type.Optional(Type.Array(MetricRule)),
    /** Codes selected as licences; absent = all. */
    selected: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);
export type LicensePolicy = Static<typeof LicensePolicy>;

/** What a group server sends down: the enterprise policy's text exactly as it was published (places stay true). */
export const EnterprisePolicy = Type.Object(
  {
    daicho: Type.Literal("enterprise-policy/v1"),
    group: Type.String({ maxLength: 128 }),
    id: Type.String({ maxLength: 128 }),
    version: Type.Integer({ minimum: 1 }),
    publishedAt: Type.String({ maxLength: 40 }),
    text: Type.String({ maxLength: 32 * 1024 * 1024 }),
  },
  { additionalProperties: false },
);
export type EnterprisePolicy = Static<typeof EnterprisePolicy>;
export const validateEnterprisePolicy = validator(EnterprisePolicy);
