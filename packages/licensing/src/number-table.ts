/**
 * Purpose: rows of numbers, millions of them if need be, in arrays that the garbage collector need not look into and that are never moved when they grow.
 */
export interface NumberTable {
  readonly size: number;
  /** A row of zeros; answers which it is. */
  add(): number;
  get(row: number, column: number): number;
  set(row: number, column: number, value: number): void;
}

const chunk = 512;

export function createNumberTable(width: number): NumberTable {
  const chunks: Float64Array[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    add() {
      if (size % chunk === 0) chunks.push(new Float64Array(chunk * width));
      return size++;
    },
    get: (row, column) => (chunks[(row / chunk) | 0] as Float64Array)[(row % chunk) * width + column] as number,
    set(row, column, value) {
      (chunks[(row / chunk) | 0] as Float64Array)[(row % chunk) * width + column] = value;
    },
  };
}
