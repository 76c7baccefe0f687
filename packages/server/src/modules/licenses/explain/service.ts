/** Purpose: why (issue 3: "why is this 255?") - of a licence on a device, and of a position. */
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import type { Positions } from "../positions/index.ts";
import { createLicenseCoverage } from "./coverage.ts";
import { createDeviceExplanation, type ExplainedFacts } from "./device.ts";
import { createPositionExplanation } from "./position.ts";

export type Explain = ReturnType<typeof createExplain>;

export function createExplain(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly positions: Pick<Positions, "cube" | "cubeAt">;
  readonly facts: ExplainedFacts;
}) {
  // One memory for both: whoever looks at a position looks at its devices next.
  const coverageOf = createLicenseCoverage(deps);
  return {
    device: createDeviceExplanation({ ...deps, coverageOf }),
    position: createPositionExplanation({ ...deps, coverageOf }),
  };
}
