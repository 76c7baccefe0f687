export { allocationRoutes } from "./routes.ts";
export { createMergedAllocations, endAllocationsOf, type MergedAllocations } from "./follow.ts";
export { createAllocations, type Allocated, type Allocations } from "./service.ts";
export type { AllocationInput } from "./write.ts";
