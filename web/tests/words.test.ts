import { describe, expect, it } from "vitest";
import { emphasise, inUnit, intervalText, limitText, spell, verdict, windowText } from "../src/lib/describe";
import { ago, bytes, day, duration, exact, moment, number, percent, plural, signed, stamp } from "../src/lib/format";

const AT = Date.UTC(2013, 10, 10, 14, 5, 9);

describe("numbers", () => {
  it("keep the digits that matter", () => {
    expect(number(0.7421)).toBe("0.742");
    expect(number(336776)).toBe("336,776");
    expect(number(-0.021)).toBe("−0.021");
    expect(number(0.0000021)).toBe("2.1e−6");
    expect(number(1234.56)).toBe("1,235");
    expect(number(123.456)).toBe("123.5");
    expect(number(0)).toBe("0");
    expect(number(null)).toBe("–");
    expect(number(NaN)).toBe("NaN");
    expect(number(-Infinity)).toBe("−∞");
  });
  it("have signs, shares, sizes and counts", () => {
    expect(signed(0.0271)).toBe("+0.027");
    expect(signed(-0.0271)).toBe("−0.027");
    expect(percent(0.9615)).toBe("96.2\u202f%");
    expect(bytes(999)).toBe("999 B");
    expect(bytes(13_807_816)).toBe("13.8 MB");
    expect(plural(1, "row")).toBe("1 row");
    expect(plural(1200, "library", "libraries")).toBe("1,200 libraries");
  });
});

describe("times", () => {
  it("say lengths in at most two units", () => {
    expect(duration(6)).toBe("6 ms");
    expect(duration(1400)).toBe("1.4 s");
    expect(duration(41_000)).toBe("41 s");
    expect(duration(6_000_000)).toBe("1 h 40");
    expect(duration(59.9 * 60_000)).toBe("59 min 54");
    expect(duration(14 * 86_400_000)).toBe("14 days");
  });
  it("that no date has are said to be none, whatever a program wrote", () => {
    for (const odd of [2 ** 63, -(2 ** 63), NaN]) {
      expect([stamp(odd), day(odd), moment(odd), exact(odd)]).toEqual(["", "–", "–", "not a date"]);
    }
    expect(stamp(0)).toBe("1970-01-01T00:00:00.000Z");
  });
  it("are in UTC, with the year where it differs", () => {
    expect(moment(AT)).toBe("10 Nov 2013, 14:05");
    expect(day(AT, AT)).toBe("10 Nov");
    expect(day(AT, Date.UTC(2014, 0, 1))).toBe("10 Nov 2013");
    expect(exact(AT)).toBe("2013-11-10 14:05:09 UTC");
  });
  it("say how long ago", () => {
    expect(ago(AT, AT + 3000)).toBe("just now");
    expect(ago(AT, AT + 5 * 60_000)).toBe("5 min ago");
    expect(ago(AT, AT + 3 * 86_400_000)).toBe("3 days ago");
    expect(ago(AT, AT + 30 * 86_400_000)).toBe("10 Nov");
  });
});

describe("essential variables", () => {
  it("are said with their unit", () => {
    expect(inUnit(6, "ms")).toBe("6 ms");
    expect(inUnit(0.001, "share")).toBe("0.10\u202f%");
    expect(limitText("<=", 0.001, "share")).toBe("≤ 0.1\u202f%");
    expect(limitText(">=", 0.72, "plain")).toBe("≥ 0.72");
    expect(limitText("<=", 7_200_000, "ms")).toBe("≤ 2 h");
    expect(windowText(14 * 86_400_000)).toBe("14 days");
    expect(windowText(3_600_000)).toBe("1 hour");
    expect(windowText(null)).toBe("");
  });
  it("have an interval only where one is known, with both ends when it is lopsided", () => {
    expect(intervalText(0.742, 0.734, 0.75, "plain")).toBe("± 0.008");
    expect(intervalText(0.742, 0.7, 0.75, "plain")).toBe("0.700 to 0.750");
    expect(intervalText(6, null, null, "ms")).toBe("");
    expect(intervalText(6, 6, 6, "ms")).toBe("");
  });
  it("are spelled as people write them", () => {
    expect(spell("auc")).toBe("AUC");
    expect(spell("calibration_error")).toBe("calibration error");
  });
});

describe("sentences", () => {
  const bold = (text: string) =>
    emphasise(text)
      .filter((piece) => piece.strong)
      .map((piece) => piece.text);
  it("set three figures in bold at most", () => {
    expect(bold("v4 has been live since 3 September and is +0.061 AUC ahead.")).toEqual(["v4", "+0.061 AUC"]);
    expect(bold("0.1 0.2 0.3 0.4")).toEqual(["0.1", "0.2", "0.3"]);
    expect(bold("AUC is out: 0.701 ± 0.009.")).toEqual(["0.701 ± 0.009"]);
    expect(bold("Nothing needs you.")).toEqual([]);
  });
  it("obey marks, and lose no character", () => {
    expect(bold("**5** tables and v4")).toEqual(["5"]);
    const text = "v4 is at 0.742, limit 0.72, since 3 September 2013";
    expect(
      emphasise(text)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
  });
  it("name the version a decision is about", () => {
    expect(verdict({ kind: "promote", champion: 3, challenger: 4 })).toBe("promoted v4");
    expect(verdict({ kind: "wait", champion: 3, challenger: null })).toBe("wait");
  });
});
