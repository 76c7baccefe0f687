/**
 * Purpose: what a User says about the employee (domain.md §4), and how the ledger's own word shows in the User. Pure.
 * Invariants: the ledger is the truth - where it says something else than the client last sent, the answer says what the ledger says; everything
 * else is answered as it was sent.
 */
import { cleanText, limits } from "../../http/text.ts";
import { valueInvalid } from "./protocol/errors.ts";
import { isObject } from "./protocol/match.ts";
import { urns, type Resource } from "./protocol/schema.ts";

export interface Said {
  readonly userName: string;
  readonly externalId: string | null;
  readonly name: string;
  readonly mail: string | null;
  readonly title: string | null;
  /** Code or name. */
  readonly department: string | null;
  readonly costCentre: string | null;
  readonly employeeNumber: string | null;
  readonly manager: { readonly value: string; readonly ref: string | undefined } | null;
  readonly active: boolean;
}

/** @throws scim-value-invalid, where a value would not fit the ledger */
export function saidBy(resource: Resource): Said {
  const enterprise = resource[urns.enterprise];
  const of = (name: string): unknown => (isObject(enterprise) ? enterprise[name] : undefined);
  const place = (name: string): string => `${urns.enterprise}:${name}`;
  const userName = ledgerText(resource["userName"], limits.text, "userName");
  if (userName === null) throw valueInvalid("userName", "must not be empty");
  const manager = of("manager");
  const managerValue = isObject(manager) ? ledgerText(manager["value"], limits.id, place("manager")) : null;
  const ref = isObject(manager) && typeof manager["$ref"] === "string" ? manager["$ref"] : undefined;
  return {
    userName,
    externalId: ledgerText(resource["externalId"], limits.text, "externalId"),
    name:
      ledgerText(resource["displayName"], limits.name, "displayName") ??
      ledgerText(fullName(resource["name"]), limits.name, "name") ??
      userName,
    mail: ledgerText(chosenMail(resource)?.["value"], limits.text, "emails"),
    title: ledgerText(resource["title"], limits.text, "title"),
    department: ledgerText(of("department"), limits.name, place("department")),
    costCentre: ledgerText(of("costCenter"), limits.text, place("costCenter")),
    employeeNumber: ledgerText(of("employeeNumber"), limits.id, place("employeeNumber")),
    manager: managerValue !== null ? { value: managerValue, ref } : ref === undefined ? null : { value: "", ref },
    active: resource["active"] !== false,
  };
}

/** As the ledger keeps texts: without white space around them and without control characters. null = none. */
export function ledgerText(value: unknown, limit: number, place: string): string | null {
  if (typeof value !== "string") return null;
  const text = value.trim();
  if (text === "") return null;
  if (!cleanText.test(text)) throw valueInvalid(place, "has control characters or broken Unicode");
  if (text.length > limit) throw valueInvalid(place, `is longer than ${limit} characters`);
  return text;
}

function fullName(name: unknown): string | undefined {
  if (!isObject(name)) return undefined;
  const part = (key: string): string => (typeof name[key] === "string" ? name[key].trim() : "");
  if (part("formatted") !== "") return part("formatted");
  const familyFirst = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(
    part("familyName"),
  );
  const parts = familyFirst
    ? [part("familyName"), part("givenName")]
    : [part("givenName"), part("middleName"), part("familyName")];
  return parts.filter((one) => one !== "").join(" ");
}

/** The primary address, else the one at work, else the first. */
function chosenMail(resource: Resource): Resource | undefined {
  const emails = (Array.isArray(resource["emails"]) ? (resource["emails"] as unknown[]) : []).filter(isObject);
  return (
    emails.find((e) => e["primary"] === true) ??
    emails.find((e) => typeof e["type"] === "string" && e["type"].toLowerCase() === "work") ??
    emails[0]
  );
}

/** The ledger's word, in the terms of a User. */
export interface LedgerWord {
  readonly name: string;
  readonly mail: string | null;
  readonly title: string | null;
  /** undefined: what the User says is so. */
  readonly department: string | null | undefined;
  readonly manager: string | null | undefined;
}

/** What was sent, corrected where the ledger says something else. */
export function correctedBy(sent: Resource, ledger: LedgerWord): Resource {
  const said = saidBy(sent);
  const user = structuredClone(sent);
  if (said.name !== ledger.name) user["displayName"] = ledger.name;
  set(user, "title", said.title === ledger.title ? user["title"] : ledger.title);
  if (said.mail !== ledger.mail) {
    const emails = Array.isArray(user["emails"]) ? (user["emails"] as unknown[]) : [];
    const chosen = chosenMail(user);
    if (ledger.mail === null) set(user, "emails", emails.length > 1 ? emails.filter((e) => e !== chosen) : null);
    else if (chosen === undefined) user["emails"] = [{ value: ledger.mail, type: "work", primary: true }];
    else chosen["value"] = ledger.mail;
  }
  if (ledger.department === undefined && ledger.manager === undefined) return user;
  const sentEnterprise = user[urns.enterprise];
  const enterprise: Resource = isObject(sentEnterprise) ? sentEnterprise : {};
  if (ledger.department !== undefined) set(enterprise, "department", ledger.department);
  if (ledger.manager !== undefined)
    set(enterprise, "manager", ledger.manager === null ? null : { value: ledger.manager });
  set(user, urns.enterprise, Object.keys(enterprise).length === 0 ? null : enterprise);
  return user;
}

function set(holder: Resource, name: string, value: unknown): void {
  if (value === null || value === undefined) delete holder[name];
  else holder[name] = value;
}

/** A department's code made of its name: `Sales Tokyo` → `Sales-Tokyo`. Letters of any script are good for a code. */
export function codeFor(name: string, taken: (code: string) => boolean): string {
  const base =
    name
      .normalize("NFKC")
      .replace(/[^\p{L}\p{N}._&+-]+/gu, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, limits.code - 8)
      .replace(/[\p{Cs}-]+$/u, "") || "group";
  if (!taken(base)) return base;
  for (let n = 2; ; n++) if (!taken(`${base}-${n}`)) return `${base}-${n}`;
}

/** Whether an external id makes a code people can read: short and plain, and not one of the ids that directories number their objects by. */
export function readsAsCode(id: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(id) && !/^[0-9a-f]{8}-?[0-9a-f]{4}-?|^00g[0-9A-Za-z]{17}$/i.test(id);
}
