/**
 * Purpose: values that firmware and drivers give to thousands of machines alike. They identify nobody, so they are no evidence:
 * not of a serial number, not of a UUID, not of a network card. The one list of them: collectors and identity/ ask here.
 * Invariants: pure; only what is known to be junk is junk - an odd value of a real machine stays.
 */

/** Firmware that was never filled in says so in many words. Compared without case, spaces and punctuation. */
const placeholders = new Set(
  [
    "to be filled by oem",
    "to be filled by o e m",
    "oem",
    "o.e.m.",
    "default string",
    "default",
    "default serial number",
    "none",
    "null",
    "n/a",
    "na",
    "unknown",
    "unspecified",
    "not specified",
    "not applicable",
    "not available",
    "not present",
    "not provided",
    "not settable",
    "undefined",
    "empty",
    "invalid",
    "blank",
    "test",
    "system serial number",
    "system manufacturer",
    "system product name",
    "system version",
    "system name",
    "chassis serial number",
    "chassis manufacture",
    "base board serial number",
    "board serial number",
    "serial number",
    "serial",
    "sn",
    "no serial",
    "no asset tag",
    "asset tag",
    "product name",
    "type1productconfigid",
    "type1family",
    "type2 - board serial number",
    "type3 - chassis serial number",
    "ssn12345678901234567",
    "mb-1234567890",
    "123456789",
    "1234567890",
    "12345678901234567890",
    "0123456789",
    "01234567890123456789",
    "0123456789abcdef",
    "123456789abcdef",
    "xxxxxxx123456",
    "evaluation unit",
    "please change product_id",
    "insydeh2o",
    "vmware", // what old ESX puts where the UUID is missing
  ].map(bare),
);

/** Also right for manufacturers and models that say nothing. */
export function isPlaceholder(text: string): boolean {
  const word = bare(text);
  return word === "" || isAllEqual(word) || placeholders.has(word);
}

export function isJunkSerial(serial: string): boolean {
  const word = bare(serial);
  return word.length < 3 || isPlaceholder(serial);
}

/** UUIDs that boards without one of their own carry. */
const junkUuids = new Set([
  "03000200040005000006000700080009",
  "00020003000400050006000700080009",
  "12345678123456781234567812345678",
  "12345678123456789012123456789012",
  "12345678123412341234123456789abc",
  "123456789abcdef0123456789abcdef0",
  "0123456789abcdef0123456789abcdef",
  "00112233445566778899aabbccddeeff",
  "ffeeddccbbaa99887766554433221100",
  "fefefefefefefefefefefefefefefefe",
  "fffffffffffffffffffffffffffffff0",
  "00000000000000000000000000000001",
  "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0",
]);

export function isJunkUuid(uuid: string): boolean {
  const hex = uuid.toLowerCase().replace(/[^0-9a-f]/g, "");
  if (hex.length !== 32) return true;
  // Some boards fill only the node part: 00000000-0000-0000-0000-<MAC> is theirs alone and stays.
  return isAllEqual(hex) || junkUuids.has(hex);
}

/** Addresses that drivers of VPNs, tunnels and virtual switches give to every machine alike. */
const junkMacs = new Set([
  "00059a3c7800", // Cisco AnyConnect
  "00059a3c7a00",
  "005056c00001", // VMware on the host's side
  "005056c00008",
  "001c42000008", // Parallels on the host's side
  "001c42000009",
  "00090ffe0001", // Fortinet SSL VPN
  "00090faa0001",
  "024200000000", // docker, before it has a network
  "020054554e01", // Teredo, ISATAP
  "0000000000e0",
  "505054503030", // Windows WAN miniports
  "33506f453030",
  "444553540000",
  "444553544200",
  "204153594eff",
  "7a7915000000", // Hamachi
  "028037ec0200", // mobile broadband sticks
  "8000600fe800",
  "0016d3000000",
  "001122334455",
  "0123456789ab",
  "123456789abc",
  "020000000000", // what phones and sandboxes answer instead
]);
/** docker bridges, VirtualBox host-only networks, TAP adapters: prefixes whose rest is made up. */
const junkMacPrefixes = ["0242", "0a0027", "00ff"];

export function isJunkMac(mac: string): boolean {
  const hex = mac.toLowerCase().replace(/[^0-9a-f]/g, "");
  if (hex.length !== 12 || isAllEqual(hex) || junkMacs.has(hex)) return true;
  if ((Number.parseInt(hex.slice(0, 2), 16) & 1) === 1) return true; // a group address belongs to no card
  return junkMacPrefixes.some((prefix) => hex.startsWith(prefix));
}

/** Hypervisors that draw an address for each card they make, and mark it as not from a factory: QEMU and libvirt, OpenStack. */
const hypervisorPrefixes = ["525400", "fa163e"];
/** What QEMU gives to every machine that was started without asking for an address. */
const qemuDefaults = "5254001234";

/**
 * May the address tell this machine from others? Not when software makes it up from day to day (private Wi-Fi addresses, VPNs, veth
 * pairs): such addresses set the "locally administered" bit. Hypervisors set it too, but theirs last as long as the virtual machine,
 * and a copied virtual machine gets another.
 */
export function isOwnMac(mac: string): boolean {
  const hex = mac.toLowerCase().replace(/[^0-9a-f]/g, "");
  if (isJunkMac(mac) || hex.startsWith(qemuDefaults)) return false;
  return (
    (Number.parseInt(hex.slice(0, 2), 16) & 2) === 0 || hypervisorPrefixes.some((prefix) => hex.startsWith(prefix))
  );
}

function bare(text: string): string {
  return text.toLowerCase().replace(/[\s\p{P}\p{S}]/gu, "");
}

function isAllEqual(text: string): boolean {
  return text.length > 0 && text === text.charAt(0).repeat(text.length);
}
