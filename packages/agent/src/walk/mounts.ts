/**
 * Purpose: which directories are the doors to network and pseudo file systems, which a walk does not enter unless told.
 * Linux says so in /proc/self/mountinfo. Elsewhere a change of device counts as such a door unless the new device has a file system of
 * the same type as the starting point (macOS keeps its system and its data on two APFS volumes that look like one).
 * Invariants: the place a walk starts at is never a door: whoever names a network share wants it searched.
 * On failure: where nothing can be learned about a directory it is entered; reading it will say what is wrong.
 */
import { lstatSync, readFileSync, statfsSync } from "node:fs";

/** Is this directory, met on the way, a door to another world? */
export type IsDoor = (hostPath: string) => boolean;

const network =
  "nfs nfs4 cifs smb3 smbfs ncpfs afs coda 9p ceph glusterfs lustre gfs gfs2 ocfs2 beegfs orangefs davfs prl_fs vboxsf vmhgfs virtiofs";
const pseudo =
  "proc sysfs devtmpfs devpts tmpfs ramfs cgroup cgroup2 cpuset securityfs debugfs tracefs configfs pstore bpf efivarfs mqueue hugetlbfs " +
  "fusectl rpc_pipefs binfmt_misc nsfs selinuxfs autofs overlay aufs rootfs nfsd resctrl";
const barred = new Set(`${network} ${pseudo}`.split(" "));
/** FUSE mounts are mostly somebody else's machine; these are disks. */
const localFuse = new Set([
  "fuseblk",
  "fuse.ntfs-3g",
  "fuse.exfat",
  "fuse.mergerfs",
  "fuse.snapfuse",
  "fuse.squashfuse",
]);

export function doors(start: string, platform: NodeJS.Platform): IsDoor {
  if (platform === "linux") {
    const mounts = barredMounts(readMountInfo());
    return (path) => mounts.has(path);
  }
  if (platform === "win32") return () => false; // there, mounted volumes are links, which are not followed
  return deviceDoors(start);
}

export function barredMounts(mountinfo: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of mountinfo.split("\n")) {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    const [before, after] = line.split(" - ");
    const place = before?.split(" ")[4];
    const type = after?.split(" ")[0];
    if (place === undefined || type === undefined) continue;
    const path = place.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    // Of several mounts on one place the last one is seen.
    if (isBarred(type)) found.add(path);
    else found.delete(path);
  }
  return found;
}

function isBarred(type: string): boolean {
  return barred.has(type) || (/^fuse(\.|$)/.test(type) && !localFuse.has(type));
}

function readMountInfo(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}

function deviceDoors(start: string): IsDoor {
  const device = attempt(() => lstatSync(start).dev);
  const type = attempt(() => statfsSync(start).type);
  const known = new Map<number, boolean>();
  return (path) => {
    const here = attempt(() => lstatSync(path).dev);
    if (here === undefined || here === device) return false;
    let door = known.get(here);
    if (door === undefined) known.set(here, (door = attempt(() => statfsSync(path).type) !== type));
    return door;
  };
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
