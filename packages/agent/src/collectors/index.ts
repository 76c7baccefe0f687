/**
 * Purpose: the list of collectors. Whoever adds a source of titles adds a folder and one line here.
 */
import { apk } from "./apk/apk.ts";
import { appBundle } from "./app-bundle/index.ts";
import type { Collector } from "./collector.ts";
import { dpkg } from "./dpkg/dpkg.ts";
import { flatpak } from "./flatpak/flatpak.ts";
import { homebrew } from "./homebrew/homebrew.ts";
import { msix } from "./msix/index.ts";
import { pacman } from "./pacman/pacman.ts";
import { registry } from "./registry/index.ts";
import { rpm } from "./rpm/rpm.ts";
import { snap } from "./snap/snap.ts";
import { swid } from "./swid/swid.ts";

export const collectors: readonly Collector[] = [
  dpkg,
  rpm,
  apk,
  pacman,
  flatpak,
  snap,
  homebrew,
  appBundle,
  registry,
  msix,
  swid,
];

export * from "./collector.ts";
