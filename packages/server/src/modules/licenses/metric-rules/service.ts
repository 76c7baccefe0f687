/**
 * Purpose: the metric rules in force and what they make of a machine (domain.md §5 "Metrics"), for whoever wants to know where a number comes from.
 * Invariants: the same function counts here and in every derivation, so a trial and a position cannot differ.
 */
import { countUnits, createMetricBook, measuredHardware, type UnitCount } from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Hardware, LicensePolicy, MeasuredHardware, MetricRule } from "@daicho/protocol";
import { serverErrors } from "../../../errors.ts";

export interface ListedMetricRule extends MetricRule {
  /** Counts now. */
  readonly inForce: boolean;
  /** Licences that are counted by it. */
  readonly licenses: readonly string[];
}

export interface MetricTrial extends UnitCount {
  readonly rule: string;
  readonly validFrom?: string;
  readonly hardware: MeasuredHardware;
}

export interface MetricRules {
  list(): readonly ListedMetricRule[];
  /** @throws not-found, metric-rule-not-in-force, device-without-hardware */
  count(
    id: string,
    machine: { readonly hardware: MeasuredHardware } | { readonly device: string },
    at?: number,
  ): Promise<MetricTrial>;
}

export function createMetricRules(deps: {
  readonly clock: Clock;
  readonly policy: () => { readonly licensePolicy: LicensePolicy | undefined };
  readonly licenses: () => readonly { readonly code: string; readonly count?: string }[];
  /** undefined: no such device. */
  readonly device: (id: string) => Promise<{ readonly hardware?: Hardware } | undefined>;
}): MetricRules {
  const rules = (): readonly MetricRule[] => deps.policy().licensePolicy?.metrics ?? [];

  const hardwareOf = async (id: string): Promise<MeasuredHardware> => {
    const device = await deps.device(id);
    if (device === undefined) throw serverErrors.make("not-found", { what: "device", id });
    if (device.hardware === undefined) throw serverErrors.make("device-without-hardware", { id });
    return measuredHardware(device.hardware);
  };

  return {
    list() {
      const book = createMetricBook(rules());
      const now = deps.clock.now();
      const counted = deps.licenses();
      return rules().map((rule) => ({
        ...rule,
        inForce: book.at(rule.id, now)?.rule === rule,
        licenses: counted.filter((l) => l.count === rule.id).map((l) => l.code),
      }));
    },

    async count(id, machine, at = deps.clock.now()) {
      const book = createMetricBook(rules().filter((rule) => rule.id === id));
      if (book.ids.length === 0) throw serverErrors.make("not-found", { what: "metric rule", id });
      const metric = book.at(id, at);
      if (metric === undefined)
        throw serverErrors.make("metric-rule-not-in-force", { id, at: new Date(at).toISOString() });
      const hardware = "device" in machine ? await hardwareOf(machine.device) : machine.hardware;
      const { validFrom } = metric.rule;
      return {
        rule: id,
        ...(validFrom !== undefined && { validFrom }),
        hardware,
        ...countUnits(metric, hardware),
      };
    },
  };
}
