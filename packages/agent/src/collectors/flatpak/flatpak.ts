/**
 * Purpose: flatpak applications, installed for the whole system or for single users.
 * Invariants: one title per application, architecture and branch that is deployed (has `active`), per installation. The name is what
 * the application calls itself, the application id is the identifier; version and names come from flatpak's own deploy record,
 * else from the exported AppStream data.
 * On failure: a broken deployment keeps its title with what remains readable, and the rest is an error.
 */
import type { Collector } from "../collector.ts";
import { createFindings, rfc3339, type Findings } from "../findings.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";
import { appStreamPlaces, parseAppStream, type AppStream } from "./appstream.ts";
import { parseDeploy } from "./deploy.ts";

const systemInstallation = "/var/lib/flatpak";
const homes = ["/home", "/root", "/var/home"];
const userInstallation = ".local/share/flatpak";

export const flatpak: Collector = {
  name: "flatpak",
  platforms: ["linux"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    const seen = new Set<string>();
    for (const installation of installations(files, findings)) {
      const host = findings.attempt(installation, () => files.realPath(installation));
      if (host === undefined || seen.has(host)) continue; // /home is a link to /var/home on image-based systems
      seen.add(host);
      collectInstallation(installation, files, findings);
    }
    return findings.result();
  },
};

function installations(files: RootedFiles, findings: Findings): string[] {
  const users = homes.flatMap((place) => {
    if (place === "/root") return ["/root"];
    return directories(place, files, findings).map((name) => `${place}/${name}`);
  });
  return [systemInstallation, ...users.map((home) => `${home}/${userInstallation}`)];
}

function collectInstallation(installation: string, files: RootedFiles, findings: Findings): void {
  const applications = `${installation}/app`;
  for (const id of directories(applications, files, findings)) {
    for (const arch of directories(`${applications}/${id}`, files, findings)) {
      for (const branch of directories(`${applications}/${id}/${arch}`, files, findings)) {
        const place = `${applications}/${id}/${arch}/${branch}/active`;
        if (files.exists(place)) collectApplication(id, arch, place, files, findings);
      }
    }
  }
}

function collectApplication(id: string, arch: string, place: string, files: RootedFiles, findings: Findings): void {
  const deployFile = `${place}/deploy`;
  const deploy = findings.attempt(deployFile, () => parseDeploy(files.read(deployFile, 4 * 1024 * 1024)));
  const date = findings.attempt(deployFile, () => files.stat(deployFile).mtimeMs) ?? 0;
  const appStream = readAppStream(id, place, files, findings);
  findings.title(place, {
    name: deploy?.name ?? appStream?.name ?? desktopName(id, place, files, findings) ?? id,
    version: deploy?.version ?? appStream?.version,
    publisher: appStream?.developer,
    source: "flatpak",
    arch,
    identifier: id,
    size: deploy?.size,
    installedAt: rfc3339(date),
    path: place,
  });
}

function readAppStream(id: string, place: string, files: RootedFiles, findings: Findings): AppStream | undefined {
  for (const relative of appStreamPlaces(id)) {
    const path = `${place}/${relative}`;
    const found = findings.attempt(path, () => parseAppStream(files.read(path, 4 * 1024 * 1024)));
    if (found !== undefined) return found;
  }
  return undefined;
}

function desktopName(id: string, place: string, files: RootedFiles, findings: Findings): string | undefined {
  const path = `${place}/export/share/applications/${id}.desktop`;
  const text = findings.attempt(path, () => files.readText(path, 1024 * 1024));
  const entry = text?.split(/^\[/m).find((group) => group.startsWith("Desktop Entry]"));
  return entry === undefined ? undefined : /^Name=(.+)$/m.exec(entry)?.[1]?.trim();
}

function directories(place: string, files: RootedFiles, findings: Findings): string[] {
  return (findings.attempt(place, () => files.list(place)) ?? [])
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name);
}
