import fc from "fast-check";
import { manualClock, type Clock } from "@daicho/kernel";
import { describe, expect, it } from "vitest";
import { createAlarm, nextSlot } from "./schedule.ts";

const hour = 3_600_000;

describe("a device's place in the interval", () => {
  it("is always the same place, comes within one interval, and never now", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 400 * hour }), fc.nat(2e12), (id, every, after) => {
        const slot = nextSlot(id, "scan", every, after);
        expect(slot).toBeGreaterThan(after);
        expect(slot - after).toBeLessThanOrEqual(every);
        expect(nextSlot(id, "scan", every, slot)).toBe(slot + every);
      }),
    );
  });

  it("spreads a fleet evenly", () => {
    const quarters = [0, 0, 0, 0];
    for (let n = 0; n < 4000; n++) {
      const quarter = Math.floor(((nextSlot(`device-${n}`, "scan", 6 * hour, 1e12) - 1e12 - 1) / (6 * hour)) * 4);
      quarters[quarter] = (quarters[quarter] ?? 0) + 1;
    }
    for (const count of quarters) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("an alarm", () => {
  it("rings once, when it is due", () => {
    const clock = manualClock(1e12);
    let rung = 0;
    const alarm = createAlarm(clock, () => rung++);
    alarm.set(1e12 + 6 * hour);
    clock.advance(6 * hour - 1);
    expect(rung).toBe(0);
    clock.advance(1);
    expect([rung, alarm.at]).toEqual([1, undefined]);
    clock.advance(100 * hour);
    expect(rung).toBe(1);
  });

  it("can be set anew and cancelled", () => {
    const clock = manualClock(1e12);
    let rung = 0;
    const alarm = createAlarm(clock, () => rung++);
    alarm.set(1e12 + hour);
    alarm.set(1e12 + 2 * hour);
    clock.advance(hour);
    expect(rung).toBe(0);
    alarm.cancel();
    clock.advance(2 * hour);
    expect(rung).toBe(0);
  });

  it("after a machine slept through it, rings within minutes; after the clock was set back a year, not a year later", () => {
    const base = manualClock(1e12);
    let shift = 0;
    const clock: Clock = { now: () => base.now() + shift, after: base.after };
    let rung = 0;
    const alarm = createAlarm(clock, () => rung++);
    alarm.set(clock.now() + 6 * hour);
    shift = 8 * hour; // Timers stood still, the wall clock did not.
    base.advance(5 * 60_000);
    expect(rung).toBe(1);
    alarm.set(clock.now() + 6 * hour);
    base.advance(hour);
    shift -= 365 * 24 * hour;
    base.advance(5 * hour + 10 * 60_000);
    expect(rung).toBe(2);
  });
});
