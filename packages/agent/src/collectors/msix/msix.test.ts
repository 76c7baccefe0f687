import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import type { CollectResult } from "../collector.ts";
import { Fault } from "../findings.ts";
import { msix } from "./index.ts";
import { parseManifest } from "./manifest.ts";
import { isFrameworkName, parsePackageName } from "./package-name.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "msix-"))));
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, content: string | Buffer): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

const collect = async (...registryFiles: string[]): Promise<CollectResult> =>
  msix.collect({ root, live: false, platform: "linux", registryFiles, env: {}, clock: systemClock });

interface ManifestText {
  readonly name?: string;
  readonly display?: string;
  readonly publisher?: string;
  readonly distinguished?: string;
  readonly extra?: string;
}

/** As MakeAppx writes it: default name space, uap prefixes, a byte order mark. */
const manifest = ({
  name = "Contoso.Note",
  display = "Note",
  publisher = "Contoso",
  distinguished = "CN=Contoso Ltd., O=Contoso",
  extra = "",
}: ManifestText): string =>
  `\ufeff<?xml version="1.0" encoding="utf-8"?>
<Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10" xmlns:uap="http://schemas.microsoft.com/appx/manifest/uap/windows10" IgnorableNamespaces="uap">
  <Identity Name="${name}" Publisher="${distinguished}" Version="1.2.3.0" ProcessorArchitecture="x64" />
  <Properties><DisplayName>${display}</DisplayName><PublisherDisplayName>${publisher}</PublisherDisplayName>${extra}</Properties>
  <Applications><Application Id="App"><uap:VisualElements DisplayName="other" /></Application></Applications>
</Package>`;

const apps = "Program Files/WindowsApps";

