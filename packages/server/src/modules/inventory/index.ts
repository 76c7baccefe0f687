export { raiseRevision } from "./revision.ts";
export { createDerivation, revivedGeneration, type Derivation } from "./derivation.ts";
export { createDeviceFacts } from "./facts.ts";
export { headStore, lockHeads } from "./head-store.ts";
export { createTitleIndex, type TitleIndex } from "./title-index.ts";
export { createTitles, type Titles } from "./titles.ts";
export { createSoftwareView, type SoftwareView } from "./software.ts";
export { softwareRoutes } from "./routes.ts";
export { createReportExchange, type ReportExchange } from "./exchange.ts";
