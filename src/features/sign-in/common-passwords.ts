/** Passwords that are among the first to be tried: 17,950 of the zxcvbn project's list, and what it lacks. */

import { dictionary } from "@zxcvbn-ts/language-common";

/** Shorter ones are refused anyway. In code units, so that none is left out that could count as eight characters. */
const LEAST_CHARACTERS = 8;

/** Series, months and words of other languages that are not in the list. */
const ALSO_COMMON = (
  "0123456789 87654321 987654321 0987654321 111111111 00000000 000000000 22222222 33333333 55555555 66666666 77777777 88888888 " +
  "99999999 12341234 123123123 159753159 qwertyqwerty abcdefgh abcdefghi aaaaaaaa aaaaaaaaa password1! p@ssword pa$$word " +
  "contraseña iloveu123 welcome1234 changeme123 admin1234 admin12345 root1234 rootroot test12345 guest123 mypass123 facebook1 " +
  "linkedin twitter1 instagram youtube1 lovely123 zaq1zaq1 pass12345 login123 summer2023 summer2024 summer2025 summer2026 " +
  "winter2023 winter2024 winter2025 winter2026 spring2025 spring2026 autumn2025 autumn2026"
).split(" ");

// All in lower case. 26 ms and 7 MB, once a process.
const COMMON = new Set([...dictionary["passwords-common"].filter((password) => password.length >= LEAST_CHARACTERS), ...ALSO_COMMON]);

/** Whether this is one of the passwords everybody tries, ignoring case. */
export function isCommonPassword(password: string): boolean {
  return COMMON.has(password.toLowerCase());
}
