/** Purpose: latencies kept exactly, eight bytes each, and their percentiles. */
export interface Latencies {
  note(ms: number): void;
  percentiles(): { readonly p50: number; readonly p95: number; readonly p99: number };
}

export function createLatencies(): Latencies {
  let values = new Float64Array(1024);
  let length = 0;
  return {
    note(ms) {
      if (length === values.length) {
        const larger = new Float64Array(length * 2);
        larger.set(values);
        values = larger;
      }
      values[length++] = ms;
    },
    percentiles() {
      const sorted = values.slice(0, length).sort();
      // Nearest rank: the smallest value that at least p of all do not exceed.
      const at = (p: number): number =>
        length === 0 ? 0 : Math.round((sorted[Math.max(0, Math.ceil(p * length) - 1)] ?? 0) * 100) / 100;
      return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
    },
  };
}
