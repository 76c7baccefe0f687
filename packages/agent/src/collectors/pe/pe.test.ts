import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fault } from "../findings.ts";
import { readMachoArchitectures } from "../macho/header.ts";
import { bytesOfBuffer } from "./bytes.ts";
import { readFileVersion } from "./file-version.ts";
import { buildPe } from "./fixtures/build-pe.ts";
import { readVersionResource, type VersionResource } from "./version-resource.ts";

const read = (bytes: Buffer): VersionResource | undefined => readVersionResource(bytesOfBuffer(bytes));
const strings = { FileVersion: "16, 0, beta", ProductName: "一太郎 2023", CompanyName: "株式会社ジャストシステム" };

describe("the version resource of a Windows program", () => {
  it("gives the numeric version before the text, and product and company", () => {
    for (const wide of [true, false]) {
      expect(read(buildPe({ fixed: [33, 1, 0, 7], strings, wide }))).toEqual({
        version: "33.1.0.7",
        product: "一太郎 2023",
        company: "株式会社ジャストシステム",
      });
    }
  });

  it("gives the text where there is no number", () => {
    expect(read(buildPe({ strings }))?.version).toBe("16, 0, beta");
    expect(read(buildPe({ fixed: [0, 0, 0, 0], strings: { ProductVersion: "2" } }))?.version).toBe("2");
    expect(read(buildPe({}))).toEqual({});
  });

  it("is absent from other files and from programs without resources", () => {
    expect(read(Buffer.from("#!/bin/sh\n".repeat(20)))).toBeUndefined();
    expect(read(Buffer.alloc(0))).toBeUndefined();
    const dos = Buffer.alloc(4096);
    dos.write("MZ");
    expect(read(dos)).toBeUndefined();
    const bare = buildPe({ strings });
    bare.writeUInt32LE(0, 0x58 + 112 + 16);
    expect(read(bare)).toEqual({});
  });

  it("is a fault, never a crash or a hang, in a truncated or altered file (quality.md: garbage in every parser)", () => {
    const whole = buildPe({ fixed: [1, 2, 3, 4], strings });
    const attempt = (bytes: Buffer): void => {
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
      }
    };
    for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const broken = Buffer.from(whole);
          for (const [at, byte] of changes) broken[at] = byte;
          attempt(broken);
        },
      ),
      { numRuns: 2000 },
    );
    const loop = Buffer.from(whole);
    loop.writeUInt32LE(0x80000000, 0x200 + 48 + 20); // the language directory refers to the root
    expect(() => read(loop)).toThrow(Fault);
  });
});

describe("the header of a Mach-O program", () => {
  const thin = (magic: number, type: number, little: boolean): Buffer => {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt32BE(magic, 0);
    if (little) bytes.writeUInt32LE(type, 4);
    else bytes.writeUInt32BE(type, 4);
    return bytes;
  };
  const archs = (bytes: Buffer): string[] | undefined => readMachoArchitectures(bytesOfBuffer(bytes));

  it("names its architectures", () => {
    expect(archs(thin(0xcffaedfe, 0x0100000c, true))).toEqual(["arm64"]);
    expect(archs(thin(0xfeedface, 0x12, false))).toEqual(["ppc"]);
    expect(archs(thin(0xcffaedfe, 0x7fffffff, true))).toEqual([]);
  });

  it("is not taken for that of a Java class, which begins with the same number", () => {
    const java = Buffer.alloc(4096);
    java.writeUInt32BE(0xcafebabe, 0);
    java.writeUInt32BE(52, 4);
    expect(archs(java)).toBeUndefined();
    expect(archs(Buffer.from("ELF"))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void archs(Buffer.from(bytes))));
  });
});

describe("the version of a file", () => {
  let dir: string;
  beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "version-"))));
  afterAll(() => rmSync(dir, { recursive: true }));
  const put = (name: string, content: Buffer | string): string => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };

  it("comes from the first bytes of the file, whatever its name", () => {
    expect(readFileVersion(put("setup.txt", buildPe({ fixed: [1, 0, 0, 0] })))).toEqual({ version: "1.0.0.0" });
    expect(readFileVersion(put("tool.exe", "#!/bin/sh\n"))).toBeUndefined();
    expect(readFileVersion(put("empty", ""))).toBeUndefined();
  });

  it("of a macOS program is that of the bundle around it", () => {
    mkdirSync(join(dir, "A.app/Contents/MacOS"), { recursive: true });
    const program = Buffer.alloc(64);
    program.writeUInt32BE(0xcffaedfe, 0);
    put(
      "A.app/Contents/Info.plist",
      "<plist><dict><key>CFBundleName</key><string>A</string><key>CFBundleShortVersionString</key><string>4.2</string></dict></plist>",
    );
    expect(readFileVersion(put("A.app/Contents/MacOS/A", program))).toEqual({ version: "4.2", product: "A" });
    expect(readFileVersion(put("tool", program))).toBeUndefined();
  });

  it("is not read through a link", () => {
    const target = put("real.exe", buildPe({ fixed: [1, 0, 0, 0] }));
    symlinkSync(target, join(dir, "link.exe"));
    expect(() => readFileVersion(join(dir, "link.exe"))).toThrow(/ELOOP/);
  });
});
