export { holdCounting, touchPositions, type Touched } from "./version.ts";
