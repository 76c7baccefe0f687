/** Purpose: software, policies and counts of made-up devices; the counts are made here, by hand, from the titles alone. */
import type { Title } from "@daicho/protocol";
import type { Chance } from "./random.ts";

/** Products P01 … P24; P01 and P02 together make a suite, the others count as themselves. */
export const productCount = 24;
const nameOf = (product: number): string => `p${String(product).padStart(2, "0")}`;
export const licenseOf = (product: number): string => `@${nameOf(product).toUpperCase()}`;

export function title(product: number, version = "1.0"): Title {
  return { name: nameOf(product), version, source: "dpkg", publisher: "Made up", arch: "amd64" };
}

/** Between five and fifteen products, and as many titles that no policy knows. */
export function someTitles(chance: Chance): Title[] {
  const titles = new Map<string, Title>();
  for (let left = 5 + chance.whole(11); left > 0; left--) {
    const made = title(1 + chance.whole(productCount), `${1 + chance.whole(3)}.${chance.whole(4)}`);
    titles.set(made.name, made);
    titles.set(`lib${left}`, { name: `lib${left}`, version: `${chance.whole(9)}`, source: "dpkg" });
  }
  return [...titles.values()];
}

/** `products`: how many of them the policy knows. */
export function policy(version: number, products: number = productCount): string {
  const lines = ["daicho: policy/v1", "id: group-standard", "edition: enterprise", `version: ${version}`, "software:"];
  for (let product = 1; product <= products; product++)
    lines.push(
      `  - code: "${licenseOf(product)}"`,
      `    name: Product ${product}`,
      `    detect: package(name = "${nameOf(product)}")`,
    );
  lines.push("licenses:", `  - rule: "@P01 AND @P02 = @SUITE"`, "    name: The suite", "    metric: device");
  return `${lines.join("\n")}\n`;
}

/**
 * The licences of a device under `policy(…, products)`, written anew from domain.md §2: the suite needs both its parts, and a code that a rule
 * mentions does not count as itself.
 */
export function licensesOf(titles: readonly Title[], products: number = productCount): readonly string[] {
  const has = (product: number): boolean => titles.some(({ name }) => name === nameOf(product));
  const held: string[] = has(1) && has(2) ? ["@SUITE"] : [];
  for (let product = 3; product <= products; product++) if (has(product)) held.push(licenseOf(product));
  return held.sort();
}

/** Licence → number of devices. */
export function countOf(devices: Iterable<readonly Title[]>, products: number = productCount): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const titles of devices)
    for (const license of licensesOf(titles, products)) counts[license] = (counts[license] ?? 0) + 1;
  return counts;
}
