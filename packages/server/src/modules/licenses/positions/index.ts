export { departmentOf, eachCounts, type Cube, type CubeLicense } from "./cube.ts";
export { createPositions, type DepartmentItem, type DepartmentLicense, type Positions, type Stamp } from "./service.ts";
export {
  createReconcile,
  type Reconcile,
  type ReconcileDifference,
  type ReconcileResult,
  type Recount,
} from "./reconcile.ts";
export { momentOf } from "./moment.ts";
export { positionRoutes } from "./routes.ts";
