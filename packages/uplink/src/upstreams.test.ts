import fc from "fast-check";
import { manualClock } from "@daicho/kernel";
import { describe, expect, it } from "vitest";
import { createUpstreams, fullJitter, longestWaitMs, waitAsAsked } from "./upstreams.ts";

const [a, b] = ["http://a:1", "http://b:1"] as const;
const middle = (): number => 0.5;
const urls = (attempts: readonly { upstream: { url: string } }[]): string[] => attempts.map((x) => x.upstream.url);

describe("the list of upstreams", () => {
  it("is used in its order", () => {
    const upstreams = createUpstreams({ urls: [a, b], clock: manualClock(1e12), random: middle });
    expect(urls(upstreams.candidates())).toEqual([a, b]);
    expect(upstreams.current.url).toBe(a);
  });

  it("fails over to the next, and back to the first when its time is over", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a, b], clock, random: middle });
    const [first, second] = upstreams.candidates();
    first?.failed();
    second?.succeeded();
    expect(upstreams.current.url).toBe(b);
    expect(urls(upstreams.candidates())).toEqual([b]);
    clock.advance(60_000);
    expect(urls(upstreams.candidates())).toEqual([a, b]);
    upstreams.candidates()[0]?.succeeded();
    expect(upstreams.current.url).toBe(a);
  });

  it("passes over a failing one for longer and longer, within a bound", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a, b], clock, random: middle });
    const lengths: number[] = [];
    for (let i = 0; i < 12; i++) {
      const since = clock.now();
      upstreams.candidates()[0]?.failed();
      while (urls(upstreams.candidates())[0] !== a) clock.advance(10_000);
      lengths.push(clock.now() - since);
    }
    expect(lengths.slice(0, 3)).toEqual([60_000, 120_000, 240_000]);
    expect(Math.max(...lengths)).toBe(3_600_000);
  });

  it("waits when none is left, longer each time, and then tries all again", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a, b], clock, random: () => 0.999999 });
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      for (const attempt of upstreams.candidates()) attempt.failed();
      upstreams.exhausted();
      expect(upstreams.candidates()).toEqual([]);
      waits.push(upstreams.nextAttemptAt - clock.now());
      clock.advance(upstreams.nextAttemptAt - clock.now());
      expect(urls(upstreams.candidates())).toEqual([a, b]);
    }
    expect(waits.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000]);
    expect(Math.max(...waits)).toBe(300_000);
  });

  it("counts many requests that fail together as one failure", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a, b], clock, random: middle });
    const together = Array.from({ length: 50 }, () => upstreams.candidates()[0]);
    for (const attempt of together) attempt?.failed();
    clock.advance(60_000);
    expect(urls(upstreams.candidates())).toEqual([a, b]);
  });

  it("obeys an overloaded one before it turns to another", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a, b], clock, random: middle });
    for (let i = 0; i < 2; i++) {
      upstreams.candidates()[0]?.overloaded(30_000);
      clock.advance(29_999);
      expect(upstreams.candidates()).toEqual([]);
      clock.advance(1);
      expect(urls(upstreams.candidates())).toEqual([a, b]);
    }
    upstreams.candidates()[0]?.overloaded(30_000);
    expect(urls(upstreams.candidates())).toEqual([b]);
    upstreams.candidates()[0]?.overloaded(1_000);
    expect(upstreams.candidates()).toEqual([]);
  });

  it("turns to another at once where an overloaded one asks for a long wait", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a, b], clock, random: middle });
    upstreams.candidates()[0]?.overloaded(3_600_000);
    expect(urls(upstreams.candidates())).toEqual([b]);
  });

  it('nobody above can silence a node for longer than the usual time between two scans (design "Herds")', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e15, noNaN: true }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        (asked, r) => {
          const clock = manualClock(1e12);
          const upstreams = createUpstreams({ urls: [a], clock, random: () => r });
          const wait = waitAsAsked(asked, () => r);
          expect(wait).toBeGreaterThanOrEqual(Math.min(asked, longestWaitMs));
          upstreams.candidates()[0]?.overloaded(wait);
          clock.advance(Math.max(0, Math.floor(wait) - 1));
          if (wait >= 1) expect(upstreams.candidates()).toEqual([]);
          clock.advance(6 * 3_600_000 + 1 - Math.max(0, Math.floor(wait) - 1));
          expect(upstreams.candidates()).toHaveLength(1);
        },
      ),
    );
  });

  it("a success of one request does not undo what another was told to wait", () => {
    const upstreams = createUpstreams({ urls: [a], clock: manualClock(1e12), random: middle });
    const [one] = upstreams.candidates();
    const [other] = upstreams.candidates();
    one?.overloaded(30_000);
    other?.succeeded();
    expect(upstreams.candidates()).toEqual([]);
  });

  it("waits no longer for one that is known to be there again, but as long as it asked, and next time as long as before", () => {
    const clock = manualClock(1e12);
    const upstreams = createUpstreams({ urls: [a], clock, random: middle });
    const fail = (): number => {
      upstreams.candidates()[0]?.failed();
      upstreams.exhausted();
      return upstreams.nextAttemptAt - clock.now();
    };
    const first = fail();
    upstreams.reached();
    expect(urls(upstreams.candidates())).toEqual([a]);
    expect(fail()).toBe(first * 2);
    upstreams.reached();
    upstreams.candidates()[0]?.overloaded(30_000);
    upstreams.reached();
    expect(upstreams.candidates()).toEqual([]);
  });

  it("a clock set back by a year does not silence the node", () => {
    const clock = manualClock(1e12);
    let now = 2e12;
    const upstreams = createUpstreams({ urls: [a], clock: { ...clock, now: () => now }, random: middle });
    upstreams.candidates()[0]?.overloaded(30_000);
    now -= 365 * 86_400_000;
    expect(urls(upstreams.candidates())).toEqual([a]);
  });

  it("refuses addresses that are none, and tells no password", () => {
    for (const bad of ["", "relay:7410", "ftp://x", "http://u:secret@x", "http://x/?a=1"]) {
      const make = (): unknown => createUpstreams({ urls: [bad], clock: manualClock(), random: middle });
      expect(make).toThrow(expect.objectContaining({ code: "upstream-invalid" }));
      expect(make).not.toThrow(/secret/);
    }
  });

  it("jitter stays between nothing and the doubled base, and below the cap", () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.double({ min: 0, max: 0.999999, noNaN: true }), (failures, r) => {
        const wait = fullJitter(failures, { baseMs: 2_000, capMs: 300_000 }, () => r);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(300_000, 2_000 * 2 ** Math.min(failures, 30)));
        expect(wait).toBeLessThan(longestWaitMs);
      }),
    );
  });
});
