export { allocationRoutes } from "./routes.ts";
export { createAllocations, type Allocated, type Allocations } from "./service.ts";
export type { AllocationInput } from "./write.ts";
