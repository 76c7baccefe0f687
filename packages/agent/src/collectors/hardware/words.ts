/**
 * Purpose: the words this product uses for kinds of chassis and of virtual machines, whatever a system calls them.
 * Invariants: pure; an unknown kind stays unknown rather than becoming a likely one.
 */

/** SMBIOS 3.7, table 17, "system enclosure or chassis types", by number. */
const chassisTypes = (
  "other unknown desktop desktop desktop tower tower laptop laptop notebook handheld docking-station all-in-one notebook desktop " +
  "desktop server expansion sub-chassis bus-expansion peripheral raid rack sealed-case multi-system compact-pci advanced-tca blade " +
  "blade-enclosure tablet convertible detachable iot-gateway embedded mini-pc stick-pc"
).split(" ");

/** The highest bit says that there is a lock. */
export function chassisWord(type: number): string {
  return chassisTypes[(type & 0x7f) - 1] ?? "unknown";
}

/** From the names that tools give: "Low Profile Desktop", "Mini Tower", "Rack Mount Chassis". */
export function chassisOfName(name: string): string {
  const text = name.toLowerCase();
  const known = [
    "desktop",
    "tower",
    "notebook",
    "laptop",
    "rack",
    "blade",
    "tablet",
    "convertible",
    "detachable",
    "server",
  ];
  if (text.includes("all in one") || text.includes("all-in-one")) return "all-in-one";
  if (text.includes("mini pc")) return "mini-pc";
  if (text.includes("portable")) return "laptop";
  return known.find((word) => text.includes(word)) ?? "unknown";
}

/** Manufacturer and product names that hypervisors and clouds write into the firmware they simulate. */
const hypervisors: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/vmware/i, "vmware"],
  [/virtualbox|innotek/i, "virtualbox"],
  [/microsoft corporation virtual machine|hyper-?v/i, "hyperv"],
  [/parallels/i, "parallels"],
  [/\bxen\b|hvm domu/i, "xen"],
  [/bhyve/i, "bhyve"],
  [/nutanix/i, "nutanix"],
  [/apple virtual|virtualmac/i, "apple"],
  [/amazon ec2/i, "amazon"],
  [/google compute engine/i, "google"],
  [/alibaba cloud|digitalocean|hetzner vserver|scaleway|linode|vultr|oraclecloud/i, "kvm"],
  [/\bkvm\b|openstack|ovirt|rhev|rhel av/i, "kvm"],
  [/qemu|bochs|standard pc/i, "qemu"],
];

export function hypervisorOf(firmware: string): string | undefined {
  return hypervisors.find(([pattern]) => pattern.test(firmware))?.[1];
}
