/**
 * Purpose: the inventory - what one scan of one machine found, as found. Contract: "Inventory" in the files section.
 * Invariants: raw evidence is never rewritten; everything derived (normalised titles, codes from titles, licences)
 * can be computed again from it. Every string is bounded, because the sender is not trusted.
 */
import { Type, type Static } from "./type.ts";
import { validator, type Validated } from "./schema.ts";

/** Where a title was found. `registry` = a Windows Uninstall key that is no MSI product, `msi` = one that is. */
export const titleSources = [
  "dpkg",
  "rpm",
  "apk",
  "pacman",
  "flatpak",
  "snap",
  "homebrew",
  "app-bundle",
  "registry",
  "msi",
  "msix",
  "swid",
  "import",
] as const;
export type TitleSource = (typeof titleSources)[number];

/** One installed title as found. `name`..`identifier` say what it is; the rest are facts about this copy of it. */
export const Title = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 512 }),
    version: Type.String({ maxLength: 256 }),
    publisher: Type.Optional(Type.String({ maxLength: 512 })),
    source: Type.String({ minLength: 1, maxLength: 32 }),
    arch: Type.Optional(Type.String({ maxLength: 64 })),
    /** The source's own identifier: bundle id, SWID tag id, flatpak application id, MSIX family name, product code. */
    identifier: Type.Optional(Type.String({ maxLength: 512 })),
    /** RFC 3339 date-time, or a date where the source knows only the day (Windows). */
    installedAt: Type.Optional(Type.String({ maxLength: 40 })),
    /** Installed size in bytes. */
    size: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    path: Type.Optional(Type.String({ maxLength: 4096 })),
    lastUsedAt: Type.Optional(Type.String({ maxLength: 40 })),
  },
  { additionalProperties: false },
);
export type Title = Static<typeof Title>;

/** Why a code was recognised: the probe as written in the dictionary, and what it met on this machine. */
export const Evidence = Type.Object(
  {
    probe: Type.String({ maxLength: 2048 }),
    /** The title, file, registry value … that satisfied the probe, as flat text fields (name, version, path …). */
    found: Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 4096 })),
  },
  { additionalProperties: false },
);
export type Evidence = Static<typeof Evidence>;

export const RecognizedCode = Type.Object(
  {
    code: Type.String({ minLength: 1, maxLength: 64 }),
    version: Type.Optional(Type.String({ maxLength: 256 })),
    evidence: Type.Array(Evidence, { maxItems: 64 }),
  },
  { additionalProperties: false },
);
export type RecognizedCode = Static<typeof RecognizedCode>;

/** Unknown fields pass: a newer agent may say more than this version knows. */
export const Hardware = Type.Object(
  {
    manufacturer: Type.Optional(Type.String({ maxLength: 256 })),
    model: Type.Optional(Type.String({ maxLength: 256 })),
    serial: Type.Optional(Type.String({ maxLength: 128 })),
    uuid: Type.Optional(Type.String({ maxLength: 64 })),
    /** SMBIOS chassis word: laptop, notebook, desktop, tower, rack, blade, vm, container, unknown … */
    chassis: Type.Optional(Type.String({ maxLength: 64 })),
    virtual: Type.Optional(Type.Boolean()),
    /** Hypervisor or container kind where known: kvm, vmware, hyperv, docker … */
    virtualization: Type.Optional(Type.String({ maxLength: 64 })),
    cpu: Type.Optional(
      Type.Object(
        {
          model: Type.Optional(Type.String({ maxLength: 256 })),
          manufacturer: Type.Optional(Type.String({ maxLength: 256 })),
          sockets: Type.Optional(Type.Integer({ minimum: 0, maximum: 65536 })),
          /** Physical cores over all sockets. */
          cores: Type.Optional(Type.Integer({ minimum: 0, maximum: 1048576 })),
          threads: Type.Optional(Type.Integer({ minimum: 0, maximum: 1048576 })),
        },
        { additionalProperties: true },
      ),
    ),
    /** Bytes. */
    memory: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    disks: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.Optional(Type.String({ maxLength: 256 })),
            model: Type.Optional(Type.String({ maxLength: 256 })),
            serial: Type.Optional(Type.String({ maxLength: 256 })),
            /** Bytes. */
            size: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
            type: Type.Optional(Type.String({ maxLength: 64 })),
          },
          { additionalProperties: true },
        ),
        { maxItems: 256 },
      ),
    ),
    network: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.Optional(Type.String({ maxLength: 256 })),
            mac: Type.Optional(Type.String({ maxLength: 64 })),
            addresses: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 })),
          },
          { additionalProperties: true },
        ),
        { maxItems: 256 },
      ),
    ),
    os: Type.Optional(
      Type.Object(
        {
          /** linux, windows, macos */
          family: Type.Optional(Type.String({ maxLength: 32 })),
          name: Type.Optional(Type.String({ maxLength: 256 })),
          version: Type.Optional(Type.String({ maxLength: 128 })),
          edition: Type.Optional(Type.String({ maxLength: 128 })),
          build: Type.Optional(Type.String({ maxLength: 128 })),
          arch: Type.Optional(Type.String({ maxLength: 32 })),
          kernel: Type.Optional(Type.String({ maxLength: 128 })),
          /** RFC 3339; the earliest trace of the installation. Agents from before it do not say it. */
          installedAt: Type.Optional(Type.String({ maxLength: 40 })),
        },
        { additionalProperties: true },
      ),
    ),
    /** Logged-on or primary user. */
    user: Type.Optional(Type.String({ maxLength: 256 })),
  },
  { additionalProperties: true },
);
export type Hardware = Static<typeof Hardware>;

