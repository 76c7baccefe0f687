export { cover, coverSteps } from "./cover.ts";
export { isPortable, linkedGroups, noReach, reachOf, type VersionPath } from "./reach.ts";
export { parseAttachedRights, rightWords, type AttachedRight, type ParsedRights, type RightsFault } from "./rights.ts";
export type {
  Allocation,
  AllocationTotals,
  AllocationUse,
  Consumption,
  Covered,
  CoveredPart,
  CoverEntitlement,
  CoverInput,
  CoverLicense,
  CoverResult,
  CoverRight,
  DeviceTraits,
  Installation,
  Reach,
  UncoveredReason,
  Validity,
} from "./types.ts";
