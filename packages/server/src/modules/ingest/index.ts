export { createAgentEnrollment } from "./enroll.ts";
export { createInventoryImport, type InventoryImport } from "./inventories.ts";
export { createClones } from "./clones.ts";
export { createMissing, type Missing } from "./missing.ts";
export { createIntake, type Intake } from "./intake.ts";
export { createNextContact } from "./next-contact.ts";
export { ingestRoutes } from "./routes.ts";