describe("MSIX packages", () => {
  it("are read from the manifests below WindowsApps; frameworks, resources, optional packages and bundles are no titles", async () => {
    put(
      `${apps}/Contoso.Note_1.2.3.0_x64__8wekyb3d8bbwe/AppxManifest.xml`,
      manifest({ display: "メモ &amp; ノート", publisher: "株式会社コントソ" }),
    );
    put(
      `${apps}/Microsoft.VCLibs.140.00_14.0.30704.0_x64__8wekyb3d8bbwe/AppxManifest.xml`,
      manifest({ extra: "<Framework>true</Framework>" }),
    );
    put(
      `${apps}/Contoso.Note_1.2.3.0_neutral_split.scale-100_8wekyb3d8bbwe/AppxManifest.xml`,
      manifest({ extra: "<ResourcePackage>true</ResourcePackage>" }),
    );
    put(
      `${apps}/Contoso.Stickers_1.0.0.0_x64__8wekyb3d8bbwe/AppxManifest.xml`,
      manifest({
        extra: `</Properties><Dependencies><uap:MainPackageDependency Name="Contoso.Note"/></Dependencies><Properties>`,
      }),
    );
    put(`${apps}/Contoso.Note_1.2.3.0_neutral_~_8wekyb3d8bbwe/AppxMetadata/AppxBundleManifest.xml`, "<Bundle/>");
    put(`${apps}/MutableBackup/x`, "");
    const { titles, errors } = await collect();
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      {
        name: "メモ & ノート",
        version: "1.2.3.0",
        publisher: "株式会社コントソ",
        source: "msix",
        arch: "x64",
        identifier: "Contoso.Note_8wekyb3d8bbwe",
        path: "/Program Files/WindowsApps/Contoso.Note_1.2.3.0_x64__8wekyb3d8bbwe",
      },
    ]);
  });

  it("are called by their identity where the name is only a reference into resources", () => {
    const text = manifest({ display: "ms-resource:AppName", publisher: "ms-resource:Publisher" });
    expect(parseManifest(Buffer.from(text))).toMatchObject({
      name: "Contoso.Note",
      displayName: "Contoso.Note",
      publisher: "Contoso Ltd.",
    });
    const store = manifest({ publisher: "ms-resource:P", distinguished: "CN=F2F5D4A1-3C5B-4E6D-8F7A-9B0C1D2E3F40" });
    expect(parseManifest(Buffer.from(store)).publisher).toBeUndefined();
  });

  it("are read from AppRepository where there is no WindowsApps folder", async () => {
    put("ProgramData/Microsoft/Windows/AppRepository/Contoso.Note_1.2.3.0_x64__8wekyb3d8bbwe.xml", manifest({}));
    put("ProgramData/Microsoft/Windows/AppRepository/StateRepository-Machine.srd", "sqlite");
    expect((await collect()).titles.map((t) => [t.name, t.version, t.path])).toEqual([["Note", "1.2.3.0", undefined]]);
  });

  it("are read from the registry's package repositories, each package once", async () => {
    const repository = "Local Settings\\Software\\Microsoft\\Windows\\CurrentVersion\\AppModel\\Repository\\Packages";
    const key = (fullName: string, values: string, user = "S-1-5-21-1-2-3-1001_Classes"): string =>
      `[HKEY_USERS\\${user}\\${repository}\\${fullName}]\n${values}\n`;
    const calculator = "Microsoft.WindowsCalculator_11.2210.0.0_x64__8wekyb3d8bbwe";
    const file = put(
      "users.reg",
      "Windows Registry Editor Version 5.00\n\n" +
        key(
          calculator,
          `"DisplayName"="@{${calculator}?ms-resource://Microsoft.WindowsCalculator/Resources/AppStoreName}"\n"PackageRootFolder"="C:\\\\Program Files\\\\WindowsApps\\\\${calculator}"`,
        ) +
        key(calculator, "", "S-1-5-21-1-2-3-1002_Classes") +
        key("Contoso.Note_1.2.3.0_x64__8wekyb3d8bbwe", '"DisplayName"="メモ"') +
        key("Microsoft.VCLibs.140.00_14.0.30704.0_x64__8wekyb3d8bbwe", "") +
        key("Contoso.Note_1.2.3.0_neutral_split.language-ja_8wekyb3d8bbwe", "") +
        key(
          "Microsoft.Windows.Search_1.15.0.22000_neutral_neutral_cw5n1h2txyewy",
          '"PackageRootFolder"="C:\\\\Windows\\\\SystemApps\\\\Search"',
        ) +
        `[HKEY_CURRENT_USER\\Software\\Classes\\${repository}\\Contoso.Draw_2.0.0.0_arm64__8wekyb3d8bbwe]\n`,
    );
    put(
      `${apps}/Contoso.Note_1.2.3.0_x64__8wekyb3d8bbwe/AppxManifest.xml`,
      manifest({ display: "Note of the manifest" }),
    );
    const { titles, errors } = await collect(file);
    expect(errors).toEqual([]);
    expect(titles.map((t) => [t.name, t.version, t.arch, t.identifier])).toEqual([
      ["Note of the manifest", "1.2.3.0", "x64", "Contoso.Note_8wekyb3d8bbwe"],
      ["Microsoft.WindowsCalculator", "11.2210.0.0", "x64", "Microsoft.WindowsCalculator_8wekyb3d8bbwe"],
      ["Contoso.Draw", "2.0.0.0", "arm64", "Contoso.Draw_8wekyb3d8bbwe"],
    ]);
  });

  it("with a broken manifest are errors with their place, and cost no other package", async () => {
    const broken = `${apps}/Contoso.Note_1.2.3.0_x64__8wekyb3d8bbwe/AppxManifest.xml`;
    put(broken, "<Package><Identity");
    put(
      `${apps}/Contoso.Draw_1.2.3.0_x64__8wekyb3d8bbwe/AppxManifest.xml`,
      manifest({ name: "Contoso.Draw", display: "Draw" }),
    );
    const { titles, errors } = await collect();
    expect(titles.map((t) => t.name)).toEqual(["Draw"]);
    expect(errors.map((e) => [e.path, e.code])).toEqual([[`/${broken}`, "malformed"]]);
  });

  it("give a Fault and nothing else for garbage (quality.md: garbage in every parser)", () => {
    const whole = Buffer.from(manifest({}));
    const attempt = (bytes: Buffer): void => {
      try {
        parseManifest(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
      }
    };
    fc.assert(fc.property(fc.nat(whole.length), (length) => attempt(whole.subarray(0, length))));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(whole);
        changed[at] = byte;
        attempt(changed);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => attempt(Buffer.from(text))));
  });
});

describe("a package's full name", () => {
  it("is taken apart, and nothing else passes for one", () => {
    expect(parsePackageName("Microsoft.WindowsCalculator_11.2210.0.0_x64__8wekyb3d8bbwe")).toEqual({
      name: "Microsoft.WindowsCalculator",
      version: "11.2210.0.0",
      arch: "x64",
      resourceId: "",
      family: "Microsoft.WindowsCalculator_8wekyb3d8bbwe",
    });
    for (const other of [
      "",
      "7-Zip",
      "A_1_x64__8wekyb3d8bbwe",
      "Abc_1.0.0.0_x64_8wekyb3d8bbwe",
      "Abc_1.0.0.0_x64__short",
    ]) {
      expect(parsePackageName(other), other).toBeUndefined();
    }
    expect(isFrameworkName("Microsoft.UI.Xaml.2.8")).toBe(true);
    expect(isFrameworkName("Microsoft.Paint")).toBe(false);
  });
});