export const InventoryDevice = Type.Object(
  {
    /** The enrolled identity, or for a scan without enrolment an id made from the machine's own evidence. */
    id: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    hostname: Type.String({ maxLength: 255 }),
    serial: Type.Optional(Type.String({ maxLength: 128 })),
  },
  { additionalProperties: true },
);

export const ScanError = Type.Object(
  {
    /** The place that could not be read or understood. */
    path: Type.String({ maxLength: 4096 }),
    code: Type.String({ maxLength: 64 }),
    message: Type.String({ maxLength: 1024 }),
  },
  { additionalProperties: false },
);
export type ScanError = Static<typeof ScanError>;

export const ScanInfo = Type.Object(
  {
    startedAt: Type.String({ maxLength: 40 }),
    durationMs: Type.Number({ minimum: 0 }),
    errors: Type.Array(ScanError, { maxItems: 10_000 }),
    /** Version of the dictionary the codes were recognised with; 0 = none. */
    dictionaryVersion: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: true },
);

export const maxTitles = 20_000;
export const maxCodes = 5_000;

/** As it may come from outside: evidence in any form, unknown fields beside the known ones. `validateInventory` brings it into ours. */
const ForeignInventory = Type.Object(
  {
    daicho: Type.Literal("inventory/v1"),
    device: InventoryDevice,
    hardware: Type.Optional(Hardware),
    software: Type.Array(Type.Object(Title.properties, { additionalProperties: true }), { maxItems: maxTitles }),
    codes: Type.Optional(
      Type.Array(
        Type.Object(
          {
            code: Type.String({ minLength: 1, maxLength: 64 }),
            version: Type.Optional(Type.String({ maxLength: 256 })),
            evidence: Type.Optional(Type.Unknown()),
          },
          { additionalProperties: true },
        ),
        { maxItems: maxCodes },
      ),
    ),
    scan: Type.Optional(Type.Partial(ScanInfo, { additionalProperties: true })),
  },
  { additionalProperties: true },
);
const checkForeign = validator(ForeignInventory);
const checkEvidence = validator(Type.Array(Evidence, { maxItems: 64 }));

export const Inventory = Type.Object(
  {
    daicho: Type.Literal("inventory/v1"),
    device: InventoryDevice,
    hardware: Type.Optional(Hardware),
    software: Type.Array(Title, { maxItems: maxTitles }),
    /** Absent = not recognised yet; the server recognises from the titles. */
    codes: Type.Optional(Type.Array(RecognizedCode, { maxItems: maxCodes })),
    scan: Type.Optional(ScanInfo),
  },
  { additionalProperties: false },
);
export type Inventory = Static<typeof Inventory>;

/** Checks an inventory from a file or another program; evidence that is not in our form is kept as text. */
export function validateInventory(value: unknown): Validated<Inventory> {
  const checked = checkForeign(value);
  if (!checked.ok) return checked;
  const { daicho, device, hardware, software, codes, scan } = checked.value;
  return {
    ok: true,
    value: {
      daicho,
      device,
      ...(hardware !== undefined && { hardware }),
      software: software.map(ownTitle),
      ...(codes !== undefined && {
        codes: codes.map(({ code, version, evidence }) => ({
          code,
          ...(version !== undefined && { version }),
          evidence: ownEvidence(evidence),
        })),
      }),
      ...(scan !== undefined && {
        scan: { ...scan, startedAt: scan.startedAt ?? "", durationMs: scan.durationMs ?? 0, errors: scan.errors ?? [] },
      }),
    },
  };
}

function ownTitle(title: Title): Title {
  const own: Record<string, unknown> = {};
  for (const key of Object.keys(Title.properties) as (keyof Title)[])
    if (title[key] !== undefined) own[key] = title[key];
  return own as Title;
}

function ownEvidence(evidence: unknown): Evidence[] {
  if (evidence === undefined || evidence === null) return [];
  const checked = checkEvidence(evidence);
  if (checked.ok) return checked.value;
  const text = typeof evidence === "string" ? evidence : JSON.stringify(evidence);
  return [{ probe: "asserted", found: { evidence: text.slice(0, 4096) } }];
}
