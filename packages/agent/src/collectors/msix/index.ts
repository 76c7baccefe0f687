/**
 * Purpose: MSIX/AppX packages: from the manifests of WindowsApps (AppRepository where that folder is not there) and from the
 * package repositories in the registry, live or exported.
 * Invariants: frameworks, resource and optional packages and bundles are no titles; one package (full name) is one title, and its manifest says more
 * than its registry key. Windows' own SystemApps are part of the system and are not listed.
 */
import type { Collector } from "../collector.ts";
import { createFindings, type Findings, type TitleFields } from "../findings.ts";
import { registryOf } from "../registry/index.ts";
import { valueText, type RegistryTree } from "../registry/tree.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";
import { parseManifest } from "./manifest.ts";
import { isFrameworkName, parsePackageName } from "./package-name.ts";

const windowsApps = "/Program Files/WindowsApps";
const appRepository = "/ProgramData/Microsoft/Windows/AppRepository";
const maxManifest = 4 * 1024 * 1024;

/** `disk: false` reads the registry only: exports have no files beside them. */
export function createMsixCollector({ disk }: { readonly disk: boolean }): Collector {
  return {
    name: "msix",
    async collect(context) {
      const findings = createFindings();
      const seen = new Set<string>();
      const offerOnce = (fullName: string, place: string, fields: TitleFields): void => {
        if (seen.has(fullName.toLowerCase())) return;
        seen.add(fullName.toLowerCase());
        findings.title(place, fields);
      };
      const windows = !context.live || context.platform === "win32";
      if (disk && windows) collectManifests(rootedFiles(context.root, context.live), findings, offerOnce);
      const tree = await registryOf(context);
      if (tree !== undefined) collectPackageKeys(tree, offerOnce);
      const { titles, errors } = findings.result();
      return { titles, errors: [...errors, ...(tree?.takeFaults() ?? [])] };
    },
  };
}

type Offer = (fullName: string, place: string, fields: TitleFields) => void;

function collectManifests(files: RootedFiles, findings: Findings, offer: Offer): void {
  for (const { fullName, place, path } of manifestPlaces(files, findings)) {
    const manifest = findings.attempt(place, () => parseManifest(files.read(place, maxManifest)));
    if (manifest === undefined || manifest.auxiliary) continue;
    offer(fullName, place, {
      name: manifest.displayName,
      version: manifest.version,
      publisher: manifest.publisher,
      source: "msix",
      arch: manifest.arch,
      identifier: parsePackageName(fullName)?.family,
      installedAt: undefined,
      size: undefined,
      path,
      lastUsedAt: undefined,
    });
  }
}

interface ManifestPlace {
  readonly fullName: string;
  readonly place: string;
  readonly path?: string;
}

/** A bundle's folder has no AppxManifest.xml: its parts are packages of their own. */
function manifestPlaces(files: RootedFiles, findings: Findings): ManifestPlace[] {
  const folders = findings.attempt(windowsApps, () => files.list(windowsApps));
  if (folders !== undefined) {
    return folders
      .filter((entry) => entry.isDirectory() && parsePackageName(entry.name) !== undefined)
      .map(({ name }) => ({ name, path: `${windowsApps}/${name}` }))
      .map(({ name, path }) => ({ fullName: name, place: `${path}/AppxManifest.xml`, path }));
  }
  return (findings.attempt(appRepository, () => files.list(appRepository)) ?? [])
    .filter((entry) => entry.isFile() && entry.name.endsWith(".xml"))
    .map(({ name }) => ({ fullName: name.slice(0, -".xml".length), place: `${appRepository}/${name}` }))
    .filter(({ fullName }) => parsePackageName(fullName) !== undefined);
}

/** Below every user's Classes. */
const userRepository = "Local Settings\\Software\\Microsoft\\Windows\\CurrentVersion\\AppModel\\Repository\\Packages";

function collectPackageKeys(tree: RegistryTree, offer: Offer): void {
  for (const place of repositories(tree)) {
    for (const fullName of tree.subkeys(place)) {
      const parsed = parsePackageName(fullName);
      if (parsed === undefined || isFrameworkName(parsed.name) || isResourcePackage(parsed.resourceId)) continue;
      const path = `${place}\\${fullName}`;
      const values = tree.values(path);
      const folder = valueText(values, "PackageRootFolder");
      // Parts of Windows itself are registered like any package.
      if (folder !== undefined && /\\Windows\\/i.test(folder)) continue;
      const shown = valueText(values, "DisplayName");
      offer(fullName, path, {
        name: shown === undefined || /^(?:@\{|ms-resource:)/i.test(shown) ? parsed.name : shown,
        version: parsed.version,
        publisher: literalText(valueText(values, "PublisherDisplayName")),
        source: "msix",
        arch: parsed.arch,
        identifier: parsed.family,
        installedAt: undefined,
        size: undefined,
        path: folder,
        lastUsedAt: undefined,
      });
    }
  }
}

function repositories(tree: RegistryTree): string[] {
  const classes = tree.subkeys("HKEY_USERS").filter((name) => /_classes$/i.test(name));
  const places = [
    ...classes.map((name) => `HKEY_USERS\\${name}\\${userRepository}`),
    ...tree.below(`Classes\\${userRepository}`),
    `HKEY_CLASSES_ROOT\\${userRepository}`,
  ];
  return [...new Set(places)];
}

function isResourcePackage(resourceId: string): boolean {
  return resourceId === "~" || /^split\./i.test(resourceId);
}

function literalText(text: string | undefined): string | undefined {
  return text === undefined || /^(?:@\{|ms-resource:)/i.test(text) ? undefined : text;
}

export const msix = createMsixCollector({ disk: true });
