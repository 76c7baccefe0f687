// What both sides of the comparison ask: the titles, and some registry probes.
import { registry, evaluateRegistryProbes, registryOf } from "../dist/collectors/registry/index.js";
import { keysOfProbes } from "../dist/collectors/registry/probes.js";
import { parseCondition } from "@daicho/policy";

const conditions = [
  String.raw`registry(key = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\1C-8.3", value = "DisplayVersion", data >= "8.3")`,
  String.raw`registry(key ~ "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\*", value = "Publisher", data = "サクラエディタ開発チーム")`,
  String.raw`registry(key ~ "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Dis*", value = "DisplayName", data = "discord")`,
  String.raw`registry(key = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Кириллица 𠮷", value = "VersionBig", data = "4294967296")`,
  String.raw`registry(key = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Кириллица 𠮷", value = "Multi", data ~ "a*b")`,
  String.raw`registry=HKLM\SOFTWARE\NotThere`,
];

export async function ask(context) {
  const probes = conditions.map((text) => parseCondition(text).value.term);
  const tree = await registryOf(context, keysOfProbes(probes));
  const { titles, errors } = await registry.collect(context);
  const answers = evaluateRegistryProbes({ probes, tree });
  return { titles, hits: answers.hits, errors: [...errors, ...answers.errors] };
}
