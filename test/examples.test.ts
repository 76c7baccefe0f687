/**
 * Purpose: what `examples/` promises. The starter policy has no faults and recognises real titles as what they are, and nothing else;
 * the example company is consistent in itself and with the policy; the sample inventories give the licences that the guide shows.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildDocuments, compileDictionary, compileRules, listLicenses, loadPolicies } from "@daicho/policy";
import { validateInventory, type Inventory, type Title } from "@daicho/protocol";
import { parse } from "csv-parse/sync";
import { describe, expect, it } from "vitest";

const folder = fileURLToPath(new URL("../examples/", import.meta.url));
const read = (name: string): string => readFileSync(folder + name, "utf8");

const enterpriseFile = { file: "enterprise.policy.yaml", text: read("enterprise.policy.yaml") };
const localFile = { file: "local.policy.yaml", text: read("company/local.policy.yaml") };
const loaded = loadPolicies([enterpriseFile, localFile]);
const policies = loaded.policies ?? [];
const { dictionary, licensePolicy } = buildDocuments({
  enterprise: policies.filter((p) => p.edition === "enterprise"),
  local: policies.filter((p) => p.edition === "local"),
  company: "aoba",
  dictionaryVersion: 1,
  generatedAt: "2026-11-21T00:00:00Z",
});
const recognizer = compileDictionary(dictionary.software);
const matcher = compileRules(licensePolicy);
const metrics = new Map(listLicenses(policies).map((license) => [license.code, license.metric ?? "device"]));

interface Facts {
  readonly titles: readonly Title[];
  readonly hits?: readonly { readonly probe: string; readonly found: Readonly<Record<string, string>> }[];
}

const codesOf = (facts: Facts): string[] => recognizer.recognizeInventory(facts).map((found) => found.code);
const licensesOf = (facts: Facts): string[] =>
  matcher
    .match(codesOf(facts))
    .licenses.map((hit) => hit.license)
    .sort();

const windows = (name: string, version = "", publisher?: string): Title => ({
  name,
  version,
  source: "msi",
  ...(publisher !== undefined && { publisher }),
});
const bundle = (identifier: string, name = identifier, version = "1.0"): Title => ({
  name,
  version,
  source: "app-bundle",
  identifier,
});
const packageOf = (source: string, name: string, version = "1.0"): Title => ({ name, version, source });
const dpkg = (name: string, version?: string): Title => packageOf("dpkg", name, version);
const rpm = (name: string, version?: string): Title => packageOf("rpm", name, version);
const brew = (name: string, version?: string): Title => packageOf("homebrew", name, version);
const flatpak = (identifier: string, name: string): Title => ({ name, version: "1.0", source: "flatpak", identifier });

/** A title found alone on a device, and exactly the licences it takes. */
const alone: readonly (readonly [Title, ...string[]])[] = [
  // Microsoft Office: the year and the edition decide
  [windows("Microsoft 365 Apps for enterprise - ja-jp", "16.0.18526.20144"), "@M365-ENT"],
  [windows("Microsoft Office 365 ProPlus - en-us"), "@M365-ENT"],
  [windows("Microsoft 365 Apps for business - de-de"), "@M365-BUS"],
  [windows("Microsoft 365 - ja-jp"), "@M365HOME"],
  [windows("Microsoft Office Professional Plus 2016"), "@MSOFF16PP"],
  [windows("Microsoft Office Professional Plus 2019 - en-us"), "@MSOFF19PP"],
  [windows("Microsoft Office LTSC Professional Plus 2021 - ja-jp"), "@MSOFF21PP"],
  [windows("Microsoft Office LTSC Professional Plus 2024 - ja-jp"), "@MSOFF24PP"],
  [windows("Microsoft Office Standard 2019 - ja-jp"), "@MSOFF19STD"],
  [windows("Microsoft Office Home and Business 2021 - ja-jp"), "@MSOFF21HB"],
  [windows("Microsoft Office Personal 2019 - ja-jp"), "@MSOFF19PSN"],
  [windows("Microsoft Excel 2019 - ja-jp"), "@MSEXCEL-APP"],
  [windows("Microsoft Access 2016"), "@MSACCESS-APP"],
  [windows("Microsoft Access database engine 2016 (English)")],
  [windows("Microsoft Office Proofing Tools 2016 - English")],
  [windows("Microsoft Visio LTSC Professional 2021 - en-us"), "@VISIO21PRO"],
  [windows("Microsoft Visio Standard 2019 - ja-jp"), "@VISIO19STD"],
  [windows("Microsoft Visio Viewer 2016")],
  [windows("Microsoft Project Professional 2021 - ja-jp"), "@PROJ21PRO"],
  // Microsoft servers and developer tools
  [windows("Microsoft SQL Server 2019 (64-bit)", "15.0.2000.5"), "@MSSQL19-UNKNOWN"],
  [windows("Microsoft SQL Server 2012 Native Client")],
  [windows("Microsoft SQL Server 2016 Policies ", "13.0.14500.10")],
  [windows("Microsoft System CLR Types for SQL Server 2017")],
  [windows("Microsoft SQL Server 2019 LocalDB"), "@MSSQLLOCAL-FREE"],
  [dpkg("mssql-server", "16.0.4165.4-1"), "@MSSQL22-UNKNOWN"],
  [rpm("mssql-server", "15.0.4405.4-1"), "@MSSQL19-UNKNOWN"],
  [windows("Visual Studio Professional 2022", "17.11.5"), "@VS-PRO"],
  [windows("Visual Studio Build Tools 2022", "17.11.5"), "@VSBT-TERMS"],
  [windows("Visual Studio Community 2022", "17.11.5"), "@VSCOM"],
  [windows("Microsoft Visual C++ 2015 Redistributable (x64) - 14.0.24212", "14.0.24212.0")],
  [windows("Microsoft Visual Studio Tools for Applications 2015")],
  [windows("Update for Microsoft Visual Studio 2015 (KB3095681)")],
  [windows("Microsoft Visual Studio Code (User)", "1.95.3"), "@VSCODE-FREE"],
  [windows("Microsoft Edge", "131.0.2903.51"), "@MSEDGE-FREE"],
  [windows("Microsoft Edge WebView2 Runtime", "131.0.2903.51")],
  // Adobe
  [windows("Adobe Photoshop 2025", "26.0.0.26"), "@ADPS-APP"],
  [windows("Adobe Photoshop Elements 2023", "21.0"), "@ADPSE"],
  [windows("Adobe Acrobat DC", "24.005.20307", "Adobe"), "@ADACR-PAID"],
  [windows("Adobe Acrobat XI Standard"), "@ADACRXSTD"],
  [windows("Adobe Acrobat Reader", "24.005.20307"), "@ADREADER-FREE"],
  [windows("Adobe Acrobat Reader DC - Japanese", "20.006.20042"), "@ADREADER-FREE"],
  [windows("Adobe Acrobat (64-bit)", "24.005.20307"), "@ADACR64-UNKNOWN"],
  [bundle("com.adobe.Acrobat.Pro", "Adobe Acrobat"), "@ADACR-PAID"],
  [bundle("com.adobe.Reader", "Adobe Acrobat Reader"), "@ADREADER-FREE"],
  [bundle("com.adobe.PremierePro.25", "Adobe Premiere Pro 2025"), "@ADPR-APP"],
  [windows("Adobe Genuine Service")],
  // Engineering
  [windows("AutoCAD 2024 - 日本語 (Japanese)"), "@ACAD-APP"],
  [windows("Autodesk AutoCAD LT 2025 - 日本語 (Japanese)"), "@ACADLT-APP"],
  [windows("DWG TrueView 2024 - English"), "@DWGTRUE-FREE"],
  [windows("Autodesk AutoCAD Performance Feedback Tool 1.3.12")],
  [windows("SOLIDWORKS 2023 SP05"), "@SOLIDWORKS"],
  [windows("SOLIDWORKS eDrawings 2023 SP05"), "@EDRAWINGS-FREE"],
  [windows("MATLAB R2023b"), "@MATLAB"],
  [windows("MATLAB Runtime R2023b"), "@MCRUNTIME-FREE"],
  [windows("Tableau 2023.3 (20233.23.1017.0948)"), "@TABLEAU-USER"],
  [windows("Tableau Reader 2023.3 (20233.23.1017.0948)"), "@TABFREE-FREE"],
  [windows("КОМПАС-3D v21"), "@KOMPAS"],
  [windows("КОМПАС-3D Viewer v21")],
  [windows("Wolfram Mathematica 13.3 (M-WIN-L 13.3.1 8430711)"), "@MATHEMATICA"],
  [windows("Mathematica Extras 13.3 (8430711)")],
  [windows("IBM SPSS Statistics 29.0.1.0"), "@SPSS"],
  [windows("IBM SPSS Statistics - Essentials for R")],
  // JetBrains
  [windows("IntelliJ IDEA 2024.3"), "@JBIDEA-APP"],
  [windows("IntelliJ IDEA Community Edition 2024.3"), "@JBIDEACE-FREE"],
  [packageOf("snap", "pycharm-community"), "@JBPYCHARMCE-FREE"],
  // Java: Oracle's, by update; everybody else's is something else
  [windows("Java SE Development Kit 8 Update 202 (64-bit)", "8.0.2020.8"), "@ORAJAVA-FREE"],
  [windows("Java SE Development Kit 8 Update 211 (64-bit)", "8.0.2110.12"), "@ORAJAVA-SE"],
  [windows("Java 8 Update 401 (64-bit)", "8.0.4010.10"), "@ORAJAVA-SE"],
  [windows("Java(TM) SE Development Kit 17.0.12 (64-bit)", "17.0.12.0"), "@ORAJAVA-FREE"],
  [windows("Java(TM) SE Development Kit 17.0.13 (64-bit)", "17.0.13.0"), "@ORAJAVA-SE"],
  [{ ...rpm("jdk-17", "2000:17.0.12-8"), publisher: "Oracle Corporation" }, "@ORAJAVA-FREE"],
  [{ ...rpm("jdk-21", "2000:21.0.5-9"), publisher: "Oracle Corporation" }, "@ORAJAVA-FREE"],
  [{ ...rpm("jdk-21", "2000:21.0.13-8"), publisher: "Oracle Corporation" }, "@ORAJAVA-SE"],
  [windows("Java(TM) SE Development Kit 21.0.13 (64-bit)", "21.0.13.0"), "@ORAJAVA-SE"],
  [rpm("java-17-openjdk-headless", "1:17.0.13.0.11-3.el9"), "@OPENJDK"],
  [dpkg("openjdk-17-jdk", "17.0.15+6-1~deb12u1"), "@OPENJDK"],
  [windows("Eclipse Temurin JDK with Hotspot 17.0.9+9 (x64)"), "@OPENJDKV"],
  // Japan, China, Korea, Russia
  [windows("ATOK Passport", "34.1.4"), "@ATOK"],
  [windows("JUST 一太郎2023"), "@ICHITARO"],
  [windows("一太郎ビューア")],
  [windows("弥生会計 24"), "@YAYOI"],
  [windows("秀丸エディタ (64bit版)", "9.38"), "@HIDEMARU"],
  [windows("DocuWorks Viewer Light 9.1"), "@DOCUWORKSVL-FREE"],
  [windows("ＤｏｃｕＷｏｒｋｓ ９．１"), "@DOCUWORKS"],
  [windows("WPS Office (12.1.0.15990)"), "@WPSOFFICE"],
  [windows("微信", "3.9.12.17", "腾讯科技(深圳)有限公司"), "@WECHAT-FREE"],
  [windows("360安全卫士", "13.0.0.2009", "360安全中心"), "@QIHOO360-FREE"],
  [windows("搜狗输入法 13.7正式版"), "@SOGOU-FREE"],
  [windows("한컴오피스 2022"), "@HANCOM"],
  [windows("1C:Предприятие 8 (x86-64) (8.3.16.1063)", "8.3.16.1063", "1С-Софт"), "@ONEC"],
  [windows("1С:Предприятие 8 (учебная версия) (8.3.21.1393)"), "@ONECEDU-FREE"],
  [windows("Kaspersky Endpoint Security для Windows"), "@KASPERSKY"],
  [windows("ESET Endpoint Security", "11.1.2039.2"), "@ESET"],
  [windows("ESET Endpoint Encryption", "5.1.2")],
  [windows("Symantec Endpoint Protection Manager", "14.3.558.0000")],
  [windows("КриптоПро CSP"), "@CRYPTOPRO"],
  [dpkg("kesl", "11.4.0-1096"), "@KASPERSKY"],
  // Virtual machines and clouds
  [windows("Docker Desktop", "4.36.0"), "@DOCKERD-USER"],
  [dpkg("docker.io", "20.10.24+dfsg1-1"), "@DOCKERE-FREE"],
  [bundle("com.parallels.desktop.console", "Parallels Desktop"), "@PARALLELS"],
  [{ ...rpm("redhat-release", "9.4-0.5.el9"), publisher: "Red Hat, Inc." }, "@RHEL"],
  [{ ...rpm("redhat-release", "9.4-1.0.8.el9"), publisher: "Oracle America" }],
  [dpkg("terraform", "1.5.7-1"), "@TERRAFORM-FREE"],
  [dpkg("terraform", "1.9.8-1"), "@TERRAFORMBSL-TERMS"],
  // Free software, on every system
  [windows("LibreOffice 7.6.4.1", "7.6.4.1"), "@LIBO"],
  [windows("LibreOffice 7.6 Help Pack (Japanese)", "7.6.4.1")],
  [dpkg("libreoffice-core", "4:7.4.7-1+deb12u5"), "@LIBO"],
  [rpm("libreoffice-core", "1:24.8.2.1-1.fc41"), "@LIBO"],
  [{ ...flatpak("org.libreoffice.LibreOffice", "LibreOffice"), version: "24.8.3.2" }, "@LIBO"],
  [windows("Mozilla Firefox (x64 ja)", "132.0.2"), "@FIREFOX-FREE"],
  [windows("Mozilla Maintenance Service", "132.0.2")],
  [flatpak("org.videolan.VLC", "VLC"), "@VLC-FREE"],
  [windows("7-Zip 23.01 (x64)"), "@SEVENZIP-FREE"],
  [windows("7-Zip ZS 19.00 ZS v1.4.5 R2 (x64)")],
  [windows("Python 3.12.1 (64-bit)"), "@PYTHON3-FREE"],
  [windows("Python 3.12.10 (64-bit)"), "@PYTHON3-FREE"],
  [windows("Python 3.12.1 pip Bootstrap (64-bit)")],
  [windows("Python Launcher")],
  [windows("Git", "2.47.0", "The Git Development Community"), "@GIT-FREE"],
  [dpkg("mariadb-server", "1:10.11.6-0+deb12u1"), "@MARIADB"],
  [brew("postgresql@16", "16.4_1"), "@PGSQL"],
  [dpkg("postgresql-client-15", "15.10-0+deb12u1")],
  [dpkg("redis-server", "5:7.0.15-1~deb12u1"), "@REDIS-FREE"],
  [dpkg("redis-server", "6:7.4.1-1rl1~bookworm1"), "@REDISSA-TERMS"],
  [dpkg("slack", "1:0.15.2-11")],
  [dpkg("notion", "4+2024-1")],
  [dpkg("vim-common", "2:9.0.1378-2")],
  [dpkg("gcc-12-base", "12.2.0-14")],
  [packageOf("apk", "nginx", "1.26.2-r0"), "@NGINX-FREE"],
  [packageOf("pacman", "jdk17-openjdk", "17.0.13.u11-1"), "@OPENJDK"],
];

