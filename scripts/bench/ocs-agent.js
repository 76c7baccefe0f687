/**
 * What an OCS Inventory agent says to its server, for devices of the made-up fleet: PROLOG, and where the answer is SEND, INVENTORY. XML, zlib-compressed, by POST.
 * Source: the protocol as the OCS Inventory wiki describes it (Developers: agent ↔ server communication, inventory sections and their bits in CHECKSUM).
 * As the real agent does, CHECKSUM names the sections that changed since the last inventory, and every inventory is whole all the same.
 */
import { deflateSync, inflateSync } from "node:zlib";

/** Bits of CHECKSUM: all sections; nothing; the software. */
const checksums = { new: 262_143, same: 0, changed: 65_536 };

export function createOcsAgents({ url, fleet, now = () => new Date() }) {
  const stamp = now().toISOString().slice(0, 19).replace(/[T:]/g, "-");
  const idOf = (device) => `${fleet.hostname(device)}-${stamp}`;
  let bytes = 0;

  async function post(query, id, content) {
    const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<REQUEST><QUERY>${query}</QUERY><DEVICEID>${escape(id)}</DEVICEID>${content}</REQUEST>\n`;
    const body = deflateSync(xml);
    bytes += body.length;
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/x-compress", "user-agent": "OCS-NG_unified_unix_agent_v2.8.1" },
      body,
    });
    const read = Buffer.from(await answer.arrayBuffer());
    return { status: answer.status, text: answer.ok && read.length > 0 ? inflateSync(read).toString("utf8") : "" };
  }

  /** True where the server asks for the inventory. */
  const prolog = async (device) => (await post("PROLOG", idOf(device), "")).text.includes("<RESPONSE>SEND</RESPONSE>");

  return {
    /** What all ids of this run end with. */
    stamp,
    bytes: () => bytes,
    prolog,
    /** True where the server has said of both requests that they are well. */
    async report(device, generation, phase) {
      if (!(await prolog(device))) return false;
      return (
        (await post("INVENTORY", idOf(device), contentOf(fleet, device, generation, checksums[phase]))).status === 200
      );
    },
  };
}

function contentOf(fleet, device, generation, checksum) {
  const { hostname, serial, uuid, macs } = fleet.evidence(device);
  const titles = Array.from(fleet.titlesOf(device, generation), (rank) => fleet.textOf(rank));
  const address = `10.${device >> 16}.${(device >> 8) & 255}.${device & 255}`;
  return element("CONTENT", [
    section("ACCESSLOG", { USERID: "N/A", LOGDATE: "2026-11-22 08:00:00" }),
    section("BIOS", { SMANUFACTURER: "LENOVO", SMODEL: "ThinkPad X1 Carbon Gen 11", SSN: serial, TYPE: "Notebook" }),
    section("HARDWARE", {
      NAME: hostname,
      CHECKSUM: checksum,
      UUID: uuid,
      USERID: `user${device}`,
      IPADDR: address,
      MEMORY: 16384,
      OSNAME: "Microsoft Windows 11 Pro",
      OSVERSION: "10.0.22631",
      ARCH: "x86_64",
      WORKGROUP: "WORKGROUP",
      PROCESSORT: "Intel(R) Core(TM) i5-1345U",
      PROCESSORN: 1,
      PROCESSORS: 1600,
      ETIME: 0,
      SWAP: 4096,
    }),
    section("CPUS", { MANUFACTURER: "GenuineIntel", TYPE: "Intel(R) Core(TM) i5-1345U", CORES: 10, SPEED: 1600 }),
    section("MEMORIES", { CAPACITY: 16384, DESCRIPTION: "SODIMM", NUMSLOTS: 0 }),
    section("STORAGES", { NAME: "nvme0n1", MODEL: "SAMSUNG MZVL2512", DISKSIZE: 488386, TYPE: "disk" }),
    section("NETWORKS", { DESCRIPTION: "eth0", IPADDRESS: address, MACADDR: macs[0], STATUS: "Up", TYPE: "Ethernet" }),
    ...titles.map(([source, name, version, publisher]) =>
      section("SOFTWARES", { NAME: name, VERSION: version, PUBLISHER: publisher, FROM: source }),
    ),
  ]);
}

const section = (name, fields) => element(name, Object.entries(fields).map(([field, value]) => element(field, [escape(value)]))); // prettier-ignore
const element = (name, parts) => `<${name}>${parts.join("")}</${name}>`;
const escape = (value) => String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
