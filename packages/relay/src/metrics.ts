/** Purpose: what Prometheus reads at `/metrics`; names `daicho_relay_…`. Counters are bumped where things happen, gauges are asked. */
export interface Counter {
  add(count?: number, label?: string): void;
}

export interface Metrics {
  /** `label` names the one label its values are split by. */
  counter(name: string, help: string, label?: string): Counter;
  gauge(name: string, help: string, read: () => number): void;
  text(): string;
}

export function createMetrics(): Metrics {
  const families: { name: string; help: string; type: "counter" | "gauge"; lines: () => string[] }[] = [];
  return {
    counter(name, help, label) {
      const values = new Map<string, number>();
      if (label === undefined) values.set("", 0);
      families.push({
        name,
        help,
        type: "counter",
        lines: () =>
          [...values].map(([value, count]) => `${name}${label === undefined ? "" : `{${label}="${value}"}`} ${count}`),
      });
      // Values of a label are codes from our own tables, or what a peer calls a code: kept few and plain.
      return {
        add(count = 1, value = "") {
          const plain = value.replace(/[^a-z0-9-]/g, "").slice(0, 64);
          const key = values.has(plain) || values.size < 100 ? plain : "other";
          values.set(key, (values.get(key) ?? 0) + count);
        },
      };
    },
    gauge(name, help, read) {
      families.push({ name, help, type: "gauge", lines: () => [`${name} ${read()}`] });
    },
    text() {
      return families
        .map(({ name, help, type, lines }) =>
          [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines()].join("\n"),
        )
        .join("\n")
        .concat("\n");
    },
  };
}
