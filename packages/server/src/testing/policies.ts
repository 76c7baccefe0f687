/** Small policies for tests, as an author would write them. */
export const enterprisePolicy = (version: number, codes: readonly string[] = ["@LIBO7"]): string =>
  [
    "daicho: policy/v1",
    "id: group-standard",
    "edition: enterprise",
    `version: ${version}`,
    "software:",
    ...codes.flatMap((code) => [
      `  - code: "${code}"`,
      `    name: Product ${code.slice(1)}`,
      `    detect: package(name = "${code.slice(1).toLowerCase()}")`,
    ]),
    "",
  ].join("\n");

export const localPolicy = (version: number, codes: readonly string[] = ["@INHOUSE"]): string =>
  enterprisePolicy(version, codes)
    .replace("id: group-standard", "id: acme-local")
    .replace("edition: enterprise", "edition: local");
