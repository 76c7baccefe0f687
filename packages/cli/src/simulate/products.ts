/**
 * Purpose: the titles of the made-up fleet: real products that the starter policy recognises (about twenty licences per device) and as
 * many invented ones as a fleet of this size has, each in the versions of twelve update waves.
 */
import type { TitleText } from "@daicho/protocol";

export const waves = 12;

/** Name (`{v}` = version), publisher, source, version before the wave's own number. */
type RealProduct = readonly [name: string, publisher: string, source: string, version: string];

export const realProducts: readonly RealProduct[] = [
  ["Microsoft 365 Apps for enterprise - ja-jp", "Microsoft Corporation", "registry", "16.0.185"],
  ["Microsoft Edge", "Microsoft Corporation", "msi", "131.0.29"],
  ["Microsoft OneDrive", "Microsoft Corporation", "registry", "24.206.10"],
  ["Microsoft Teams", "Microsoft Corporation", "registry", "24.2950."],
  ["Google Chrome", "Google LLC", "msi", "131.0.67"],
  ["Mozilla Firefox (x64 ja)", "Mozilla", "registry", "132.0."],
  ["Mozilla Thunderbird (x64 ja)", "Mozilla", "registry", "128.4."],
  ["7-Zip {v} (x64)", "Igor Pavlov", "registry", "23."],
  ["Adobe Acrobat DC", "Adobe", "msi", "24.005.203"],
  ["Adobe Acrobat Reader - Japanese", "Adobe", "msi", "24.004.202"],
  ["Zoom Workplace (64-bit)", "Zoom", "msi", "6.2.100"],
  ["Slack", "Slack Technologies Inc.", "registry", "4.41."],
  ["Webex", "Cisco Systems, Inc", "msi", "44.11."],
  ["Cisco AnyConnect Secure Mobility Client", "Cisco Systems, Inc.", "msi", "4.10.0"],
  ["Java 8 Update 401 (64-bit)", "Oracle Corporation", "msi", "8.0.40"],
  ["Amazon Corretto (x64)", "Amazon.com Inc.", "msi", "17.0."],
  ["ATOK Passport", "株式会社ジャストシステム", "msi", "34.1."],
  ["弥生会計 24", "弥生株式会社", "msi", "30.1."],
  ["勘定奉行クラウド", "株式会社オービックビジネスコンサルタント", "registry", "1."],
  ["DocuWorks 9.1", "富士フイルムビジネスイノベーション株式会社", "msi", "9.1."],
  ["筆まめVer.33", "筆まめ", "msi", "33.00."],
  ["SKYSEA Client View", "Sky株式会社", "msi", "19.1."],
  ["Microsoft Visio Professional 2021 - ja-jp", "Microsoft Corporation", "registry", "16.0.143"],
  ["Microsoft Project Standard 2021 - ja-jp", "Microsoft Corporation", "registry", "16.0.143"],
  ["Microsoft PowerBI Desktop (x64)", "Microsoft Corporation", "msi", "2.137."],
  ["Microsoft SQL Server Management Studio - 20.{v}", "Microsoft Corporation", "registry", "20.2."],
  ["Microsoft Visual Studio Code", "Microsoft Corporation", "registry", "1.95."],
  ["Visual Studio Professional 2022", "Microsoft Corporation", "registry", "17.11."],
  ["PowerShell 7-x64", "Microsoft Corporation", "msi", "7.4."],
  ["Docker Desktop", "Docker Inc.", "registry", "4.35."],
  ["Adobe Photoshop 2025", "Adobe Inc.", "registry", "26.0."],
  ["Adobe Illustrator 2025", "Adobe Inc.", "registry", "29.0."],
  ["Adobe Creative Cloud", "Adobe Inc.", "registry", "6.4."],
  ["AutoCAD LT 2025 - 日本語 (Japanese)", "Autodesk", "registry", "31.0."],
  ["Revit 2025", "Autodesk", "registry", "25.0."],
  ["Tableau 2024.{v}", "Tableau Software", "registry", "24.2."],
  ["IntelliJ IDEA 2024.{v}", "JetBrains s.r.o.", "registry", "242.2"],
  ["DBeaver 24.{v}", "DBeaver Corp", "registry", "24.2."],
  ["RStudio", "Posit Software", "registry", "2024.09."],
  ["MATLAB R2024b", "MathWorks", "registry", "24.2."],
  ["SAP GUI for Windows 8.00", "SAP SE", "registry", "8.0."],
  ["Citrix Workspace 2405", "Citrix Systems, Inc.", "msi", "24.5."],
  ["VMware Horizon Client", "VMware, Inc.", "msi", "8.13."],
  ["LibreOffice 24.8.{v}.2", "The Document Foundation", "msi", "24.8."],
  ["1С:Предприятие 8 (8.3.24.{v})", "1С-Софт", "msi", "8.3.24."],
  ["企业微信", "腾讯科技(深圳)有限公司", "registry", "4.1."],
];

export function realTitle(product: number, wave: number): TitleText {
  const [name, publisher, source, version] = realProducts[product] ?? ["", "", "", ""];
  return [source, name.replace("{v}", String(wave)), `${version}${wave}`, publisher, "x64", null];
}

const first = [
  "Alpha",
  "Blue",
  "Cobalt",
  "Delta",
  "Ever",
  "Fine",
  "Grand",
  "Hyper",
  "Inter",
  "Kansai",
  "Lumen",
  "Micro",
  "Nova",
  "Omni",
  "Prime",
  "Quick",
];
const second = [
  "Ledger",
  "Print",
  "Scan",
  "Driver",
  "Viewer",
  "Sync",
  "Studio",
  "Codec",
  "Update",
  "Runtime",
  "Agent",
  "Plug-in",
  "帳票",
  "管理",
  "Помощник",
  "助手",
];

/** A title nobody ever installed, as distinct as real ones are. */
export function inventedTitle(product: number, wave: number): TitleText {
  const name = `${first[product % first.length] ?? ""} ${second[(product >> 4) % second.length] ?? ""} ${product}`;
  const version = `${1 + (product % 9)}.${wave}.${(product * 7 + wave * 13) % 1000}`;
  return [product % 3 === 0 ? "msi" : "registry", name, version, `Maker ${product % 977} Ltd.`, "x64", null];
}
