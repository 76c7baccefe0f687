/**
 * Purpose: when the operating system was installed - what was there by then came with the machine. No system says it in one place, and upgrades rewrite
 * some; so every trace is asked and the earliest believed: an early date makes fewer programs count as preinstalled, never more.
 * Invariants: a fact that does not change while the system stays (no trace that is touched in use), or every report would be a change; whole seconds;
 * a time no system can be from (no clock at the time) is no trace.
 * On failure: a trace that is not there or cannot be read is none; where there is none the answer is undefined.
 */
import type { RegistryTree } from "../registry/tree.ts";
import { valueText } from "../registry/tree.ts";
import type { RootedFiles } from "../rooted-files.ts";

/** Written once, when the system was put on the disk or started for the first time. */
const traces = [
  // The disk was formatted (ext4 keeps this directory from then on).
  "/lost+found",
  // Debian and Ubuntu, Red Hat, SUSE: what their installers leave.
  "/var/log/installer/syslog",
  "/var/log/installer/autoinstall-user-data",
  "/root/anaconda-ks.cfg",
  "/var/log/YaST2/y2start.log",
  // Written at the first start.
  "/etc/machine-id",
  // macOS: the setup assistant is through.
  "/private/var/db/.AppleSetupDone",
  "/var/db/.AppleSetupDone",
];

export function installDateOfFiles(files: RootedFiles, now: number): string | undefined {
  const times = traces.map((path) => attempt(() => files.stat(path).mtimeMs));
  // Where the file system keeps it: elsewhere Node says the time of the last change, or the epoch. The folder that holds an
  // unpacked image was made by this machine.
  const root = files.direct ? attempt(() => files.stat("/")) : undefined;
  if (root !== undefined && root.birthtimeMs !== root.ctimeMs) times.push(root.birthtimeMs);
  return earliest(times, now);
}

/** Feature updates of Windows write a new date and keep the old ones below Setup. */
export function installDateOfRegistry(tree: RegistryTree, now: number): string | undefined {
  const setup = "HKEY_LOCAL_MACHINE\\SYSTEM\\Setup";
  const former = tree.subkeys(setup).filter((name) => /^source os/i.test(name));
  const keys = [...tree.below("Microsoft\\Windows NT\\CurrentVersion"), ...former.map((name) => `${setup}\\${name}`)];
  const times = keys.flatMap((key) => {
    const values = tree.values(key);
    const [seconds, ticks] = [valueText(values, "InstallDate"), valueText(values, "InstallTime")];
    return [
      seconds === undefined ? undefined : Number(seconds) * 1000,
      ticks === undefined ? undefined : ofTicks(ticks),
    ];
  });
  return earliest(times, now);
}

/** Before it no system was installed that is still in use; what says so had no clock. */
const oldest = Date.UTC(1995, 0, 1);

function earliest(times: readonly (number | undefined)[], now: number): string | undefined {
  const sound = times.filter((time) => time !== undefined && time >= oldest && time <= now) as number[];
  return sound.length === 0 ? undefined : new Date(Math.min(...sound)).toISOString().replace(/\.\d+Z$/, "Z");
}

/** FILETIME: tenths of microseconds since 1601. */
function ofTicks(text: string): number | undefined {
  return /^\d{1,20}$/.test(text) ? Number(BigInt(text) / 10_000n) - 11_644_473_600_000 : undefined;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
