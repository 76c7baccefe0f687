/**
 * Purpose: the one composition root of the server. It opens the store, makes the modules in the order of their dependencies, registers their
 * routes and owns start and stop. Read it top to bottom to see what a server consists of.
 */
import "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { systemClock, type Clock, type Log } from "@daicho/kernel";
import { loadValidation } from "@daicho/protocol";
import type { ServerConfig } from "./config.ts";
import { openDatabase, type Database, type Trx } from "./db/database.ts";
import { openServers, whileOnDuty } from "./db/servers.ts";
import { createEvents, shareEvents } from "./events.ts";
import { createAuthorize } from "./http/authorize.ts";
import { createHttp } from "./http/app.ts";
import { createMetrics, metricsRoutes } from "./http/metrics.ts";
import { accessRoutes, createAccessService, type AccessService } from "./modules/access/index.ts";
import {
  applicationRoutes,
  budgetRoutes,
  createApplications,
  type Applications,
} from "./modules/applications/index.ts";
import { createCompanies, createUpstream, groupRoutes } from "./modules/group/index.ts";
import {
  createNodes,
  createRemoved,
  installProtocolCheck,
  nodeIngestRoutes,
  nodeRoutes,
  type Nodes,
} from "./modules/nodes/index.ts";
import { pageRoute } from "./modules/page/index.ts";
import {
  createDeviceDirectory,
  createHandOvers,
  createOrgDevices,
  handOverRoutes,
  createDevices,
  createMerges,
  deviceRoutes,
  mergeRoutes,
  type DeviceFacts,
  type Devices,
} from "./modules/devices/index.ts";
import {
  createAgentEnrollment,
  createClones,
  createIntake,
  createMissing,
  createInventoryImport,
  createNextContact,
  ingestRoutes,
  type Intake,
  type InventoryImport,
} from "./modules/ingest/index.ts";
import {
  createDerivation,
  createDeviceFacts,
  createReportExchange,
  createSoftwareView,
  createTitleIndex,
  createTitles,
  createWhatIf,
  headStore,
  lockHeads,
  raiseRevision,
  revivedGeneration,
  softwareRoutes,
  type Derivation,
  type SoftwareView,
} from "./modules/inventory/index.ts";
import { createImports, importRoutes } from "./modules/imports/index.ts";
import {
  allocationRoutes,
  classificationRoutes,
  createAllocations,
  createMergedAllocations,
  createClassifications,
  createEntitlements,
  createExplain,
  createMetricRules,
  createOrgLicenses,
  createPositions,
  createReconcile,
  createRights,
  createVersionPaths,
  explainRoutes,
  licenseRoutes,
  versionPathRoutes,
  entitlementRoutes,
  metricRuleRoutes,
  positionRoutes,
  rightsRoutes,
  type Positions,
  type Reconcile,
} from "./modules/licenses/index.ts";
import { createRepository, type Repository } from "./modules/licenses/repository/index.ts";
import {
  createOrganization,
  createOrgChangeRequests,
  createOrgChangesApply,
  orgChangeRoutes,
  organizationRoutes,
  type OrgChangeRequests,
  type Organization,
} from "./modules/organization/index.ts";
import { createScim, createScimFollower } from "./modules/scim/index.ts";
import { createPolicies, policyRoutes, type Policies } from "./modules/policies/index.ts";
import { createBookkeeping, createPooling, createWord, pooledBy, poolingRoutes } from "./modules/pooling/index.ts";
import {
  createPurchaseFollower,
  createPurchases,
  createPurchaseSchedule,
  purchaseRoutes,
  type Purchases,
} from "./modules/purchases/index.ts";

/** As in package.json. */
const programVersion = "0.1.0";

export interface Server {
  /** Starts listening; answers the address. */
  start(): Promise<{ readonly url: string }>;
  /** Finishes what is under way, then closes everything. Nothing acknowledged is lost by being stopped at any other moment either. */
  stop(): Promise<void>;
  /** In-process use by `daicho up`, `daicho admin token` and tests. */
  readonly access: AccessService;
  readonly policies: Policies;
  readonly nodes: Nodes;
  readonly derivation: Derivation;
  readonly intake: Intake;
  readonly inventories: InventoryImport;
  readonly repository: Repository;
  readonly facts: DeviceFacts;
  readonly software: SoftwareView;
  readonly devices: Devices;
  readonly organization: Organization;
  readonly orgChanges: OrgChangeRequests;
  readonly positions: Positions;
  readonly reconcile: Reconcile;
  readonly applications: Applications;
  readonly purchases: Purchases;
  readonly app: FastifyInstance;
  readonly db: Database;
}

