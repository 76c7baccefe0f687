/** Purpose: `/api/v1/devices` (contract.md "Administration"). */
import { Type } from "@sinclair/typebox";
import { Hardware, RecognizedCode, Title } from "@daicho/protocol";
import type { FastifyInstance } from "fastify";
import { resourceRoutes, type ResourceAccess } from "../../http/resource.ts";
import { Key, limits, Text } from "../../http/text.ts";
import type { Device, Devices } from "./service.ts";
import { deviceStates, type DeviceInput } from "./write.ts";

const Time = Type.Optional(Type.String({ description: "RFC 3339, UTC" }));
const State = Type.Unsafe<string>({ type: "string", enum: [...deviceStates] });

const DeviceItem = Type.Object({
  id: Type.String(),
  hostname: Type.Optional(Type.String()),
  serial: Type.Optional(Type.String()),
  state: Type.Optional(State),
  employee: Type.Optional(Type.String({ description: "Employee id of the user" })),
  department: Type.Optional(Type.String({ description: "Code of the managing department" })),
  countsFor: Type.Optional(Type.String({ description: "Department its licences count for; `unassigned` for none" })),
  manager: Type.Optional(Type.String({ description: "Employee id of who manages it" })),
  origin: Type.Optional(Type.String({ description: "How it came into the ledger: csv, enrollment, import, api" })),
  splitFrom: Type.Optional(
    Type.String({ description: "The device whose copied key it reported with before it enrolled anew" }),
  ),
  lastSeenAt: Time,
  scannedAt: Time,
  hardware: Type.Optional(Hardware),
  software: Type.Optional(Type.Array(Title)),
  codes: Type.Optional(Type.Array(RecognizedCode)),
  licenses: Type.Optional(
    Type.Array(
      Type.Object({
        license: Type.String(),
        class: Type.Optional(Type.String({ description: "preinstalled, individual or other; absent = managed" })),
        count: Type.Integer(),
        since: Type.String(),
      }),
    ),
  ),
  scan: Type.Optional(Type.Object({}, { additionalProperties: true })),
});

export function deviceRoutes(app: FastifyInstance, deps: { readonly devices: Devices } & ResourceAccess): void {
  const { devices } = deps;
  resourceRoutes<Device>(app, deps, {
    path: "/api/v1/devices",
    tag: "devices",
    what: "device",
    key: "id",
    keyLimit: limits.id,
    item: DeviceItem,
    required: {},
    optional: {
      serial: Key(128),
      employee: Key(limits.id),
      department: Key(limits.code),
      manager: Key(limits.id),
    },
    kept: { hostname: Key(limits.hostname), state: State },
    filters: {
      hostname: Text(limits.hostname),
      serial: Text(128),
      state: State,
      employee: Text(limits.id),
      department: Text(limits.code, "Managing department"),
      manager: Text(limits.id),
      countsFor: Text(limits.code, "Department the device counts for; `unassigned` for none"),
      under: Text(limits.code, "Devices that count for this department or one below it"),
      license: Text(limits.license, "Devices that use this licence"),
      software: Text(512, "Devices on which a title of this name was found"),
      fields: Text(256, "Fields to show, with commas between; software, codes and scan only when named here"),
    },
    list: (query) => devices.list(query),
    get: (id) => devices.device(id),
    save: (input, mode) => devices.save(input as unknown as DeviceInput, mode),
  });
}
