/**
 * Purpose: an agent's enrolment: its key becomes an identity attached to a device of the ledger - the one with this id or serial number, or a
 * new one. Called by the enrol route inside its transaction; the same key may come again.
 */
import type { Clock } from "@daicho/kernel";
import type { DeviceDirectory } from "../../ports.ts";
import type { AgentEnrollment } from "../nodes/index.ts";
import { headStore } from "../inventory/head-store.ts";

/** Serial numbers that firmware vendors leave unset; they identify nothing. */
const junkSerials =
  /^(|0+|1+|f+|x+|-+|\.+|none|n\/a|na|null|unknown|default string|system serial number|to be filled by o\.?e\.?m\.?|not (specified|applicable|available)|invalid|empty|123456789?0?|chassis serial number|serial number)$/i;

export function usableSerial(serial: string | undefined): string | undefined {
  const text = serial?.trim();
  return text === undefined || text.length < 3 || junkSerials.test(text) ? undefined : text;
}

export function createAgentEnrollment(deps: {
  readonly clock: Clock;
  readonly devices: DeviceDirectory;
}): AgentEnrollment {
  return {
    async enrolledWith(trx, id) {
      const [row] = await headStore.identities(trx, [id]);
      return row?.token;
    },
    async enroll(trx, request, token) {
      const serial = usableSerial(request.evidence?.serial);
      const device = await deps.devices.adopt(trx, {
        id: request.id,
        hostname: request.evidence?.hostname ?? request.name,
        ...(serial !== undefined && { serial }),
        ...(token.department !== null && { department: token.department }),
        origin: "enrollment",
        taken: async (candidate) => (await headStore.identityOfDevice(trx, candidate)) !== undefined,
      });
      await headStore.insertIdentity(trx, {
        id: request.id,
        public_key: request.publicKey,
        device,
        evidence: request.evidence === undefined ? null : JSON.stringify(request.evidence),
        enrolled_at: deps.clock.now(),
        token: token.id,
        first_evidence: null,
        forked_at: null,
      });
    },
  };
}
