/**
 * Purpose: the texts a caller may send. No control characters and no broken surrogates anywhere: PostgreSQL cannot store the one, and the other
 * comes back changed. Names and codes do not begin or end with white space, so that none looks like another.
 */
import { Type, type TString } from "@sinclair/typebox";

const clean = "^[^\\p{Cc}\\p{Cs}]*$";
const key = "^[^\\p{Cc}\\p{Cs}\\s]([^\\p{Cc}\\p{Cs}]*[^\\p{Cc}\\p{Cs}\\s])?$";

export const cleanText = new RegExp(clean, "u");
export const keyText = new RegExp(key, "u");

/** Free text. */
export const Text = (maxLength: number, description?: string): TString =>
  Type.String({ maxLength, pattern: clean, ...(description !== undefined && { description }) });

/** A code, an id, a name: something things are told apart by. */
export const Key = (maxLength: number, description?: string): TString =>
  Type.String({ minLength: 1, maxLength, pattern: key, ...(description !== undefined && { description }) });

export const limits = { code: 64, id: 128, name: 256, text: 256, hostname: 255, license: 64, rights: 2000 } as const;
