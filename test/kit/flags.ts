/** Command lines of the programs that tests start. */

/** `{ "data-dir": "/x", "quick": true, "off": undefined }` → `--data-dir=/x --quick`. */
export function asFlags(flags: Readonly<Record<string, string | number | true | undefined>>): string[] {
  return Object.entries(flags)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
}
