/**
 * Purpose: who this node is - its Ed25519 key (`identity.json`, made once, mode 0600) and, once enrolled, its certificate and
 * the pinned root (`enrollment.json`).
 * Invariants: a key is never overwritten and never made anew beside a damaged one (that would be another device); what is
 * thrown away is kept aside under a dated name. On Windows the directory's access list protects the key, not its mode.
 */
import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  TrustRoot,
  createSigner,
  generateKeyPair,
  importPublicKey,
  keyIdOf,
  validateSignedDocument,
  validator,
  verifySignature,
  type KeyPair,
  type SignedDocument,
  type Signer,
} from "@daicho/protocol";
import { syncDirectory, writeFileAtomic } from "./atomic-file.ts";
import { uplinkErrors } from "./errors.ts";

/** What enrolling gave: certificate and pinned root. */
export interface Enrollment {
  readonly certificate: SignedDocument;
  readonly root: TrustRoot;
  readonly enrolledAt: string;
}
const checkRoot = validator(TrustRoot);

export interface Identity {
  /** Hash of the public key: the node's id. */
  readonly id: string;
  readonly signer: Signer;
  readonly enrollment: Enrollment | undefined;
  saveEnrollment(enrollment: Enrollment): Promise<void>;
}

const keyFile = "identity.json";
const enrollmentFile = "enrollment.json";

/** @throws identity-unreadable */
export async function openIdentity(options: { readonly dir: string }): Promise<Identity> {
  const { dir } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const signer = createSigner((await readKey(dir)) ?? (await makeKey(dir)));
  let enrollment = await readEnrollment(dir, signer.keyId);
  return {
    id: signer.keyId,
    signer,
    get enrollment() {
      return enrollment;
    },
    async saveEnrollment(next) {
      await writeFileAtomic(join(dir, enrollmentFile), JSON.stringify(next));
      enrollment = next;
    },
  };
}

/** Moves key and enrollment aside (kept, dated); the next `openIdentity` makes a new key. */
export async function setIdentityAside(options: { readonly dir: string; readonly now: number }): Promise<void> {
  const { dir, now } = options;
  const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  // The key last: a crash in between leaves a key without enrollment, and setting aside is simply done again.
  for (const file of [enrollmentFile, keyFile])
    await rename(join(dir, file), join(dir, `${file}.aside-${stamp}`)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  await syncDirectory(dir);
}

async function readKey(dir: string): Promise<KeyPair | undefined> {
  const file = join(dir, keyFile);
  const value = await readJson(file);
  if (value === undefined) return undefined;
  const { publicKey, privateKey } = value as Partial<Record<keyof KeyPair, unknown>>;
  if (typeof publicKey !== "string" || typeof privateKey !== "string") throw unreadable(file, "not a key");
  const pair = { publicKey, privateKey };
  if (Buffer.from(privateKey, "base64url").length !== 32 || !belongTogether(pair))
    throw unreadable(file, "the two halves do not belong together");
  return pair;
}

function belongTogether(pair: KeyPair): boolean {
  try {
    const probe = Buffer.from("daicho-identity-probe");
    const key = importPublicKey(pair.publicKey);
    return key !== undefined && verifySignature(key, probe, createSigner(pair).sign(probe));
  } catch {
    return false;
  }
}

async function makeKey(dir: string): Promise<KeyPair> {
  const pair = generateKeyPair();
  const made = await writeFileAtomic(join(dir, keyFile), JSON.stringify(pair), { onlyIfAbsent: true });
  if (made) return pair;
  // Another process was quicker; its key is the node's.
  const theirs = await readKey(dir);
  if (theirs === undefined) throw unreadable(join(dir, keyFile), "it vanished");
  return theirs;
}

async function readEnrollment(dir: string, keyId: string): Promise<Enrollment | undefined> {
  const file = join(dir, enrollmentFile);
  const value = await readJson(file);
  if (value === undefined) return undefined;
  const { certificate, root, enrolledAt } = value as Partial<Record<keyof Enrollment, unknown>>;
  const checkedCertificate = validateSignedDocument(certificate);
  const checkedRoot = checkRoot(root);
  if (!checkedCertificate.ok || !checkedRoot.ok || typeof enrolledAt !== "string")
    throw unreadable(file, "not an enrollment");
  // Left over from a key that was set aside: as good as none.
  if (certifiedKey(checkedCertificate.value) !== keyId) return undefined;
  return { certificate: checkedCertificate.value, root: checkedRoot.value, enrolledAt };
}

function certifiedKey(certificate: SignedDocument): string | undefined {
  try {
    const payload = JSON.parse(certificate.payload) as { publicKey?: unknown };
    return typeof payload.publicKey === "string" ? keyIdOf(payload.publicKey) : undefined;
  } catch {
    return undefined;
  }
}

async function readJson(file: string): Promise<object | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    if (code === "ENOENT") return undefined;
    throw unreadable(file, code);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Said below; the parser's message would quote the file.
  }
  throw unreadable(file, "not JSON");
}

function unreadable(file: string, reason: string): Error {
  return uplinkErrors.make("identity-unreadable", { file, reason });
}
