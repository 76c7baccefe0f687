/**
 * Purpose: the rights that are attached to an entitlement, read from the text in which they are entered (domain.md §5):
 * `downgrade | upgrade(@X19) | second-device | suite(@A @B)`.
 * Invariants: items are separated by `|`, `;` or `,`, codes in parentheses by blanks or commas; case, `_`, `-` and blanks inside a word are forgiven.
 * What is not understood is a fault with its place, and whatever is understood beside it stays.
 */

export const rightWords = ["downgrade", "upgrade", "second-device", "suite"] as const;
export type RightWord = (typeof rightWords)[number];

export interface AttachedRight {
  readonly right: RightWord;
  /** Licence codes named in parentheses; absent for an upgrade or downgrade that leaves it to the version path. */
  readonly licenses?: readonly string[];
}

export interface RightsFault {
  /** Character (from 1) at which the item begins. */
  readonly at: number;
  readonly message: string;
}

export interface ParsedRights {
  readonly rights: readonly AttachedRight[];
  readonly faults: readonly RightsFault[];
}

const byPlainWord = new Map<string, RightWord>(rightWords.map((word) => [plain(word), word]));
const code = /^@?[\p{L}\p{N}][\p{L}\p{N}._+-]*$/u;

export function parseAttachedRights(text: string | null | undefined): ParsedRights {
  const rights = new Map<RightWord, Set<string>>();
  const faults: RightsFault[] = [];
  for (const { at, item } of itemsOf(text ?? "")) {
    const open = item.indexOf("(");
    const name = open === -1 ? item : item.slice(0, open);
    const word = byPlainWord.get(plain(name));
    const fault = (message: string): void => void faults.push({ at, message });
    if (word === undefined) {
      fault(`"${shown(name.trim())}" is no right; known are ${rightWords.join(", ")}`);
      continue;
    }
    const inside = open === -1 ? undefined : item.slice(open + 1);
    if (inside !== undefined && (!inside.endsWith(")") || /[()]/.test(inside.slice(0, -1)))) {
      fault(`the parentheses of ${word} do not close after the licences`);
      continue;
    }
    const codes =
      inside
        ?.slice(0, -1)
        .split(/[\s,;|]+/)
        .filter((part) => part !== "") ?? [];
    const wrong = codes.find((one) => !code.test(one));
    if (wrong !== undefined) fault(`"${shown(wrong)}" is no licence code`);
    else if (word === "second-device" && inside !== undefined) fault("second-device names no licences");
    else if (word === "suite" && codes.length === 0) fault("suite needs the licences it holds: suite(@A @B)");
    else if (inside !== undefined && codes.length === 0) fault(`${word}() names no licence; leave the parentheses out`);
    else rights.set(word, new Set([...(rights.get(word) ?? []), ...codes]));
  }
  return {
    rights: [...rights].map(([right, codes]) => (codes.size === 0 ? { right } : { right, licenses: [...codes] })),
    faults,
  };
}

/** The items with the character each begins at; separators inside parentheses do not part them. */
function* itemsOf(text: string): Generator<{ readonly at: number; readonly item: string }> {
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")") depth = Math.max(0, depth - 1);
    if (i < text.length && (depth > 0 || !/[|;,]/.test(c as string))) continue;
    const raw = text.slice(start, i);
    const item = raw.trim();
    if (item !== "") yield { at: start + raw.indexOf(item) + 1, item };
    start = i + 1;
  }
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[\s_-]+/g, "");
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
