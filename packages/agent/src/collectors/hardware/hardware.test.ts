import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manualClock } from "@daicho/kernel";
import { validateInventory, type Hardware } from "@daicho/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { live, makeRoot, offline, put, type Entry } from "../fixtures/root.ts";
import { createFindings } from "../findings.ts";
import { registryOf } from "../registry/index.ts";
import { rootedFiles } from "../rooted-files.ts";
import { collectHardware, isJunkMac, isJunkSerial, isJunkUuid, isOwnMac } from "./index.ts";
import { installDateOfFiles, installDateOfRegistry } from "./install-date.ts";
import { readIsolated } from "./isolated.ts";
import { parseOsRelease } from "./os-release.ts";
import { readPortableHardware, type SystemInformation } from "./portable.ts";
import { parseUtmp } from "./users.ts";

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8"));
const linux = (name: string) => fixture(name) as Record<string, Entry>;
const x86 = Buffer.concat([
  Buffer.from("\x7fELF\x02\x01\x01", "latin1"),
  Buffer.alloc(9),
  Buffer.from([2, 0, 0x3e, 0]),
]);

/** Files that tests write are of today; by this clock nothing was installed yet. */
const clock = manualClock(0);

function scanLinux(entries: Record<string, Entry>, addresses: [string, string[]][] = []) {
  const root = makeRoot({ "usr/bin/dash": x86, "bin/sh": { link: "/usr/bin/dash" }, ...entries });
  return collectHardware(live({ root, platform: "linux", clock }), { addresses: () => new Map(addresses) });
}

function expectSound(hardware: Hardware): void {
  const inventory = { daicho: "inventory/v1", device: { hostname: "h" }, hardware, software: [] };
  expect(validateInventory(inventory)).toMatchObject({ ok: true });
}

