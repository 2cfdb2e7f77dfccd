/** The signing keys of one machine, in `DATA_DIR/secrets`: made on first use, and replaced when they are old. */

import { chmod, link, mkdir, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFileLock } from "#src/embedded/file-lock";
import { generateKeyRing, readStoredKeyRing } from "#src/features/sessions/key-ring";
import { rotateKeyRing } from "#src/features/sessions/key-rotation";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Secret } from "#src/kernel/secret";
import { readLocalSecret } from "#src/sidecar/local/local-secrets";

const NAME = "signing-keys";
const LOOK_EVERY_MS = 60 * 60_000;
const LOCK_PATIENCE_MS = 10_000;
const DAY_MS = 24 * 60 * 60_000;

/** Made once, by whoever comes first; processes that share DATA_DIR share them. */
export async function ensureSigningKeys(dataDir: string): Promise<void> {
  const folder = folderOf(dataDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const draft = await writeDraft(folder, generateKeyRing());
  // A link is made whole or not at all, and never over one that is there.
  await link(draft, join(folder, NAME)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await unlink(draft);
}

/** Reads them past every sidecar. */
export async function readOwnKeys(dataDir: string): Promise<Secret<string> | undefined> {
  return await readLocalSecret({ environment: {}, folder: folderOf(dataDir) }, NAME);
}

interface Rotation {
  readonly dataDir: string;
  /** 0: never. */
  readonly days: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Replaces the key of access tokens whenever it is so old, until the signal is aborted. */
export async function keepRotating(rotation: Rotation, signal: AbortSignal): Promise<void> {
  while (rotation.days > 0 && !signal.aborted) {
    try {
      if (await rotateWhenOld(rotation)) rotation.log.info({ days: rotation.days }, "a new signing key was added: the one before is old");
    } catch (error) {
      rotation.log.warn({ error }, "the signing keys could not be rotated; it is tried again");
    }
    await delay(LOOK_EVERY_MS, signal).catch(() => {});
  }
}

/**
 * One step of it: of several processes one adds a key, the others find it.
 * @returns whether it was this one
 * @throws KeyRingRefused when the file is damaged, LockHeld when another process does not come to an end
 */
export async function rotateWhenOld({ dataDir, days, clock }: Omit<Rotation, "log">): Promise<boolean> {
  if (!(await isOld({ dataDir, days, clock }))) return false;
  const folder = folderOf(dataDir);
  return await withFileLock(join(folder, `${NAME}.lock`), { patienceMs: LOCK_PATIENCE_MS }, async () => {
    const text = (await readOwnKeys(dataDir))?.reveal() ?? "";
    const { ring, access } = rotateKeyRing(readStoredKeyRing(text), { now: clock.now(), refresh: false });
    // Another was first.
    if (access !== "added") return false;
    // Readers see the old file or the new one.
    await rename(await writeDraft(folder, JSON.stringify(ring)), join(folder, NAME));
    return true;
  });
}

/** By the youngest key; where a ring from before rotation does not tell, by its file. */
async function isOld({ dataDir, days, clock }: Omit<Rotation, "log">): Promise<boolean> {
  const ring = readStoredKeyRing((await readOwnKeys(dataDir))?.reveal() ?? "");
  const made = ring.accessKeys.flatMap(({ createdAt }) => (createdAt === undefined ? [] : [Date.parse(createdAt)]));
  const youngestMs = made.length > 0 ? Math.max(...made) : (await stat(join(folderOf(dataDir), NAME))).mtimeMs;
  return clock.now().getTime() - youngestMs >= days * DAY_MS;
}

async function writeDraft(folder: string, text: string): Promise<string> {
  const draft = join(folder, `${NAME}.${process.pid}`);
  await writeFile(draft, text, { mode: 0o600, flush: true });
  return draft;
}

function folderOf(dataDir: string): string {
  return join(dataDir, "secrets");
}
