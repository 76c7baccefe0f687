/** Purpose: the whole schema as Kysely sees it. Each module declares its own tables and is the only one to write them. */
import type { AccessTables } from "../modules/access/tables.ts";
import type { ApplicationTables } from "../modules/applications/tables.ts";
import type { MergeTables } from "../modules/devices/merges/tables.ts";
import type { DeviceTables } from "../modules/devices/tables.ts";
import type { GroupTables } from "../modules/group/tables.ts";
import type { InventoryTables } from "../modules/inventory/tables.ts";
import type { ClassificationTables } from "../modules/licenses/classification/tables.ts";
import type { CoverageTables } from "../modules/licenses/coverage/tables.ts";
import type { LicenseLedgerTables } from "../modules/licenses/ledger-tables.ts";
import type { LicenseTables } from "../modules/licenses/tables.ts";
import type { LicenseTimeTables } from "../modules/licenses/time-tables.ts";
import type { NodeTables } from "../modules/nodes/tables.ts";
import type { HandOverTables } from "../modules/devices/hand-overs/tables.ts";
import type { OrgChangeTables } from "../modules/organization/changes/tables.ts";
import type { OrganizationTables } from "../modules/organization/tables.ts";
import type { PolicyTables } from "../modules/policies/tables.ts";
import type { PoolingTables } from "../modules/pooling/tables.ts";
import type { PurchaseTables } from "../modules/purchases/tables.ts";
import type { ScimTables } from "../modules/scim/tables.ts";

export interface MigrationTable {
  name: string;
  applied_at: number;
}

export interface Schema
  extends
    AccessTables,
    ApplicationTables,
    OrganizationTables,
    OrgChangeTables,
    HandOverTables,
    DeviceTables,
    MergeTables,
    LicenseTables,
    LicenseLedgerTables,
    CoverageTables,
    ClassificationTables,
    LicenseTimeTables,
    InventoryTables,
    PolicyTables,
    PurchaseTables,
    PoolingTables,
    ScimTables,
    NodeTables,
    GroupTables {
  schema_migrations: MigrationTable;
}
