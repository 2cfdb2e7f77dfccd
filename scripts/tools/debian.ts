/** Debian packages for tests, whose servers are not to run as services of the machine. */

import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { runProgram } from "./run-program.ts";

/**
 * Debian starts a server when it is installed, on its usual ports, unless a policy denies it. Where there is none (containers have
 * one) ours denies while the installing shell lives: if that is killed, what is left behind is without effect.
 */
const INSTALL = `
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] || grep -q 'user-service tests' "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\n# user-service tests\\nkill -0 %s 2>/dev/null && exit 101\\nexit 0\\n' "$$" >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
options="-qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15"
apt-get $options update >&2
apt-get $options install -y --no-install-recommends "$@" >&2
`;

/** Whether we may: root, where there is apt-get. */
export async function canInstallDebian(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  return access("/usr/bin/apt-get", constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Installs a package and starts no service. @throws with what apt-get said */
export async function installDebian(debian: string, signal: AbortSignal): Promise<void> {
  await runProgram("sh", ["-c", INSTALL, "install", debian], { signal, env: process.env });
}
