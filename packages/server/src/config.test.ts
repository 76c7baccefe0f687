/** The configuration of contract.md "Configuration"; what the loader does with any schema is tested in packages/kernel. */
import { describe, expect, it } from "vitest";
import { loadServerConfig } from "./config.ts";

const load = (flags: object, env: Record<string, string> = {}) =>
  loadServerConfig({ flags: { role: "corporate", name: "acme", ...flags }, env });

describe("mail and alerts", () => {
  const mail = { smtp: "smtp://mail.example:587", from: "daicho@example.com" };
  const alerts = { digest: "0 8 * * 1-5", timezone: "Asia/Tokyo" };

  it("are taken as the contract writes them, and from the environment", () => {
    expect(load({ mail, alerts })).toMatchObject({ mail, alerts });
    expect(load({}, { DAICHO_MAIL_FROM: "a@example.com" })).toMatchObject({ mail: { from: "a@example.com" } });
    expect(load({})).not.toHaveProperty("alerts");
  });

  it.each([
    [{ mail: { smtp: 5 } }, "mail.smtp"],
    [{ mail: { smtp: "mail.example" } }, "mail.smtp"],
    [{ mail: { ...mail, form: "a@example.com" } }, "mail.form: unknown key"],
    [{ alerts: { ...alerts, at: "noon" } }, "alerts.at: unknown key"],
    [{ alerts: { digest: "whenever" } }, "alerts.digest: is no schedule"],
    [{ alerts: { timezone: "Mars/Olympus" } }, "alerts.timezone: is no time zone"],
  ])("%j is refused with its path", (flags, message) => {
    expect(() => load(flags)).toThrow(message);
  });
});
