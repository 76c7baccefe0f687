/** Purpose: the columns of every file that can be imported: contract.md "CSV", header names and what a cell may hold. */
import { metrics } from "@daicho/protocol";
import { keyText, limits } from "../../http/text.ts";
import { parseTime, timeHint } from "../../times.ts";
import { deviceStates } from "../devices/index.ts";
import { currencies, maxAmount, maxPackSize, maxQuantity, maxRights } from "../licenses/index.ts";
import type { Cell, Column, TableSpec } from "./table.ts";

type Empty = Column["empty"];
const column = (name: string, empty: Empty, parse: (text: string) => Cell): Column => ({ name, empty, parse });

const text = (name: string, empty: Empty, limit: number): Column =>
  column(name, empty, (cell) =>
    cell.length > limit
      ? { reason: `is longer than ${limit} characters` }
      : keyText.test(cell)
        ? { value: cell }
        : { reason: "holds control characters" },
  );

/** Words for people. Spreadsheets break long ones within the cell; that is their layout, not part of the name. */
const words = (name: string, empty: Empty, limit: number): Column => {
  const { parse } = text(name, empty, limit);
  return column(name, empty, (cell) => parse(cell.replace(/\s*[\t\r\n]\s*/g, " ")));
};

/** `in use` and `In_Use` say what `in-use` says. */
const oneOf = (name: string, empty: Empty, values: readonly string[]): Column =>
  column(name, empty, (cell) => {
    const value = cell.toLowerCase().replace(/[\s_]+/g, "-");
    return values.includes(value) ? { value } : { reason: `must be one of ${values.join(", ")}` };
  });

const whole = (name: string, empty: Empty, most: number, hint = "must be a whole number"): Column =>
  column(name, empty, (cell) => {
    if (!/^\d{1,16}$/.test(cell)) return { reason: hint };
    const value = Number(cell);
    return value <= most ? { value } : { reason: `must not be above ${most}` };
  });

const positive = (name: string, most: number): Column => {
  const { parse } = whole(name, "leave", most);
  return column(name, "leave", (cell) => (/^0+$/.test(cell) ? { reason: "must be at least 1" } : parse(cell)));
};

const time = (name: string, end = false): Column =>
  column(name, "null", (cell) => {
    const value = parseTime(cell, end);
    return value === undefined ? { reason: timeHint } : { value };
  });

const currency = column("currency", "null", (cell) =>
  currencies.has(cell) ? { value: cell } : { reason: "is no ISO 4217 currency, such as JPY or EUR" },
);

/** What the ledger's own list has besides, so that one saved as CSV can be taken in again. */
const empty = (name: string): Column =>
  column(name, "leave", () => ({ reason: "must be empty: what is dissolved cannot be imported" }));

export const departmentColumns: TableSpec = {
  columns: [
    text("code", "fault", limits.code),
    words("name", "leave", limits.name),
    text("parent", "null", limits.code),
    words("costCentre", "null", limits.text),
    text("manager", "null", limits.id),
    empty("dissolvedAt"),
    empty("mergedInto"),
  ],
  required: () => ["code"],
  key: (row) => row["code"] as string,
  keyColumn: "code",
};

export const employeeColumns: TableSpec = {
  columns: [
    text("id", "fault", limits.id),
    words("name", "leave", limits.name),
    text("mail", "null", limits.text),
    text("department", "null", limits.code),
    words("title", "null", limits.text),
    text("manager", "null", limits.id),
  ],
  required: () => ["id"],
  key: (row) => row["id"] as string,
  keyColumn: "id",
};

export const deviceColumns: TableSpec = {
  columns: [
    text("id", "fault", limits.id),
    text("hostname", "leave", limits.hostname),
    text("serial", "null", 128),
    text("employee", "null", limits.id),
    text("department", "null", limits.code),
    text("manager", "null", limits.id),
    oneOf("state", "leave", deviceStates),
  ],
  required: () => ["id"],
  key: (row) => row["id"] as string,
  keyColumn: "id",
};

export const entitlementColumns: TableSpec = {
  columns: [
    text("license", "leave", limits.license),
    oneOf("metric", "leave", metrics),
    whole("quantity", "leave", maxQuantity),
    whole("unitPrice", "null", maxAmount, "must be whole minor units: 12.50 USD is 1250, 1200 JPY is 1200"),
    currency,
    time("purchasedAt"),
    time("startsAt"),
    time("expiresAt", true),
    text("rights", "null", limits.rights),
    words("contract", "null", limits.text),
    words("order", "null", limits.text),
    text("department", "null", limits.code),
    words("certificate", "null", limits.text),
    words("supplier", "null", limits.text),
    text("parent", "null", 64),
    text("manager", "null", limits.id),
    positive("packSize", maxPackSize),
    text("id", "leave", 64),
  ],
  required: (present) => (present.has("id") ? [] : ["license", "quantity"]),
  key: (row) => row["id"] as string | undefined,
  keyColumn: "id",
};

export const rightsColumns: TableSpec = {
  columns: [
    text("department", "fault", limits.code),
    text("license", "fault", limits.license),
    whole("rights", "leave", maxRights),
    whole("required", "leave", maxRights),
    whole("quota", "null", maxRights),
  ],
  required: (present) => [
    ...["department", "license"],
    ...(present.has("required") || present.has("quota") ? [] : ["rights"]),
  ],
  key: (row) => JSON.stringify([row["department"], row["license"]]),
  keyColumn: "license",
};

export const allocationColumns: TableSpec = {
  columns: [
    text("license", "fault", limits.license),
    text("device", "null", limits.id),
    text("employee", "null", limits.id),
    positive("quantity", maxQuantity),
    text("entitlement", "null", 64),
  ],
  required: (present) => ["license", ...(present.has("employee") ? [] : ["device"])],
  key: (row) =>
    JSON.stringify([row["license"], row["device"] ?? null, row["employee"] ?? null, row["entitlement"] ?? null]),
  keyColumn: "license",
};
