/**
 * Purpose: the explicit list of migrations, oldest first. A migration is never edited after it has landed; each module keeps
 * its own in `modules/<context>/migrations.ts`.
 */
import type { Kysely } from "kysely";
import type { DialectName } from "./dialect.ts";
import { accessMigrations } from "../modules/access/migrations.ts";
import { applicationMigrations } from "../modules/applications/migrations.ts";
import { mergeMigrations } from "../modules/devices/merges/migrations.ts";
import { deviceMigrations } from "../modules/devices/migrations.ts";
import { handOverMigrations } from "../modules/devices/hand-overs/migrations.ts";
import { groupMigrations } from "../modules/group/migrations.ts";
import { inventoryMigrations } from "../modules/inventory/migrations.ts";
import { classificationMigrations } from "../modules/licenses/classification/migrations.ts";
import { coverageMigrations } from "../modules/licenses/coverage/migrations.ts";
import { licenseLedgerMigrations } from "../modules/licenses/ledger-migrations.ts";
import { licenseMigrations } from "../modules/licenses/migrations.ts";
import { licenseTimeMigrations } from "../modules/licenses/time-migrations.ts";
import { nodeMigrations } from "../modules/nodes/migrations.ts";
import { orgChangeMigrations } from "../modules/organization/changes/migrations.ts";
import { organizationMigrations } from "../modules/organization/migrations.ts";
import { policyMigrations } from "../modules/policies/migrations.ts";
import { poolingMigrations } from "../modules/pooling/migrations.ts";
import { purchaseMigrations } from "../modules/purchases/migrations.ts";
import { scimMigrations } from "../modules/scim/migrations.ts";

export interface Migration {
  /** `yyyymmddhhmm-context-what` */
  readonly name: string;
  up(db: Kysely<never>, dialect: DialectName): Promise<void>;
}

export const migrations: readonly Migration[] = [
  ...accessMigrations,
  ...applicationMigrations,
  ...organizationMigrations,
  ...orgChangeMigrations,
  ...handOverMigrations,
  ...deviceMigrations,
  ...mergeMigrations,
  ...licenseMigrations,
  ...licenseLedgerMigrations,
  ...coverageMigrations,
  ...classificationMigrations,
  ...licenseTimeMigrations,
  ...inventoryMigrations,
  ...policyMigrations,
  ...purchaseMigrations,
  ...poolingMigrations,
  ...scimMigrations,
  ...nodeMigrations,
  ...groupMigrations,
].sort((a, b) => (a.name < b.name ? -1 : 1));