describe("the hardware of a Linux machine", () => {
  it("knows a virtual machine without a serial number", async () => {
    const facts = await scanLinux(linux("vm-without-serial"), [["ens18", ["192.0.2.4"]]]);
    expect(facts).toEqual({
      hostname: "build-17",
      machineId: "0123456789abcdef0123456789abcde1",
      errors: [],
      hardware: {
        manufacturer: "QEMU",
        model: "Standard PC (Q35 + ICH9, 2009)",
        uuid: "4c4c4544-0042-4d10-8051-b4c04f4a5931",
        chassis: "vm",
        virtual: true,
        virtualization: "qemu",
        cpu: { model: "QEMU Virtual CPU version 2.5+", manufacturer: "Intel", sockets: 4, cores: 4, threads: 4 },
        memory: 8131272 * 1024,
        disks: [{ name: "vda", size: 21474836480, type: "HDD" }],
        network: [{ name: "ens18", mac: "52:54:00:ab:cd:01", addresses: ["192.0.2.4"] }],
        os: {
          family: "linux",
          name: "Debian GNU/Linux",
          version: "12",
          build: "12.8",
          arch: "x86_64",
          kernel: "6.1.0-28-amd64",
        },
      },
    });
    expectSound(facts.hardware);
  });

  it("knows a laptop, its name for people, its disk and who sits at its screen", async () => {
    const { hardware, machineId, errors } = await scanLinux(linux("laptop"));
    expect(errors).toEqual([]);
    expect(machineId).toBe("0123456789abcdef0123456789abcde2");
    expect(hardware).toMatchObject({
      manufacturer: "LENOVO",
      model: "ThinkPad T480",
      serial: "PF1ABCDE",
      chassis: "notebook",
      virtual: false,
      cpu: { manufacturer: "Intel", sockets: 1, cores: 4, threads: 8 },
      disks: [{ name: "nvme0n1", model: "SAMSUNG MZVLB512HAJQ-000L7", serial: "S3TNNX0K123456", type: "NVMe" }],
      network: [{ mac: "8c:16:45:12:34:56" }, { mac: "a0:a4:c5:12:34:57" }],
      user: "花子",
    });
    expect(hardware.virtualization).toBeUndefined();
    expect(hardware.disks).toHaveLength(1);
  });

  it("counts sockets, cores and threads of a two-socket server, and takes the chassis serial for a junk one", async () => {
    const { hardware, errors } = await scanLinux({
      ...linux("two-socket-server"),
      // SCSI page 0x80: header, then the number filled up with spaces
      "sys/devices/sda/device/vpd_pg80": Buffer.concat([
        Buffer.from([0, 0x80, 0, 20]),
        Buffer.from("V6GXXXYZ".padStart(20)),
      ]),
    });
    expect(errors).toEqual([]);
    expect(hardware).toMatchObject({
      serial: "C8470LK40N10123",
      uuid: "00000000-0000-0000-0000-3cecef123456",
      chassis: "server",
      virtual: false,
      cpu: { model: "AMD EPYC 7313 16-Core Processor", manufacturer: "AMD", sockets: 2, cores: 32, threads: 64 },
      disks: [{ name: "sda", model: "HGST HUS726T4TAL", serial: "V6GXXXYZ", type: "HDD" }],
      network: [{ name: "eno1" }],
    });
    expect(hardware.disks).toHaveLength(1);
  });

  it("asks sysfs where /proc/cpuinfo does not say which processor sits where, and guesses nothing", async () => {
    const cpuinfo = "processor\t: 0\nCPU implementer\t: 0x41\n\nprocessor\t: 1\nCPU implementer\t: 0x41\n\n";
    const place = (n: number) => `sys/devices/system/cpu/cpu${n}/topology`;
    const topology = {
      [`${place(0)}/physical_package_id`]: "0\n",
      [`${place(0)}/core_id`]: "0\n",
      [`${place(1)}/physical_package_id`]: "0\n",
      [`${place(1)}/core_id`]: "1\n",
    };
    const told = await scanLinux({
      "proc/cpuinfo": cpuinfo,
      ...topology,
      "proc/device-tree/model": "Raspberry Pi 4\0",
    });
    expect(told.hardware.cpu).toEqual({ manufacturer: "ARM", sockets: 1, cores: 2, threads: 2 });
    expect(told.hardware.model).toBe("Raspberry Pi 4");
    const untold = await scanLinux({ "proc/cpuinfo": cpuinfo });
    expect(untold.hardware.cpu).toEqual({ manufacturer: "ARM", threads: 2 });
  });

  it("tells containers, clouds and bare metal for rent apart", async () => {
    const kind = async (entries: Record<string, Entry>) => {
      const { hardware } = await scanLinux(entries);
      return [hardware.chassis, hardware.virtual, hardware.virtualization];
    };
    const dmi = (vendor: string, product: string) => ({
      "sys/class/dmi/id/sys_vendor": vendor,
      "sys/class/dmi/id/product_name": product,
      "sys/class/dmi/id/chassis_type": "17",
    });
    expect(await kind({ "run/systemd/container": "lxc\n" })).toEqual(["container", true, "lxc"]);
    expect(await kind({ ".dockerenv": "" })).toEqual(["container", true, "docker"]);
    expect(await kind(dmi("Amazon EC2", "m6g.large"))).toEqual(["vm", true, "amazon"]);
    expect(await kind(dmi("Amazon EC2", "m6g.metal"))).toEqual(["server", false, undefined]);
    expect(await kind(dmi("Microsoft Corporation", "Virtual Machine"))).toEqual(["vm", true, "hyperv"]);
    expect(await kind(dmi("Microsoft Corporation", "Surface Laptop 5"))).toEqual(["server", false, undefined]);
    expect(await kind({ "sys/hypervisor/type": "xen\n" })).toEqual(["vm", true, "xen"]);
    expect(await kind({ "sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "control_d\n" })).toEqual([
      undefined,
      false,
      undefined,
    ]);
  });

  it("takes only what its files say from an offline root: system, host name, machine id", async () => {
    const root = makeRoot({
      ...linux("laptop"),
      "etc/hostname": "# static\nclient-7\n",
      "etc/os-release": 'NAME="Fedora Linux"\nVERSION_ID=39\nVARIANT="Workstation Edition"\nID=fedora\n',
      "usr/bin/dash": x86,
      "bin/sh": { link: "/usr/bin/dash" },
    });
    expect(await collectHardware(offline(root, { clock }))).toEqual({
      hostname: "client-7",
      machineId: "0123456789abcdef0123456789abcde2",
      hardware: {
        os: { family: "linux", name: "Fedora Linux", version: "39", edition: "Workstation Edition", arch: "x86_64" },
      },
      errors: [],
    });
    const old = makeRoot({ "etc/redhat-release": "CentOS release 6.10 (Final)\n" });
    expect((await collectHardware(offline(old, { clock }))).hardware.os).toMatchObject({
      name: "CentOS",
      version: "6.10",
    });
    expect(await collectHardware(offline(makeRoot({}), { clock }))).toEqual({ hardware: {}, errors: [] });
  });

  it("reports what it cannot read and survives damaged files", async () => {
    const entries = linux("laptop");
    delete entries["sys/class/dmi/id/product_serial"];
    const { hardware, errors } = await scanLinux({
      ...entries,
      "sys/class/dmi/id/product_serial": { directory: true },
    });
    expect(errors).toMatchObject([{ path: "/sys/class/dmi/id/product_serial", code: "unreadable" }]);
    expect(hardware.model).toBe("ThinkPad T480");

    const texts = Object.entries(entries).filter(([, entry]) => typeof entry === "string") as [string, string][];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...texts),
        fc.oneof(
          fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
          fc.nat(200),
        ),
        async ([path, text], harm) => {
          const root = makeRoot({ "bin/sh": x86 });
          put(root, path, typeof harm === "number" ? text.slice(0, harm) : harm);
          put(root, "run/utmp", Buffer.isBuffer(harm) ? harm : text);
          const facts = await collectHardware(live({ root, platform: "linux" }), { addresses: () => new Map() });
          expectSound(facts.hardware);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("reads the machine it runs on", async () => {
    if (process.platform !== "linux") return;
    const { hardware, hostname, errors } = await collectHardware(live());
    expectSound(hardware);
    expect(hostname).toBeTruthy();
    expect(hardware.os).toMatchObject({ family: "linux" });
    expect(hardware.cpu?.threads).toBeGreaterThan(0);
    expect(hardware.memory).toBeGreaterThan(2 ** 26);
    expect(errors.every((error) => error.code === "unreadable")).toBe(true);
  });
});

describe("when the operating system was installed", () => {
  const now = Date.UTC(2026, 10, 21);
  const at = (mtime: string): Entry => ({ content: "x", mtime });

  it("is the earliest trace of an installer on a Linux disk; a time without a clock, or to come, is none", async () => {
    const root = makeRoot({
      "etc/os-release": "NAME=Debian\n",
      "var/log/installer/syslog": at("2024-03-01T10:00:00Z"),
      "etc/machine-id": at("2024-03-01T10:20:00Z"),
      "root/anaconda-ks.cfg": at("1970-01-01T00:10:00Z"),
      "var/log/YaST2/y2start.log": at("2031-01-01T00:00:00Z"),
    });
    const { hardware } = await collectHardware(offline(root, { clock: manualClock(now) }));
    expect(hardware.os).toMatchObject({ name: "Debian", installedAt: "2024-03-01T10:00:00Z" });
    expectSound(hardware);
    const live = installDateOfFiles(rootedFiles(root, true), now);
    expect(live).toBe("2024-03-01T10:00:00Z");
  });

  it("is the end of macOS' setup, and nothing where no trace is", () => {
    const mac = makeRoot({ "private/var/db/.AppleSetupDone": at("2025-05-06T07:08:09Z") });
    expect(installDateOfFiles(rootedFiles(mac, false), now)).toBe("2025-05-06T07:08:09Z");
    // When an image was unpacked says nothing about its system.
    expect(installDateOfFiles(rootedFiles(makeRoot({}), false), Date.UTC(2100, 0))).toBeUndefined();
  });

  it("is what Windows' registry says - the first installation, also after feature updates", async () => {
    const text = (former: string) => `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion]
"ProductName"="Windows 10 Pro"
"InstallDate"=dword:65e1a000
"InstallTime"=hex(b):00,e8,4a,27,e9,6b,da,01
${former}`;
    const dateOf = async (content: string): Promise<string | undefined> => {
      const file = join(makeRoot({ "export.reg": content }), "export.reg");
      const tree = await registryOf(offline("/", { registryFiles: [file] }));
      return tree && installDateOfRegistry(tree, now);
    };
    // The seconds say 09:29:36, the FILETIME 15:00:09.
    expect(await dateOf(text(""))).toBe("2024-03-01T09:29:36Z");
    expect(await dateOf(text("").replace(/"InstallDate".*/, ""))).toBe("2024-03-01T15:00:09Z");
    const source = "[HKEY_LOCAL_MACHINE\\SYSTEM\\Setup\\Source OS (Updated on 3/1/2024 10:00:00)]";
    expect(await dateOf(text(`\n${source}\n"InstallDate"=dword:5e0be100\n`))).toBe("2020-01-01T00:00:00Z");
    expect(await dateOf("Windows Registry Editor Version 5.00\n")).toBeUndefined();
  });
});

describe("the hardware of Windows and macOS", () => {
  const recorded = (name: string, broken?: string): SystemInformation => {
    const answers = fixture(name) as Record<string, unknown>;
    const answer = (key: string) => () =>
      key === broken ? Promise.reject(new Error("access denied")) : Promise.resolve(answers[key] as never);
    const keys = ["system", "chassis", "cpu", "mem", "diskLayout", "networkInterfaces", "osInfo", "users", "uuid"];
    return Object.fromEntries(keys.map((key) => [key, answer(key)])) as unknown as SystemInformation;
  };
  const scan = (name: string, platform: NodeJS.Platform, broken?: string) => {
    const readPortable = async () => {
      const findings = createFindings();
      const facts = await readPortableHardware(recorded(name, broken), platform, findings);
      return { facts, errors: findings.result().errors };
    };
    return collectHardware(live({ platform, clock }), { readPortable });
  };

  it("is what systeminformation says, without sticks, virtual cards and people from afar", async () => {
    const facts = await scan("windows-desktop", "win32");
    expect(facts).toEqual({
      hostname: "営業-PC17",
      machineId: "1c4ffcc8-7a6b-4e0a-9a4d-0123456789ab",
      errors: [],
      hardware: {
        manufacturer: "Dell Inc.",
        model: "OptiPlex 7090",
        serial: "ABC1234",
        uuid: "4c4c4544-0042-4310-8031-c4c04f313233",
        chassis: "desktop",
        virtual: false,
        cpu: { model: "Core™ i7-11700", manufacturer: "Intel", sockets: 1, cores: 8, threads: 16 },
        memory: 17067003904,
        disks: [
          {
            name: "\\\\.\\PHYSICALDRIVE0",
            model: "PC711 NVMe SK hynix 512GB",
            serial: "ACE4_2E00_1234_5678.",
            size: 512105932800,
            type: "NVMe",
          },
        ],
        network: [
          { name: "Intel(R) Ethernet Connection (14) I219-LM", mac: "b0:7b:25:12:34:56", addresses: ["192.0.2.17"] },
        ],
        os: {
          family: "windows",
          name: "Microsoft Windows 11 Pro",
          version: "10.0.22631",
          edition: "Pro",
          build: "22631",
          arch: "x64",
          kernel: "10.0.22631",
        },
        user: "tanaka",
      },
    });
    expectSound(facts.hardware);
    const mac = await scan("mac-laptop", "darwin");
    expect(mac.hardware).toMatchObject({
      chassis: "notebook",
      user: "suzuki",
      os: { family: "macos", version: "14.5" },
    });
    expectSound(mac.hardware);
  });

  it("loses only what the failing call would have said", async () => {
    const { hardware, errors } = await scan("windows-desktop", "win32", "system");
    expect(errors).toEqual([
      { path: "hardware:system", code: "command-failed", message: "cannot be asked for (access denied)" },
    ]);
    expect(hardware).toMatchObject({ serial: "ABC1234", user: "tanaka" });
    expect(hardware.model).toBeUndefined();
  });

  it("is at least name, processors, memory and system where systeminformation gives nothing", async () => {
    const readPortable = () => Promise.reject(new Error("EPIPE"));
    const { hardware, hostname, errors } = await collectHardware(live({ platform: "win32" }), { readPortable });
    expect(errors).toEqual([
      {
        path: "hardware:",
        code: "command-failed",
        message: "cannot be asked for (EPIPE); only the basics are known",
      },
    ]);
    expect(hostname).not.toBe("");
    expect(hardware).toMatchObject({ os: { family: "windows" } });
    expect(hardware.memory).toBeGreaterThan(0);
    expect(hardware.cpu?.threads).toBeGreaterThan(0);
    expect(hardware).not.toHaveProperty("serial");
    expectSound(hardware);
  });

  it("costs no more than itself when the thread that asks dies, ends or never answers", async () => {
    const thread = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
    const pipe = `const { spawn } = await import("node:child_process");
      const child = spawn("sh", ["-c", "exec 0<&-; echo deaf; exec sleep 5"]);
      child.stdout.once("data", () => { child.stdin.write("x"); child.unref(); });`;
    // The very crash that this is for: writing to a child that is gone, with nobody listening for the error.
    if (process.platform !== "win32") await expect(readIsolated(thread(pipe))).rejects.toThrow("EPIPE");
    await expect(readIsolated(thread("throw Object.assign(new Error('x'), { code: 'EX' })"))).rejects.toThrow("EX");
    await expect(readIsolated(thread("process.exit(0)"))).rejects.toThrow("without an answer");
    await expect(readIsolated(thread("setInterval(() => undefined, 1000)"), 1)).rejects.toThrow("no answer within");
    const answer = { facts: { hardware: {}, hostname: "x", machineId: undefined }, errors: [] };
    const answering = `const { parentPort } = await import("node:worker_threads");
      parentPort.postMessage({ facts: { hardware: {}, hostname: "x", machineId: undefined }, errors: [] });`;
    await expect(readIsolated(thread(answering))).resolves.toEqual(answer);
  });
});

describe("junk", () => {
  it("is what firmware says of thousands of machines alike", () => {
    const junk = [
      "To be filled by O.E.M.",
      "Default string",
      "None",
      "0",
      "00000000",
      "0000-0000",
      "XXXXXXXXXX",
      "System Serial Number",
      "Not Specified",
      "123456789",
      "N/A",
      " ",
      "",
    ];
    expect(junk.filter((serial) => !isJunkSerial(serial))).toEqual([]);
    const real = ["PF1ABCDE", "C02XXXXXXXX1", "VMware-56 4d 1c 2b", "0000A1", "5CG1234XYZ", "1234567"];
    expect(real.filter(isJunkSerial)).toEqual([]);
  });

  it("is a UUID that boards without one of their own carry", () => {
    const junk = [
      "03000200-0400-0500-0006-000700080009",
      "00000000-0000-0000-0000-000000000000",
      "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
      "Not Settable",
      "1234",
    ];
    expect(junk.filter((uuid) => !isJunkUuid(uuid))).toEqual([]);
    expect(isJunkUuid("4C4C4544-0042-4D10-8051-B4C04F4A5931")).toBe(false);
    expect(isJunkUuid("00000000-0000-0000-0000-3cecef123456")).toBe(false);
  });

  it("is an address that drivers make up, but not that of a virtual machine's card", () => {
    const junk = [
      "00:00:00:00:00:00",
      "ff:ff:ff:ff:ff:ff",
      "02:42:ac:11:00:02",
      "00-05-9A-3C-7A-00",
      "00:50:56:c0:00:08",
      "01:00:5e:00:00:01",
      "x",
    ];
    expect(junk.filter((mac) => !isJunkMac(mac))).toEqual([]);
    expect(["52:54:00:ab:cd:01", "00:50:56:a1:b2:c3", "8C-16-45-12-34-56"].filter(isJunkMac)).toEqual([]);
  });

  it("and evidence differ: an address is the machine's own when a factory or a hypervisor gave it to this one card", () => {
    const own = ["8C-16-45-12-34-56", "00:50:56:a1:b2:c3", "52:54:00:ab:cd:01", "FA:16:3E:01:02:03"];
    expect(own.filter((mac) => !isOwnMac(mac))).toEqual([]);
    // QEMU's own default, unless told; a private Wi-Fi address; a veth pair; docker's
    const notOwn = [
      "52:54:00:12:34:56",
      "52:54:00:12:34:57",
      "da:a1:19:00:00:01",
      "5e:9d:1c:00:00:01",
      "02:42:ac:11:00:02",
    ];
    expect(notOwn.filter(isOwnMac)).toEqual([]);
  });
});

describe("small formats", () => {
  it("os-release is read as a shell reads it", () => {
    const fields = parseOsRelease('# c\nNAME=\'A B\'\nVERSION="1 \\"x\\" \\$y"\nID=plain\nbad line\n');
    expect(Object.fromEntries(fields)).toEqual({ NAME: "A B", VERSION: '1 "x" $y', ID: "plain" });
  });

  it("utmp records have 384 bytes, or 400 where times have 64 bits", () => {
    const entry = (size: number, type: number, line: string, user: string, host: string, since: number) => {
      const bytes = Buffer.alloc(size);
      bytes.writeInt16LE(type, 0);
      bytes.write(line, 8);
      bytes.write(user, 44);
      bytes.write(host, 76);
      if (size === 384) bytes.writeInt32LE(since, 340);
      else bytes.writeBigInt64LE(BigInt(since), 344);
      return bytes;
    };
    const log = (size: number) =>
      Buffer.concat([
        entry(size, 2, "~", "reboot", "6.1", 1),
        entry(size, 7, "tty2", "山田", ":0", 100),
        entry(size, 7, "pts/0", "root", "192.0.2.1", 200),
        entry(size, 8, "pts/1", "", "", 300),
      ]);
    const expected = [
      { user: "山田", kind: "screen", since: 100 },
      { user: "root", kind: "remote", since: 200 },
    ];
    expect(parseUtmp(log(384), "x86_64")).toEqual(expected);
    expect(parseUtmp(log(400), "aarch64")).toEqual(expected);
  });
});