describe("the starter enterprise policy", () => {
  it("has no faults, alone and together with the local one", () => {
    expect(loaded.faults).toEqual([]);
    expect(loadPolicies([enterpriseFile]).faults).toEqual([]);
    expect(recognizer.faults).toEqual([]);
  });

  it("defines products of every kind of system, each with a readable code", () => {
    const enterprise = policies.find((p) => p.edition === "enterprise");
    expect(enterprise).toMatchObject({ id: "group-standard", version: 1 });
    const software = enterprise?.software ?? [];
    expect(software.length).toBeGreaterThanOrEqual(180);
    for (const { definition } of software) expect(definition.code).toMatch(/^@[A-Z0-9]{2,16}$/);
    const names = software.map(({ definition }) => definition.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it("uses AND, OR and NOT, and every metric that an installation can be counted by", () => {
    const rules = licensePolicy.rules.map((r) => r.rule).join("\n");
    for (const word of [" AND ", " OR ", " NOT "]) expect(rules).toContain(word);
    expect(new Set(metrics.values())).toEqual(new Set(["device", "user", "core", "processor", "free"]));
  });

  it("refers in its rules only to codes that exist", () => {
    const known = new Set([...recognizer.codes, ...matcher.licenses]);
    const yielded = new Set(licensePolicy.rules.map((r) => r.rule.split("=").at(-1)?.trim() ?? ""));
    for (const { rule } of licensePolicy.rules)
      for (const code of rule.match(/@[\w.-]+/g) ?? []) expect(known.has(code) || yielded.has(code), code).toBe(true);
  });

  it.each(
    alone.map(([title, ...licenses]) => [`${title.source}: ${title.name} ${title.version}`, title, licenses] as const),
  )("takes %s for what it is", (_, title, licenses) => {
    expect(licensesOf({ titles: [title] })).toEqual([...licenses].sort());
  });
});

describe("suites and editions of the starter policy", () => {
  const mac = (...names: string[]): Title[] => names.map((name) => bundle(`com.microsoft.${name}`));

  it("counts Word, Excel and PowerPoint on a Mac as one suite, with Outlook and OneNote in it (§2: consumption)", () => {
    expect(licensesOf({ titles: mac("Word", "Excel", "Powerpoint", "Outlook", "onenote.mac") })).toEqual(["@M365-ENT"]);
    expect(licensesOf({ titles: mac("Word", "Excel") })).toEqual(["@MSEXCEL-APP", "@MSWORD-APP"]);
  });

  it("takes the same programs with a volume licence file for Office for Mac", () => {
    const path = "/Library/Preferences/com.microsoft.office.licensingV2.plist";
    const hits = [{ probe: `file(path = "${path}")`, found: { path } }];
    expect(recognizer.probeIndex(`file(path = "${path}")`)).toBeDefined();
    expect(licensesOf({ titles: mac("Word", "Excel", "Powerpoint"), hits })).toEqual(["@MSOFFMAC-ALL"]);
  });

  it("does not count a single program beside the Microsoft 365 suite", () => {
    const titles = [windows("Microsoft 365 Apps for enterprise - ja-jp"), windows("Microsoft Excel 2019 - ja-jp")];
    expect(licensesOf({ titles })).toEqual(["@M365-ENT"]);
  });

  it("counts three big Adobe programs as All Apps, with the rest, and two as single ones", () => {
    const [ps, ai, id, lr] = ["Photoshop 2025", "Illustrator 2025", "InDesign 2025", "Lightroom Classic"].map((n) =>
      windows(`Adobe ${n}`),
    ) as [Title, Title, Title, Title];
    expect(licensesOf({ titles: [ps, ai, id, lr, windows("Adobe Acrobat DC")] })).toEqual(["@ADCC-ALL"]);
    expect(licensesOf({ titles: [ps, ai] })).toEqual(["@ADAI-APP", "@ADPS-APP"]);
  });

  it("tells Acrobat from Reader by the registry where the title does not", () => {
    const key = "HKLM\\\\SOFTWARE\\\\Adobe\\\\Adobe Acrobat\\\\DC\\\\Installer";
    const reader = `registry(key = "${key}", value = "SCAPackageLevel", data = "1")`;
    const paid = `registry(key = "${key}", value = "SCAPackageLevel", data >= "2")`;
    const titles = [windows("Adobe Acrobat (64-bit)")];
    for (const probe of [reader, paid]) expect(recognizer.probeIndex(probe), probe).toBeDefined();
    expect(licensesOf({ titles, hits: [{ probe: reader, found: { data: "1" } }] })).toEqual(["@ADREADER-FREE"]);
    expect(licensesOf({ titles, hits: [{ probe: paid, found: { data: "3" } }] })).toEqual(["@ADACR-PAID"]);
  });

  it("does not count SQL Server Developer or Express as Standard", () => {
    const titles = [windows("Microsoft SQL Server 2019 (64-bit)")];
    const probeOf = (edition: string): string =>
      `registry(key ~ "HKLM\\\\SOFTWARE\\\\Microsoft\\\\Microsoft SQL Server\\\\MSSQL15.*\\\\Setup", value = "Edition", data ~ "${edition}")`;
    const counted = (edition: string): string[] => {
      expect(recognizer.probeIndex(probeOf(edition)), edition).toBeDefined();
      return licensesOf({ titles, hits: [{ probe: probeOf(edition), found: { data: edition } }] });
    };
    expect(counted("*Developer Edition*")).toEqual(["@MSSQLDEV-FREE"]);
    expect(counted("Express Edition*")).toEqual(["@MSSQLEXP-FREE"]);
    expect(counted("Standard Edition*")).toEqual(["@MSSQL19-STD"]);
    expect(counted("Enterprise Edition*")).toEqual(["@MSSQL19-ENT"]);
  });

  it("counts the collections of Autodesk and JetBrains once", () => {
    const acad = windows("AutoCAD 2025 - 日本語 (Japanese)");
    const inventor = windows("Autodesk Inventor Professional 2025 - 日本語 (Japanese)");
    expect(licensesOf({ titles: [acad, inventor] })).toEqual(["@PDM-ALL"]);
    expect(licensesOf({ titles: [acad, windows("Autodesk Revit 2025")] })).toEqual(["@ACAD-APP", "@REVIT-APP"]);
    const ides = [windows("IntelliJ IDEA 2024.3"), windows("WebStorm 2024.3"), windows("DataGrip 2024.3")];
    expect(licensesOf({ titles: ides })).toEqual(["@JB-ALL"]);
  });
});

describe("the example company's local policy", () => {
  it("builds on enterprise licences and leaves them to be counted (§2: shares)", () => {
    const plugin = windows("青葉 設計プラグイン for AutoCAD", "3.1");
    expect(licensesOf({ titles: [plugin, windows("AutoCAD 2025 - 日本語 (Japanese)")] })).toEqual([
      "@ACAD-APP",
      "@AOBA-DESIGN",
    ]);
    expect(licensesOf({ titles: [plugin] })).toEqual([]);
  });
});

describe("on a Debian developer machine", () => {
  // What `apt install build-essential git vim curl …` and a few services leave behind.
  const packages = `bash=5.2.15-2+b8 build-essential=12.9 cmake=3.25.1-1 curl=7.88.1-10+deb12u14 erlang-base=1:25.2.3+dfsg-1
    g++-12=12.2.0-14 gawk=1:5.2.1-2 gcc=4:12.2.0-3 gcc-12=12.2.0-14 gdb=13.1-3 gettext=0.21-12 git=1:2.39.5-0 gnupg=2.2.40-1.1
    jq=1.6-2.1 libssl3=3.0.19-1 llvm-14=1:14.0.6-12 make=4.3-4.1 mariadb-server=1:10.11.19-0+deb12u1 maven=3.8.7-1
    mosquitto=2.0.11-1.2 ninja-build=1.11.1-2 nodejs=20.20.2-1nodesource1 openjdk-17-jdk=17.0.15+6-1 openssh-client=1:9.2p1-2
    openssl=3.0.19-1 perl=5.36.0-7 postgresql-15=15.20-0+deb12u1 python3=3.11.2-1+b1 python3.11=3.11.2-6 rabbitmq-server=3.10.8-1.1
    redis-server=5:7.0.15-1 rsync=3.5.0 socat=1.7.4.4-2 sqlite3=3.40.1-2 strace=6.1-0.1 systemd=252.38-1 tcl8.6=8.6.13 tmux=3.3a-3
    universal-ctags=5.9 valgrind=1:3.19.0-1 vim=2:9.0.1378-2 wget=1.21.3-1 zstd=1.5.4`;

  it("recognises at least 25 products, and nothing that has to be paid", () => {
    const titles = packages.split(/\s+/).map((entry) => {
      const at = entry.indexOf("=");
      return dpkg(entry.slice(0, at), entry.slice(at + 1));
    });
    const licenses = licensesOf({ titles });
    expect(licenses.length).toBeGreaterThanOrEqual(25);
    expect(licenses.filter((license) => metrics.get(license) !== "free")).toEqual([]);
  });
});

describe("the sample inventories", () => {
  const inventory = (name: string): Inventory => {
    const result = validateInventory(JSON.parse(read(`inventories/${name}.json`)));
    if (!result.ok) throw new Error(JSON.stringify(result.faults));
    return result.value;
  };
  const paid = (name: string): string[] =>
    licensesOf({ titles: inventory(name).software }).filter((license) => metrics.get(license) !== "free");

  it("are inventories of the contract's form, of devices in the company's ledger", () => {
    const serials = new Set(rows("devices").map((row) => row["serial"]));
    for (const file of readdirSync(folder + "inventories"))
      expect(serials).toContain(inventory(file.replace(/\.json$/, "")).device.serial);
  });

  it("give the licences that their machines use", () => {
    expect(paid("windows-notebook")).toEqual(
      "@ADACR-PAID @AOBA-MITSU @APEXONE @ATOK @DOCUWORKS @FUDEMAME @HIDEMARU @M365-ENT @ORAJAVA-SE @YAYOI @ZOOM-USER".split(
        " ",
      ),
    );
    expect(paid("mac")).toEqual("@ADPS-APP @DOCKERD-USER @JB-ALL @M365-ENT @SLACK-USER @ZOOM-USER".split(" "));
    expect(paid("linux-server")).toEqual(["@AOBA-KENSA", "@MSSQL19-UNKNOWN"]);
  });
});

const headers = {
  departments: "code,name,parent,costCentre,manager",
  employees: "id,name,mail,department,title,manager",
  devices: "id,hostname,serial,employee,department,manager,state",
  entitlements:
    "license,metric,quantity,unitPrice,currency,purchasedAt,startsAt,expiresAt,rights,contract,order,department",
  rights: "department,license,rights,required",
} as const;

type Row = Readonly<Record<string, string>>;

function rows(name: keyof typeof headers): readonly Row[] {
  return parse<Row>(read(`company/${name}.csv`), { columns: true });
}

const column = (name: keyof typeof headers, field: string): readonly string[] =>
  rows(name).map((row) => row[field] ?? "");

describe("the example company", () => {
  const departments = new Set(column("departments", "code"));
  const employees = new Set(column("employees", "id"));

  it("has the headers of the contract, and no row twice", () => {
    for (const [name, header] of Object.entries(headers))
      expect(read(`company/${name}.csv`).split("\n")[0]).toBe(header);
    for (const [name, key] of [
      ["departments", "code"],
      ["employees", "id"],
      ["employees", "mail"],
      ["devices", "id"],
      ["devices", "serial"],
    ] as const)
      expect(new Set(column(name, key)).size, `${name}.${key}`).toBe(rows(name).length);
  });

  it("is a tree three deep, under one department", () => {
    const parents = new Map(rows("departments").map((row) => [row["code"] ?? "", row["parent"] ?? ""]));
    const depth = (code: string): number => (code === "" ? 0 : 1 + depth(parents.get(code) ?? ""));
    for (const parent of parents.values()) expect(parent === "" || departments.has(parent), parent).toBe(true);
    expect([...parents.values()].filter((parent) => parent === "")).toHaveLength(1);
    expect(Math.max(...[...departments].map(depth))).toBe(3);
  });

  it("refers only to departments, employees and licences that exist", () => {
    const licenses = new Set(matcher.licenses);
    const known = (name: keyof typeof headers, field: string, set: ReadonlySet<string>, optional = false): void => {
      for (const value of column(name, field))
        expect((optional && value === "") || set.has(value), `${name}.${field} ${value}`).toBe(true);
    };
    known("departments", "manager", employees);
    known("employees", "department", departments);
    known("employees", "manager", employees, true);
    known("devices", "employee", employees, true);
    known("devices", "department", departments);
    known("devices", "manager", employees);
    known("devices", "state", new Set(["in-use", "idle", "disposed"]));
    known("entitlements", "license", licenses);
    known("entitlements", "department", departments);
    known("rights", "department", departments);
    known("rights", "license", licenses);
  });

  it("bought licences by the metric that the policy counts them by, in whole yen", () => {
    for (const row of rows("entitlements")) {
      expect(row["metric"], row["license"]).toBe(metrics.get(row["license"] ?? ""));
      expect(row["quantity"]).toMatch(/^[1-9]\d*$/);
      expect(row["unitPrice"]).toMatch(/^\d+$/);
      expect(row["currency"]).toBe("JPY");
      for (const field of ["purchasedAt", "startsAt"]) expect(row[field]).toMatch(/^\d{4}-\d{2}-\d{2}$/);
      if (row["expiresAt"] !== "") expect((row["expiresAt"] ?? "") > (row["startsAt"] ?? "")).toBe(true);
    }
  });

  it("grants no more rights than it holds (§3), one row per department and licence", () => {
    const day = "2026-11-21";
    const held = new Map<string, number>();
    for (const row of rows("entitlements")) {
      if ((row["startsAt"] ?? "") > day || (row["expiresAt"] !== "" && (row["expiresAt"] ?? "") < day)) continue;
      held.set(row["license"] ?? "", (held.get(row["license"] ?? "") ?? 0) + Number(row["quantity"]));
    }
    const granted = new Map<string, number>();
    for (const row of rows("rights"))
      granted.set(row["license"] ?? "", (granted.get(row["license"] ?? "") ?? 0) + Number(row["rights"]));
    for (const [license, sum] of granted) expect(sum, license).toBeLessThanOrEqual(held.get(license) ?? 0);
    const pairs = rows("rights").map((row) => `${row["department"]} ${row["license"]}`);
    expect(new Set(pairs).size).toBe(pairs.length);
  });
});

describe("the guide to writing a policy", () => {
  const guide = readFileSync(fileURLToPath(new URL("../docs/guides/writing-a-policy.md", import.meta.url)), "utf8");
  const text = /```yaml\n([^]*?)```/.exec(guide)?.[1] ?? "";
  const lesson = loadPolicies([{ file: "guide", text }]);

  it("shows a policy without faults that does what the guide says of it", () => {
    expect(lesson.faults).toEqual([]);
    const built = buildDocuments({
      enterprise: lesson.policies ?? [],
      company: "x",
      dictionaryVersion: 1,
      generatedAt: "2026-11-21T00:00:00Z",
    });
    const codes = compileDictionary(built.dictionary.software);
    const rules = compileRules(built.licensePolicy);
    const counted = (...titles: Title[]): string[] =>
      rules.match(codes.recognizeInventory({ titles }).map((found) => found.code)).licenses.map((hit) => hit.license);
    const word = windows("WordPro 5.1", "5.1", "Example Software");
    expect(counted(word, bundle("com.example.sheetpro"))).toEqual(["@PROSUITE"]);
    expect(counted(word)).toEqual(["@WORDPRO-APP"]);
    expect(counted(dpkg("wordpro", "4:6.2-1"))).toEqual(["@WORDPRO-APP"]);
    expect(counted(dpkg("wordpro", "4:7.0-1"))).toEqual([]);
    expect(counted(bundle("com.example.sheetpro"))).toEqual(["@SHEETPRO-APP"]);
  });
});