export async function createServer(options: {
  readonly config: ServerConfig;
  readonly log: Log;
  readonly clock?: Clock;
}): Promise<Server> {
  const { config, log } = options;
  const clock = options.clock ?? systemClock;
  const db = await openDatabase({ url: config.database, clock, log });
  const servers = await openServers({ db, url: config.database, clock, log });
  const events = createEvents(log);
  const stopSharing = shareEvents({ events, servers, clock });
  const access = await createAccessService({ db, clock, company: config.name });
  const removed = await createRemoved({ db, servers });
  const authorize = createAuthorize({ access, clock, removed });
  const metrics = createMetrics();
  const policies = await createPolicies({
    db,
    signer: access.signer,
    servers,
    events,
    clock,
    log,
    company: config.name,
    generates: config.role !== "group",
  });
  metrics.gauge("daicho_dictionary_version", "Version of the dictionary in force", () => policies.current().generation);
  // From a report to a count: titles, the policy's derivation, the licence repository, intake.
  const directory = createDeviceDirectory({ db, clock });
  const deriveAgain = async (trx: Trx, devices: readonly number[]): Promise<void> => {
    await headStore.setGeneration(db, trx, devices, revivedGeneration);
    // After the commit: until then the devices still carry their old generation for everyone else.
    clock.after(100, () => void derivation.refresh());
  };
  const repository = createRepository({
    db,
    devices: directory,
    clock,
    deriveAgain,
    classifies: (trx) => derivation.classifies(trx),
  });
  const titles = await createTitles({ db, clock });
  const index = await createTitleIndex({ db, clock, log, servers });
  const derivation: Derivation = await createDerivation({
    db,
    clock,
    log,
    events,
    titles,
    index,
    policy: policies.current,
    readPolicy: policies.refresh,
    servers,
    deselected: async () =>
      new Set((await policies.selection()).available.filter((l) => !l.selected).map((l) => l.code)),
    devices: directory,
    repository,
  });
  const software = createSoftwareView({ db, clock, titles, index, deriver: derivation.current });
  const facts = createDeviceFacts({ db, titles, deriver: derivation.current, repository, software });
  const answered = { stored: 0, duplicate: 0, "need-full": 0, rejected: 0 };
  metrics.gauge("daicho_reports_total", "Reports taken in since the start, by answer", () => answered, "status");
  const observeCommit = metrics.histogram(
    "daicho_commit_seconds",
    "Duration of the commits that reports share",
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
  );
  const missing = createMissing({ db, clock, log });
  metrics.gauge(
    "daicho_reports_missing",
    "Reports of the last 30 days that were acknowledged below and never came, by the node they were to come through",
    async () => Object.fromEntries([...(await missing.byNode())].map(([node, { reports }]) => [node, reports])),
    "node",
  );
  const intake = createIntake({
    db,
    clock,
    log,
    titles,
    index,
    devices: directory,
    repository,
    deriver: derivation.current,
    removed,
    missing,
    clones: createClones({ db, clock, log, devices: directory }),
    onOutdated: () => void derivation.refresh(),
    limits: config.reports,
    onCommit({ results, milliseconds, countsChanged }) {
      observeCommit(milliseconds / 1000);
      for (const { status } of results) answered[status]++;
      if (countsChanged) events.emit("positions-changed", {});
    },
  });
  const inventories = createInventoryImport({
    db,
    clock,
    titles,
    index,
    devices: directory,
    repository,
    deriver: derivation.current,
    onOutdated: () => void derivation.refresh(),
    onChange: () => events.emit("positions-changed", {}),
  });

  const reportExchange = createReportExchange({
    db,
    titles,
    devices: directory,
    repository,
    deriver: derivation.current,
    index,
    forget: intake.forget,
  });

  // The ledger: who there is, what they have, what was bought, who may use it - and the one module that says over or under.
  const devices = createDevices({
    db,
    clock,
    events,
    facts,
    usage: repository,
    lockHeads: (trx, ordinals) => lockHeads(db, trx, ordinals),
  });
  const organization = createOrganization({ db, clock, events, devices });
  const ofPolicy = (): ReadonlySet<string> =>
    new Set(policies.current().licensePolicy?.software.map(({ code }) => code));
  const entitlements = createEntitlements({ db, clock, events, bought: derivation.bought, ofPolicy });
  const classifications = createClassifications({
    db,
    clock,
    events,
    derivation,
    deriveAgain,
    raiseRevision: (trx) => raiseRevision(db, trx),
    lockHeads: (trx, ordinals) => lockHeads(db, trx, ordinals),
  });
  const allocations = createAllocations({ db, clock, events, reconsider: classifications.reconsider });
  const merges = createMerges({
    db,
    clock,
    events,
    reports: reportExchange,
    allocations: createMergedAllocations({ db, reconsider: classifications.reconsider }),
    usage: repository,
    lockHeads: (trx, ordinals) => lockHeads(db, trx, ordinals),
  });
  const versionPaths = createVersionPaths({ db, clock, events });
  const rights = createRights({ db, clock, events, ofPolicy });
  const positions = createPositions({ db, clock });
  const explain = createExplain({
    db,
    clock,
    positions,
    facts: {
      factsOf: facts.factsOf,
      explain: (codes) => derivation.current().matcher.explain(codes),
      unitsOf: (license, machine) => derivation.current().unitsOf(license, machine),
      classify: (device, license) => classifications.classificationOf(device, license),
    },
  });
  const reconcile = createReconcile({
    db,
    clock,
    positions,
    repository: { recount: repository.recount, rederive: derivation.rederive },
  });
  const purchaseFollower = createPurchaseFollower({ db });
  const applications = createApplications({
    db,
    clock,
    events,
    access,
    positions,
    runs: purchaseFollower,
    timezone: config.purchase?.timezone ?? "UTC",
  });
  const pooled = pooledBy(config.purchase);
  const word = createWord({ db, pooled, told: config.upstream !== undefined });
  const purchases = createPurchases({
    db,
    clock,
    events,
    positions,
    entitlements,
    applications: applications.settlement,
    counting: derivation,
    settings: {
      timezone: config.purchase?.timezone ?? "UTC",
      pooled: word.within,
    },
  });
  const counting = {
    usage: repository,
    lockHeads: (trx: Parameters<typeof lockHeads>[1], ordinals: readonly number[]) => lockHeads(db, trx, ordinals),
  };
  const handOvers = createHandOvers({ db, clock, events, ...counting });
  const orgLicenses = createOrgLicenses({ db, positions });
  const changes = createOrgChangesApply({
    db,
    devices: createOrgDevices({ db, ...counting }),
    licenses: orgLicenses,
    applications: applications.settlement,
    followers: [orgLicenses, access, applications.settlement, purchaseFollower, createScimFollower()],
  });
  const orgChanges = createOrgChangeRequests({
    db,
    clock,
    events,
    log,
    timezone: config.organization?.timezone ?? "UTC",
    changes,
  });
  const scim = createScim({ db, clock, events, organization, changes, config: config.scim });
  const imports = createImports({ db, clock, events, organization, devices, entitlements, allocations, rights });
  // While devices are derived again the counts still say what the policy before made of them.
  let counted = 0;
  const countedWith = (): number => (derivation.underWay ? counted : (counted = policies.current().enterprise));
  const ownPositions = config.role === "group" ? undefined : positions.corporate;

  metrics.gauge("daicho_reports_waiting", "Reports waiting for their commit", () => intake.waiting);

  const agentDictionaryCounts = () => headStore.agentsByDictionary(db.kysely, policies.current().generation);
  metrics.gauge(
    "daicho_devices",
    "Devices that report, by the dictionary they hold",
    agentDictionaryCounts,
    "dictionary",
  );

  const nodes = createNodes({
    db,
    servers,
    access,
    policies,
    events,
    clock,
    log,
    metrics,
    company: config.name,
    role: config.role,
    dataDir: config.data,
    program: programVersion,
    agents: config.role === "group" ? undefined : createAgentEnrollment({ clock, devices: directory }),
    removed,
    missing: missing.byNode,
    agentDictionaryCounts,
  });
  const companies = createCompanies({
    db,
    nodes,
    clock,
    company: config.name,
    countedWith,
    ownPositions,
    pooled,
    boughtForAbove: config.upstream !== undefined,
  });
  const books = config.role === "group" ? undefined : createBookkeeping({ db, clock, events, entitlements });
  const pooling = createPooling({
    db,
    clock,
    events,
    timezone: config.purchase?.timezone ?? "UTC",
    signer: access.signer,
    own: books && { name: config.name, books },
    companies,
    // "Something is new here": servers below then ask for their orders, too.
    announce: () => nodes.reach.announce(["server"]),
  });
  // What one server does for all of them.
  const { upstream, purchase } = config;
  const jobs: (() => { start(): void; stop(): unknown })[] = [() => orgChanges];
  if (config.role !== "group" && purchase?.enabled === true)
    jobs.push(() => createPurchaseSchedule({ ...purchase, db, purchases, clock, log }));
  if (upstream !== undefined)
    jobs.push(() =>
      createUpstream({
        config: upstream,
        company: config.name,
        db,
        signer: access.signer,
        policies,
        nodes,
        ownPositions,
        books,
        pooled,
        word,
        countedWith,
        events,
        clock,
        log,
      }),
    );
  const duties: { stop(): Promise<void> }[] = [];

  let stopping = false;
  const { app, secure } = await createHttp({ config, clock, log });
  installProtocolCheck(app);

  accessRoutes(app, {
    access,
    authorize,
    departmentExists: organization.departmentExists,
    employeeExists: async (id) => (await organization.employee(id)) !== undefined,
  });
  organizationRoutes(app, { organization, authorize, keys: access });
  scim.routes(app, { authorize, log });
  orgChangeRoutes(app, { orgChanges, authorize });
  handOverRoutes(app, { handOvers, authorize });
  deviceRoutes(app, { devices, authorize, keys: access });
  mergeRoutes(app, { merges, authorize });
  entitlementRoutes(app, { entitlements, authorize });
  classificationRoutes(app, { classifications, authorize });
  allocationRoutes(app, { allocations, authorize });
  versionPathRoutes(app, { paths: versionPaths, authorize });
  licenseRoutes(app, { db, authorize });
  rightsRoutes(app, { rights, authorize });
  metricRuleRoutes(app, {
    metricRules: createMetricRules({
      clock,
      policy: policies.current,
      licenses: () => derivation.current().licenses,
      device: (id) => devices.device(id),
    }),
    authorize,
  });
  positionRoutes(app, { positions, reconcile, authorize, clock });
  explainRoutes(app, { explain, authorize, clock });
  applicationRoutes(app, { applications, authorize });
  budgetRoutes(app, { budgets: applications.budgets, authorize });
  poolingRoutes(app, {
    pooling,
    authorize,
    role: config.role,
    serverOf: async (company) => (await nodes.serverOf(company))?.id,
  });
  purchaseRoutes(app, { purchases, authorize, role: config.role });
  importRoutes(app, { imports, authorize });

  const whatIf = createWhatIf({ db, clock, titles, deriver: derivation.current, devices: directory });
  policyRoutes(app, { policies, authorize, role: config.role, hasUpstream: config.upstream !== undefined, whatIf });
  nodeRoutes(app, {
    nodes,
    policies,
    authorize,
    identitiesOf: (devices) => headStore.identitiesOf(db.kysely, devices),
  });
  nodeIngestRoutes(app, { nodes, policies, authorize, clock, log, role: config.role });
  groupRoutes(app, { companies, authorize, role: config.role });
  pageRoute(app, {
    access,
    nodes,
    clock,
    company: config.name,
    numbers: {
      ...(config.role !== "corporate" && { companies: () => companies.list() }),
      ...(config.role !== "group" && {
        positions: async () => (await positions.company()).items,
        departments: async (limit: number) =>
          firstOf((await positions.outline()).items, limit).map((item) => ({ ...item, name: item.departmentName })),
      }),
    },
  });
  ingestRoutes(app, {
    intake,
    titles,
    inventories,
    authorize,
    clock,
    dictionary: () => policies.current().generation,
    nextContact: createNextContact({ heartbeatSeconds: config.heartbeatSeconds, random: Math.random }),
  });
  softwareRoutes(app, { software, authorize });
  metricsRoutes(app, { metrics, db, stopping: () => stopping });

  return {
    access,
    policies,
    nodes,
    derivation,
    intake,
    inventories,
    repository,
    facts,
    software,
    devices,
    organization,
    orgChanges,
    positions,
    reconcile,
    applications,
    purchases,
    app,
    db,
    async start() {
      const { host, port } = parseListen(config.listen);
      void derivation.refresh();
      // What takes long once is done while nobody waits: the API's description is one call of a library.
      loadValidation();
      await app.ready();
      app.swagger();
      await app.listen({ host, port });
      const address = app.server.address();
      const actual = typeof address === "object" && address !== null ? address.port : port;
      duties.push(...jobs.map((job) => whileOnDuty(servers, log, job)));
      const shown = host.includes(":") ? `[${host}]` : host;
      return { url: `${secure ? "https" : "http"}://${shown}:${actual}` };
    },
    async stop() {
      stopping = true;
      for (const job of duties) await job.stop();
      stopSharing();
      nodes.stop();
      await app.close();
      await intake.drain();
      await derivation.stop();
      await index.stop();
      policies.stop();
      await servers.stop();
      await db.close();
    },
  };
}

function firstOf<T>(items: Iterable<T>, limit: number): T[] {
  const out: T[] = [];
  for (const item of items) {
    if (out.length === limit) break;
    out.push(item);
  }
  return out;
}

function parseListen(listen: string): { host: string; port: number } {
  const at = listen.lastIndexOf(":");
  return { host: listen.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(listen.slice(at + 1)) };
}
